//! A web address that takes shipments, or refuses them.

use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::Value;

/// One POST.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: String,
}

impl Received {
    /// What was sent.
    pub fn events(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).expect("a JSON array")
    }
}

/// A receiver that answers as it is told.
pub struct Receiver {
    /// Where it is.
    pub url: String,
    state: Arc<State>,
    running: ServerHandle,
}

struct State {
    answer: Mutex<StatusCode>,
    received: Mutex<Vec<Received>>,
}

impl Receiver {
    /// One that answers 204.
    pub fn start() -> Self {
        let state = Arc::new(State { answer: Mutex::new(StatusCode::NO_CONTENT), received: Mutex::default() });
        let shared = Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::post().to(take)));
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/events?key=canary", server.addrs()[0]);
        let server = server.run();
        let running = server.handle();
        actix_web::rt::spawn(server);
        Self { url, state, running }
    }

    /// How it answers from now on.
    pub fn answer(&self, status: StatusCode) {
        *self.state.answer.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// What has come, in whatever way it was answered.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.running.stop(false));
    }
}

async fn take(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).expect("a header").to_owned();
    let received = Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().expect("seconds"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body.to_vec()).expect("UTF-8"),
    };
    assert_eq!(header("content-type"), "application/json");
    state.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    let mut answer = HttpResponse::build(*state.answer.lock().unwrap_or_else(PoisonError::into_inner));
    answer.insert_header(("location", "/elsewhere")).finish()
}
