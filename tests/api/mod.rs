//! Black box: over HTTP, on both databases.

mod logged_out;
mod login;
mod storm;
