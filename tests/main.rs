//! The one test binary: linking dominates the time of small ones.

mod api;
mod conformance;
mod documents;
mod faults;
mod properties;
mod store;
mod support;
