//! Black-box tests of the API: one file a subject.

mod admin_sessions;
mod admin_users;
mod login;
