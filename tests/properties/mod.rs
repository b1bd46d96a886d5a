//! What holds for whatever is done, in whatever order.

mod inputs;
mod sessions;
