//! What holds for whatever is done, in whatever order.

mod filters;
mod inputs;
mod sessions;
