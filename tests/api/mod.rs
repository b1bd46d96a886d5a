//! Black box: over HTTP, on both databases.

mod credentials;
mod input;
mod logged_out;
mod login;
mod passwords;
mod refresh;
mod sessions;
mod storm;
mod throttling;
mod verify;
