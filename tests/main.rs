//! The one test binary: linking dominates the time of small ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod cli;
mod clients;
mod conformance;
mod documents;
// Compiled for tests in any case; said here, it lets the lints take helpers for test code as well.
#[cfg(test)]
mod faults;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod store;
mod support;
