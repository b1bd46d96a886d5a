//! TLS in front of Vigie, for programs that take nothing else.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::support::certificates::{Certificates, acceptor};

/// Takes TLS and passes on what is in it, as long as the test runs.
pub struct Tls {
    directory: tempfile::TempDir,
    pub address: SocketAddr,
}

impl Tls {
    pub fn in_front_of(target: SocketAddr) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Certificates::write(directory.path());
        let acceptor = acceptor(directory.path());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                actix_web::rt::spawn(async move {
                    let mut outside = acceptor.accept(stream).await.ok()?;
                    let mut inside = TcpStream::connect(target).await.ok()?;
                    copy_bidirectional(&mut outside, &mut inside).await.ok()
                });
            }
        });
        Self { directory, address }
    }

    /// The authority that signed the certificate.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root.crt")
    }
}
