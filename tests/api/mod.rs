//! Black box: over HTTP, on both databases.

mod credentials;
mod login;
mod passwords;
mod refresh;
mod sessions;
mod throttling;
mod verify;
