//! The one test binary: linking dominates the time of small ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod audit;
mod browser;
mod cli;
mod clients;
mod coherence;
mod conformance;
mod documents;
mod faults;
mod keys;
mod pages;
mod properties;
mod proxies;
mod rooms;
mod shipping;
mod store;
mod support;
