//! The table of errors: variant, status, code, text, header. Codes are what clients rely on (API-01).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpRequest, ResponseError as _, test, web};
use serde_json::Value;
use vigie::clock::SystemClock;
use vigie::config::Config;
use vigie::http::error::ApiError;
use vigie::http::middleware::{self, HttpContext};
use vigie::telemetry::Metrics;

use super::snapshot;

/// One of each kind.
fn every_error() -> Vec<ApiError> {
    vec![
        ApiError::Malformed("The text of the moment.".to_owned()),
        ApiError::CredentialsRequired,
        ApiError::TokenInvalid,
        ApiError::TokenExpired,
        ApiError::SessionEnded,
        ApiError::InvalidCredentials,
        ApiError::InvalidClient,
        ApiError::ReauthenticationRequired(Duration::from_mins(10)),
        ApiError::NotAllowed,
        ApiError::PasswordChangeRequired,
        ApiError::NotFound,
        ApiError::NoCheckpoint,
        ApiError::MethodNotAllowed("GET, POST".to_owned()),
        ApiError::Conflict("The text of the moment."),
        ApiError::TooSlow,
        ApiError::TooLarge,
        ApiError::HeadTooLarge,
        ApiError::UnsupportedMediaType,
        ApiError::invalid("/member", "does not fit"),
        ApiError::TooManyAttempts(Duration::from_secs(61)),
        ApiError::Unavailable,
    ]
}

/// The variant's name. A new variant does not compile until it has a row above.
const fn name(error: &ApiError) -> &'static str {
    match error {
        ApiError::Malformed(_) => "Malformed",
        ApiError::CredentialsRequired => "CredentialsRequired",
        ApiError::TokenInvalid => "TokenInvalid",
        ApiError::TokenExpired => "TokenExpired",
        ApiError::SessionEnded => "SessionEnded",
        ApiError::InvalidCredentials => "InvalidCredentials",
        ApiError::InvalidClient => "InvalidClient",
        ApiError::ReauthenticationRequired(_) => "ReauthenticationRequired",
        ApiError::NotAllowed => "NotAllowed",
        ApiError::PasswordChangeRequired => "PasswordChangeRequired",
        ApiError::NotFound => "NotFound",
        ApiError::NoCheckpoint => "NoCheckpoint",
        ApiError::MethodNotAllowed(_) => "MethodNotAllowed",
        ApiError::Conflict(_) => "Conflict",
        ApiError::TooSlow => "TooSlow",
        ApiError::TooLarge => "TooLarge",
        ApiError::HeadTooLarge => "HeadTooLarge",
        ApiError::UnsupportedMediaType => "UnsupportedMediaType",
        ApiError::Invalid(_) => "Invalid",
        ApiError::TooManyAttempts(_) => "TooManyAttempts",
        ApiError::Unavailable => "Unavailable",
    }
}

async fn fail(request: HttpRequest) -> Result<actix_web::HttpResponse, ApiError> {
    let number: usize = request.match_info().get("number").and_then(|text| text.parse().ok()).expect("a number");
    Err(every_error()[number].clone())
}

/// Through the middleware, as every answer goes.
#[actix_web::test]
async fn the_table_of_errors() {
    let config = Config::load(None, Vec::<(String, String)>::new()).expect("the defaults are valid");
    let context = Arc::new(HttpContext::new(&config, Arc::new(SystemClock), Arc::new(Metrics::default())));
    let app = middleware::wrap(App::new().route("/{number}", web::get().to(fail)), &context, &[]);
    let app = test::init_service(app).await;
    let mut table = String::new();
    for (number, error) in every_error().iter().enumerate() {
        let request = test::TestRequest::get().uri(&format!("/{number}")).to_request();
        let response = test::call_service(&app, request).await;
        let status = response.status();
        assert_eq!(status, error.status_code());
        let headers = ["www-authenticate", "retry-after", "allow"].map(|name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(format!("  {name}: {value}"))
        });
        let body: Value = test::read_body_json(response).await;
        assert_eq!(body["status"], status.as_u16());
        assert_eq!(body["type"], format!("urn:vigie:problem:{}", error.code()));
        assert_eq!(body["code"], error.code());
        let text = [&body["title"], &body["detail"], &body["errors"]].map(|text| text.to_string().replace('"', ""));
        let headers: String = headers.into_iter().flatten().collect();
        writeln!(table, "{:<24} {} {}  {}{headers}", name(error), status.as_u16(), error.code(), text.join(" | "))
            .expect("a String takes everything");
    }
    snapshot("errors", &table.replace(" | null", ""));
}
