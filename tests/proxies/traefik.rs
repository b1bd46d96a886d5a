//! Traefik is not to be had here: what its forwardAuth sends, as `examples/proxies/traefik.yaml` has it, is sent by hand.

use rstest::rstest;

use super::wire::Question;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// The question that Traefik asks about a POST with a body: always a GET without one, its own headers, and of the request's only
/// those in `authRequestHeaders`.
fn question(token: Option<&str>) -> Question<'static> {
    let question = Question::get("/auth/verify")
        .with("User-Agent", "Go-http-client/1.1")
        .with("X-Forwarded-For", "203.0.113.9")
        .with("X-Forwarded-Host", "app.example.org")
        .with("X-Forwarded-Method", "POST")
        .with("X-Forwarded-Port", "443")
        .with("X-Forwarded-Proto", "https")
        .with("X-Forwarded-Uri", "/send?to=all&access_token=of-the-application")
        .with("Accept-Encoding", "gzip");
    match token {
        Some(token) => question.bearer(token),
        None => question,
    }
}

#[rstest]
#[actix_web::test]
async fn p9_what_traefik_asks_is_answered(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let alice = app.signed_in("alice").await;
    let told = question(Some(alice.token())).ask(app.address).await;
    assert_eq!((told.status, told.body.as_str()), (200, ""));
    assert_eq!(told.header("x-auth-username"), Some("alice"));
    assert_eq!(told.header("x-auth-session-id"), Some(alice.session_id.as_str()));
    assert_eq!(question(None).ask(app.address).await.status, 401);
    alice.post_empty("/auth/logout").await.expect(204);
    let ended = question(Some(alice.token())).ask(app.address).await;
    assert_eq!(ended.status, 401);
    assert!(ended.header("www-authenticate").is_some_and(|challenge| challenge.contains("invalid_token")), "{ended:?}");
}
