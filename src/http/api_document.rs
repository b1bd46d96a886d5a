//! The OpenAPI document, as it is served.

use actix_web::{HttpResponse, get, web};
use utoipa::openapi::OpenApi;

/// The document as served, written once.
#[derive(Debug, Clone)]
pub struct Document(pub web::Bytes);

impl Document {
    /// Writes the document.
    ///
    /// # Panics
    /// Never: the document is plain data.
    #[must_use]
    pub fn new(document: &OpenApi) -> Self {
        Self(web::Bytes::from(serde_json::to_vec(document).expect("the document is JSON: a test reads it")))
    }
}

/// This document.
#[utoipa::path(tag = "operators", responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
#[get("/openapi.json")]
pub async fn openapi_json(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.0.clone())
}
