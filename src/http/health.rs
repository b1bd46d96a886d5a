//! For operators: is the process alive, and would it refuse work?

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::store::StoreError;

/// Whether the server would refuse work, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthAnswer {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// `memory` while this node holds a lease, `store` while every check is a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'static str>,
    /// What this node lacks, where it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The process answers.
#[utoipa::path(tag = "operators", responses((status = 200, description = "Alive", body = HealthAnswer)))]
#[get("/health/live")]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(HealthAnswer { status: "ok", checks: None, reason: None })
}

/// Requests will be served.
#[utoipa::path(
    tag = "operators",
    responses((status = 200, description = "Ready", body = HealthAnswer), (status = 503, description = "Work would be refused", body = HealthAnswer))
)]
#[get("/health/ready")]
pub async fn ready(app: web::Data<App>) -> HttpResponse {
    let reason = why_not(&app).await;
    let checks = Some(if app.coherence.is_live() { "memory" } else { "store" });
    match reason {
        None => HttpResponse::Ok().json(HealthAnswer { status: "ok", checks, reason: None }),
        Some(_) => HttpResponse::ServiceUnavailable().json(HealthAnswer { status: "unavailable", checks, reason }),
    }
}

const NO_ANSWER: &str = "the database does not answer";
const READ_ONLY: &str = "the database is read-only: a newer primary may be elsewhere";
const NOT_RENEWED: &str = "this node cannot renew its lease: the database may have been left behind by a failover";
const FULL: &str = "the disk of the database is full: logins, refreshes and logouts fail";
const NO_WRITES: &str = "the database takes no writes: logins, refreshes and logouts fail";

/// Why work would be refused, if it would.
async fn why_not(app: &App) -> Option<&'static str> {
    match app.store.ping().await {
        Err(StoreError::ReadOnly(_)) => {
            app.coherence.require_store_confirmation();
            return Some(READ_ONLY);
        }
        Err(_) => return Some(NO_ANSWER),
        Ok(()) => {}
    }
    if let Err(error) = app.coherence.confirm_store().await {
        return Some(if let StoreError::ReadOnly(_) = error { READ_ONLY } else { NOT_RENEWED });
    }
    match app.coherence.write_fault() {
        Some(StoreError::Full(_)) => return Some(FULL),
        Some(StoreError::ReadOnly(_)) => return Some(READ_ONLY),
        Some(_) => return Some(NO_WRITES),
        None => {}
    }
    app.sessions.signing().current().await.is_err().then_some("no key can sign tokens")
}
