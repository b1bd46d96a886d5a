//! The one test binary: linking dominates the time of small ones.

mod api;
mod cli;
mod clients;
mod conformance;
mod documents;
mod faults;
mod properties;
mod store;
mod support;
