//! `GET /metrics`, for a listener of its own: what it tells is for operators only.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{Data, ServiceConfig, get, head};
use actix_web::{HttpResponse, Responder};

use crate::telemetry::Metrics;

/// The media type of the `OpenMetrics` text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes of the listener: `App::new().configure(routes(metrics))`.
pub fn routes(metrics: Arc<Metrics>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config.app_data(Data::from(metrics)).route("/metrics", get().to(show)).route("/metrics", head().to(show));
    }
}

async fn show(metrics: Data<Metrics>) -> impl Responder {
    HttpResponse::Ok()
        .content_type(OPENMETRICS)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(metrics.encode())
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    #[actix_web::test]
    async fn the_listener_shows_the_metrics_and_nothing_else() {
        let metrics = Arc::new(Metrics::default());
        metrics.login("success");
        let app = init_service(App::new().configure(routes(metrics))).await;

        let response = call_service(&app, TestRequest::get().uri("/metrics").to_request()).await;
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), OPENMETRICS);
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        assert!(body.contains("vigie_logins_total{outcome=\"success\"} 1\n"), "{body}");
        assert!(body.ends_with("# EOF\n"));

        let head = TestRequest::default().method(actix_web::http::Method::HEAD).uri("/metrics").to_request();
        assert_eq!(call_service(&app, head).await.status().as_u16(), 200);

        let other = call_service(&app, TestRequest::get().uri("/health/live").to_request()).await;
        assert_eq!(other.status().as_u16(), 404);
    }
}
