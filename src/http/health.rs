//! For operators: is the process alive, and would it refuse work?

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// Whether the server would refuse work, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthAnswer {
    /// `ok` or `unavailable`.
    status: &'static str,
    /// `memory` while this node holds a lease, `store` while every check is a query.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'static str>,
    /// What is missing.
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
    let reason = if app.store.ping().await.is_err() {
        Some("the database does not answer")
    } else if app.sessions.signing().current().await.is_err() {
        Some("no key can sign tokens")
    } else {
        None
    };
    let checks = Some(if app.sessions.is_live() { "memory" } else { "store" });
    match reason {
        None => HttpResponse::Ok().json(HealthAnswer { status: "ok", checks, reason: None }),
        Some(_) => HttpResponse::ServiceUnavailable().json(HealthAnswer { status: "unavailable", checks, reason }),
    }
}
