//! Black box: over HTTP, on both databases.

mod credentials;
mod input;
mod login;
mod passwords;
mod refresh;
mod sessions;
mod throttling;
mod verify;
