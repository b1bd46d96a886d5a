//! Black box: over HTTP, on both databases.

mod credentials;
mod login;
mod refresh;
mod sessions;
