//! Black box: over HTTP, on both databases.

mod login;
mod storm;
