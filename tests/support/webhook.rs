//! A receiver of webhooks in the test.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

/// The receiver.
pub struct Receiver {
    /// As in `[alerts] webhook_url`.
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    status: Arc<AtomicU16>,
}

impl Receiver {
    pub fn start() -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let status = Arc::new(AtomicU16::new(204));
        let (kept, answered) = (Arc::clone(&received), Arc::clone(&status));
        let take = move |request: HttpRequest, body: String| {
            let header = |name: &str| {
                request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
            };
            let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
            let signature = header("webhook-signature");
            kept.lock().expect("nobody panics").push(Received { id, timestamp, signature, body });
            let status = StatusCode::from_u16(answered.load(Ordering::SeqCst)).expect("a status");
            std::future::ready(HttpResponse::build(status).insert_header(("location", "/elsewhere")).finish())
        };
        let server = HttpServer::new(move || App::new().default_service(web::to(take.clone())));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/hook", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, received, status }
    }

    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("nobody panics").clone()
    }
}
