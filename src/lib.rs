//! Vigie: an auth server that can always say who logged in, when, from where, with which token, and whether that
//! session is still alive; and where logged out means logged out.

pub mod app;
pub mod audit;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod credential;
pub mod http;
pub mod master_key;
pub mod model;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod user;
pub mod view;
