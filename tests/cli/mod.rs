//! The real binary: every command, on both databases, beside a running server where that matters.

mod accounts;
mod copies;
mod events;
mod operations;
mod serve;
mod sessions;
mod tour;
