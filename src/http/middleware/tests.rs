//! The middleware as a whole: what it adds to each answer, and what it leaves in the log and the metrics.

use actix_web::body::to_bytes;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{HttpServer, web};
use chrono::DateTime;
use rstest::rstest;
use serde_json::Value;

use super::*;
use crate::clock::ManualClock;
use crate::config::LogFormat;
use crate::http::problem::Problem;
use crate::telemetry::CapturedLog;

/// An answer, whether it came from a handler or as an error from below.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn context(https: bool) -> Arc<HttpContext> {
    Arc::new(HttpContext {
        clock: Arc::new(ManualClock::at(DateTime::from_timestamp(1_800_000_000, 0).unwrap())),
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        metrics: Arc::new(Metrics::default()),
        https,
        resource_metadata: None,
    })
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/items/{id}", web::get().to(|| async { "an item" }))
        .route("/items", web::post().to(|_: web::Json<Value>| async { "made" }))
        .route("/whoami", web::get().to(who_am_i))
        .route("/panic", web::get().to(panics))
        .route("/unavailable", web::get().to(HttpResponse::ServiceUnavailable))
        .route("/page", web::get().to(page))
        .route("/problem", web::get().to(refuses))
        .app_data(web::JsonConfig::default().limit(16));
}

async fn who_am_i(extension: RequestExtension) -> String {
    format!("{} {}", extension.identity.as_str(), extension.remote.client)
}

async fn panics() -> HttpResponse {
    panic!("the reason\r\nFAKE")
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'self'"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .finish()
}

async fn refuses() -> HttpResponse {
    Problem::new(StatusCode::FORBIDDEN, "not_allowed", "Not allowed", "You may not.").response()
}

async fn ask_of(context: &Arc<HttpContext>, origins: &[&str], request: TestRequest) -> Answer {
    let origins: Vec<String> = origins.iter().map(ToString::to_string).collect();
    let app = init_service(wrap(App::new().configure(routes), context, &origins)).await;
    let response = match try_call_service(&app, request.to_request()).await {
        Ok(response) => response.into_parts().1.map_into_boxed_body(),
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status(), response.headers().clone());
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn ask(request: TestRequest) -> Answer {
    ask_of(&context(false), &[], request).await
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).peer_addr("198.51.100.7:4711".parse().unwrap())
}

fn too_large() -> TestRequest {
    TestRequest::post().uri("/items").set_json("x".repeat(100))
}

#[rstest]
#[case::found(get("/items/1"), 200)]
#[case::no_such_route(get("/nowhere"), 404)]
#[case::too_large(too_large(), 413)]
#[case::panic(get("/panic"), 500)]
#[case::unavailable(get("/unavailable"), 503)]
#[actix_web::test]
async fn every_answer_has_an_id_and_the_security_headers(#[case] request: TestRequest, #[case] status: u16) {
    let answer = ask(request).await;
    assert_eq!(answer.status.as_u16(), status);
    assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    for name in ["server", "x-powered-by", "strict-transport-security", "access-control-allow-origin", "vary"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[actix_web::test]
async fn a_route_may_set_its_own_policy_and_caching() {
    let answer = ask(get("/page")).await;
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.headers.get_all("cache-control").count(), 1);
}

#[actix_web::test]
async fn https_is_insisted_on_only_where_people_use_it() {
    let answer = ask_of(&context(true), &[], get("/items/1")).await;
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
}

#[rstest]
#[case::trusted_proxy("10.0.0.1", "edge-42", true)]
#[case::trusted_proxy_but_malformed("10.0.0.1", "edge 42", false)]
#[case::stranger("198.51.100.7", "edge-42", false)]
#[actix_web::test]
async fn only_a_trusted_proxy_names_a_request(#[case] peer: &str, #[case] id: &str, #[case] kept: bool) {
    let peer = format!("{peer}:80").parse().unwrap();
    let request = TestRequest::get().uri("/whoami").peer_addr(peer).insert_header(("x-request-id", id));
    let answer = ask(request).await;
    assert_eq!(answer.header("x-request-id") == Some(id), kept);
}

#[actix_web::test]
async fn handlers_know_the_request_and_its_client() {
    let request = TestRequest::get().uri("/whoami").peer_addr("10.0.0.1:80".parse().unwrap());
    let answer = ask(request.insert_header(("x-forwarded-for", "192.0.2.66, 192.0.2.1"))).await;
    assert_eq!(answer.body, format!("{} 192.0.2.1", answer.header("x-request-id").unwrap()));
}

#[actix_web::test]
async fn a_problem_names_its_request() {
    let answer = ask(get("/problem")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(answer.json()["code"], "not_allowed");
}

#[actix_web::test]
async fn requests_are_counted_by_the_pattern_of_their_route() {
    let context = context(false);
    for path in ["/items/1", "/items/2?token=secret", "/nowhere", "/panic"] {
        ask_of(&context, &[], get(path)).await;
    }
    let invented = TestRequest::default().method(Method::from_bytes(b"INVENTED").unwrap()).uri("/nowhere");
    ask_of(&context, &[], invented).await;
    let text = context.metrics.encode();
    for line in [
        r#"vigie_http_requests_total{method="GET",route="/items/{id}",status="2xx"} 2"#,
        r#"vigie_http_requests_total{method="GET",route="none",status="4xx"} 1"#,
        r#"vigie_http_requests_total{method="GET",route="none",status="5xx"} 1"#,
        r#"vigie_http_requests_total{method="other",route="none",status="4xx"} 1"#,
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

/// The lines that a request leaves in the log.
async fn logged(request: TestRequest) -> Vec<Value> {
    let kept = CapturedLog::default();
    let _guard = tracing::dispatcher::set_default(&kept.dispatch(LogFormat::Json));
    ask(request).await;
    kept.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn a_request_leaves_one_line_that_tells_no_secret() {
    let request = get("/items/secret-id?token=secret").insert_header(("authorization", "Bearer secret"));
    let lines = logged(request).await;
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["target"], "vigie::access");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["http.method"], "GET");
    assert_eq!(line["http.route"], "/items/{id}");
    assert_eq!(line["http.status"], 200);
    assert_eq!(line["client.address"], "198.51.100.7");
    assert_eq!(line["request.id"].as_str().unwrap().len(), 36);
    assert!(line["duration_ms"].as_f64().unwrap() >= 0.0);
    assert!(!line.to_string().contains("secret"));
}

#[actix_web::test]
async fn a_failure_of_the_server_is_logged_as_an_error() {
    assert_eq!(logged(get("/unavailable")).await[0]["level"], "ERROR");
    assert_eq!(logged(get("/nowhere")).await[0]["level"], "INFO");
}

#[actix_web::test]
async fn a_panic_is_logged_under_its_request_and_told_to_nobody() {
    let lines = logged(get("/panic")).await;
    let panic = lines.iter().find(|line| line["message"] == "a handler panicked").unwrap();
    let access = lines.iter().find(|line| line["target"] == "vigie::access").unwrap();
    assert_eq!(panic["request.id"], access["request.id"]);
    assert_eq!(panic["panic"], "the reason\r\nFAKE");
    assert_eq!(access["level"], "ERROR");

    let answer = ask(get("/panic")).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], "internal_error");
    assert!(!answer.body.contains("reason"));
}

#[actix_web::test]
async fn a_worker_survives_a_panic() {
    let context = context(false);
    let server = HttpServer::new(move || wrap(App::new().configure(routes), &context, &[]));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let task = actix_web::rt::spawn(server);
    for (path, status) in [("panic", 500), ("items/1", 200), ("panic", 500), ("items/1", 200)] {
        let answer = reqwest::get(format!("http://{address}/{path}")).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert!(answer.headers().contains_key("x-request-id"));
        assert!(answer.headers().contains_key("content-security-policy"));
        assert!(!answer.headers().contains_key("server"));
        if status == 500 {
            let id = answer.headers()["x-request-id"].clone();
            assert_eq!(answer.json::<Value>().await.unwrap()["request_id"], id.to_str().unwrap());
        }
    }
    handle.stop(true).await;
    task.await.unwrap().unwrap();
}

const ALLOWED: &str = "https://app.example";

fn preflight(origin: &str, method: &str, headers: &str) -> TestRequest {
    TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/items/1")
        .insert_header(("origin", origin))
        .insert_header(("access-control-request-method", method))
        .insert_header(("access-control-request-headers", headers))
}

#[actix_web::test]
async fn without_origins_cors_does_not_exist() {
    let call = ask(get("/items/1").insert_header(("origin", ALLOWED))).await;
    let preflight = ask(preflight(ALLOWED, "GET", "authorization")).await;
    assert_eq!(call.status, StatusCode::OK);
    assert_eq!(preflight.status, StatusCode::NOT_FOUND);
    for answer in [call, preflight] {
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control") || name == "vary"));
    }
}

#[actix_web::test]
async fn a_listed_origin_may_call_without_cookies() {
    let answer = ask_of(&context(false), &[ALLOWED], get("/items/1").insert_header(("origin", ALLOWED))).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["x-request-id", "retry-after", "www-authenticate"] {
        assert!(exposed.contains(name), "{name}");
    }
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        let request = preflight(ALLOWED, method, "authorization, content-type, x-request-id");
        let answer = ask_of(&context(false), &[ALLOWED], request).await;
        assert_eq!(answer.status, StatusCode::OK, "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
        assert!(answer.header("x-request-id").is_some());
    }
}

#[rstest]
#[case::method(preflight(ALLOWED, "PUT", "authorization"))]
#[case::header(preflight(ALLOWED, "GET", "cookie"))]
#[case::origin(preflight("https://evil.example", "GET", "authorization"))]
#[actix_web::test]
async fn a_preflight_for_anything_else_is_refused(#[case] request: TestRequest) {
    let answer = ask_of(&context(false), &[ALLOWED], request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert!(answer.header("x-request-id").is_some());
}

#[rstest]
#[actix_web::test]
async fn no_other_origin_is_let_in(
    #[values(
        "null",
        "*",
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "https://evil-app.example",
        "https://sub.app.example",
        "https://app.example/"
    )]
    origin: &str,
) {
    let origins = [ALLOWED, "null", "*"];
    let answer = ask_of(&context(false), &origins, get("/items/1").insert_header(("origin", origin))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
