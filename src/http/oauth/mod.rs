//! For client applications, by the published standards: they authenticate (RFC 6749, RFC 7523), ask whether a token is good
//! (RFC 7662, RFC 9701), and revoke one (RFC 7009). Bodies are forms, errors those of RFC 6749.

mod client_authentication;
pub(super) mod error;
pub mod introspect;
pub mod revoke;

pub(super) use client_authentication::basic_credentials;
