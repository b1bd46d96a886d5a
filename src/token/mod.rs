//! What an access token says, and whether to believe it. Pure: no input or output, and time is an argument.
//!
//! A token passes `compact` (its form, read strictly), `keys` (its signature), `claims` (what it says) and `verify`
//! (whether that is meant for us, and now). Whether its session is still alive is not known here.

pub mod claims;
pub mod client_assertion;
pub mod client_keys;
mod compact;
pub mod issue;
pub mod keys;
pub mod refresh;
pub mod refusal;
pub mod session_cookie;
#[cfg(test)]
mod support;
pub mod verify;
