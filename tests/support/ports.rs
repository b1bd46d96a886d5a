//! Addresses for programs that are told where to listen.

use std::net::{SocketAddr, TcpListener};

/// A port of this machine that nobody has at the moment.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
