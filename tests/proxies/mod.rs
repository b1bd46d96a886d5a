//! The recipes of `examples/proxies` and `examples/gate`: the real programs, in front of an application, with a real Vigie as their
//! lookout.

pub mod application;
mod forward_auth;
pub mod front;
pub mod gate;
mod introspection;
mod local_tokens;
mod tls;
mod traefik;
mod wire;
