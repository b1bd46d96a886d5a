//! A syslog collector, as others build them: it reads frames until its client has written the last, then closes.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::support::certificates::acceptor;
use crate::support::until::until;

type Messages = Arc<Mutex<Vec<String>>>;

/// A collector that may go away and come back at the same address.
pub struct Collector {
    /// Where it is, or would be.
    pub address: String,
    messages: Messages,
    manner: Manner,
    running: Option<JoinHandle<()>>,
}

/// How a collector behaves.
#[derive(Clone)]
enum Manner {
    Plain,
    Tls(TlsAcceptor),
    /// It takes connections, and nothing from them.
    Hanging,
    /// It breaks off in the middle of the first shipment, and takes the others.
    BreakingOff,
}

impl Collector {
    /// One that takes events in the clear.
    pub async fn plain() -> Self {
        Self::start(Manner::Plain).await
    }

    /// One that takes connections, and nothing from them.
    pub async fn hanging() -> Self {
        Self::start(Manner::Hanging).await
    }

    /// One that breaks off in the middle of the first shipment.
    pub async fn breaking_off() -> Self {
        Self::start(Manner::BreakingOff).await
    }

    /// One with the certificate in a directory.
    pub async fn tls(directory: &Path) -> Self {
        Self::start(Manner::Tls(acceptor(directory))).await
    }

    async fn start(manner: Manner) -> Self {
        // On every address of the machine: it is also reached by one that its certificate does not have.
        let place = if matches!(manner, Manner::Tls(_)) { "0.0.0.0:0" } else { "127.0.0.1:0" };
        let listener = TcpListener::bind(place).await.unwrap();
        let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let mut collector = Self { address, messages: Messages::default(), manner, running: None };
        collector.listen(listener);
        collector
    }

    fn listen(&mut self, listener: TcpListener) {
        self.running = Some(tokio::spawn(accept(listener, self.manner.clone(), Arc::clone(&self.messages))));
    }

    /// Goes away, in the middle of whatever it does.
    pub async fn leave(&mut self) {
        let running = self.running.take().expect("it is there");
        running.abort();
        let _ = running.await;
    }

    /// Comes back, and takes events from now on.
    pub async fn come_back(&mut self) {
        if matches!(self.manner, Manner::Hanging) {
            self.manner = Manner::Plain;
        }
        let listener = TcpListener::bind(&self.address).await.unwrap();
        self.listen(listener);
    }

    /// What it has taken.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The JSON of what it has taken.
    pub fn events(&self) -> Vec<Value> {
        let json = |message: &String| message.splitn(8, ' ').nth(7).map(serde_json::from_str::<Value>);
        self.messages().iter().map(|message| json(message).expect("a message").expect("JSON")).collect()
    }

    /// Waits until it has taken so many.
    pub async fn has(&self, count: usize) {
        let has_come = async || {
            let taken = self.messages().len();
            if taken >= count { Ok(()) } else { Err(taken) }
        };
        until(&format!("{count} messages have come"), has_come).await;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

/// One connection after the other: they end with this.
async fn accept(listener: TcpListener, manner: Manner, messages: Messages) {
    let mut breaks_off = matches!(manner, Manner::BreakingOff);
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        match &manner {
            Manner::Hanging => std::future::pending().await,
            Manner::Tls(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    take(stream, &messages, usize::MAX).await;
                }
            }
            Manner::Plain | Manner::BreakingOff => {
                take(stream, &messages, if breaks_off { 3 } else { usize::MAX }).await;
                breaks_off = false;
            }
        }
    }
}

/// Octet counting (RFC 6587 §3.4.1): the length, a space, as many bytes.
async fn take(mut stream: impl AsyncRead + Unpin, messages: &Messages, most: usize) {
    for _ in 0..most {
        let mut length = 0;
        loop {
            match stream.read_u8().await {
                Ok(b' ') => break,
                Ok(digit) => length = length * 10 + usize::from(digit - b'0'),
                Err(_) => return,
            }
        }
        let mut message = vec![0; length];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        let message = String::from_utf8(message).expect("UTF-8");
        messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}
