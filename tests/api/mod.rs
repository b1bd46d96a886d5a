//! Black box: over HTTP, on both databases.

mod account_mails;
mod admin_exports;
mod admin_sessions;
mod admin_users;
mod alerts;
mod authorisation;
mod credentials;
mod ended_uses;
mod ends;
mod errors;
mod events;
mod habits;
mod inbox;
mod input;
mod logged_out;
mod login;
mod logout;
mod names;
mod notifications;
mod oauth;
pub mod ocsf;
mod openapi;
mod parked_bodies;
mod passwords;
mod pitfalls;
mod refresh;
mod removed_clients;
mod sessions;
mod storm;
mod throttled_names;
mod throttles;
mod throttling;
mod unrecognised_logins;
mod verify;
mod well_known;

/// Compares with the reviewed text of this name in `tests/snapshots/`; it is the same for both databases.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
