//! A real Vigie whose database can be taken away.

use std::net::SocketAddr;

use super::backend::Backend::{self, Sqlite};
use super::program::{Program, Server};
use super::proxy::Proxy;
use super::until::until;

/// A Vigie whose database can be taken away.
pub struct Lookout {
    pub program: Program,
    pub line: Option<Proxy>,
}

impl Lookout {
    pub fn new(backend: Backend) -> Self {
        let program = Program::new(backend)
            .with("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1")
            // Every check is a query, and gives up early: what a node answers while its lease lasts is in `coherence`.
            .with("VIGIE__NODES__LIVE_VIEW", "false")
            .with("VIGIE__DATABASE__WAIT", "2s");
        if backend == Sqlite {
            return Self { program, line: None };
        }
        let (line, url) = Proxy::in_front_of(&program.database.url);
        Self { program: program.with("DATABASE_URL", &url), line: Some(line) }
    }

    /// A token that has expired by the time it is used.
    pub async fn expired_token(&self) -> String {
        let mut command = self.program.command(&["serve"]);
        command.env("VIGIE__TOKENS__ACCESS_TTL", "1s");
        let server = Server::start(command, self.program.path("first.log"));
        let token = server.token("alice").await;
        let expired = async || server.get("/auth/me", &token).await.body.contains("token_expired");
        until("the token has expired", expired).await;
        server.stop();
        token
    }
}

/// Where it listens.
pub fn address(server: &Server) -> SocketAddr {
    server.url.trim_start_matches("http://").parse().expect("an address")
}
