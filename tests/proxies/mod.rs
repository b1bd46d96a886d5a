//! The recipes of `examples/proxies`: the real programs, in front of an application, with a real Vigie as their lookout.

mod application;
mod forward_auth;
mod front;
mod introspection;
mod local_tokens;
mod tls;
mod traefik;
mod wire;
