//! HTTP in, HTTP out. Knows actix; knows no SQL. A handler parses, calls one operation, renders.

pub mod admin;
pub mod api_document;
pub mod asked;
pub mod auth;
pub mod authenticate;
mod connection;
pub mod error;
mod export;
pub mod health;
pub mod input;
mod limits;
pub mod metrics;
pub mod middleware;
mod no_length;
pub mod oauth;
pub mod openapi;
pub mod paging;
pub mod problem;
pub mod problems;
pub mod remote_address;
mod request_extension;
mod request_id;
pub mod routes;
pub mod server;
mod step_up;
mod upgrade;
