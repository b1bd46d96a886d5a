//! The one test binary: linking dominates the time of small ones.

mod api;
mod faults;
mod properties;
mod store;
mod support;
