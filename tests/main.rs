//! The one test binary: linking dominates the time of small ones.

mod api;
mod conformance;
mod documents;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod store;
mod support;
