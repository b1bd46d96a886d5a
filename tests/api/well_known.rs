//! What is published for programs: the public keys and the metadata (JWT-09, TOK-13).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vigie::model::audit::AuditContext;

use crate::support::app::{Answer, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;

const KEYS: &str = "/.well-known/jwks.json";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// The names of the published keys, in order.
async fn published(app: &TestApp) -> Vec<String> {
    let set = app.nobody().get(KEYS).await.expect(200);
    let name = |key: &Value| key["kid"].as_str().expect("a name").to_owned();
    let mut names: Vec<String> = set["keys"].as_array().expect("keys").iter().map(name).collect();
    names.sort();
    names
}

/// The name of the key that signed a token.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default()).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a name").to_owned()
}

/// RFC 7638 §3: of the required members alone, in the order of their names, without blanks.
fn thumbprint(key: &Value) -> String {
    let required: &[&str] = match key["kty"].as_str() {
        Some("EC") => &["crv", "kty", "x", "y"],
        Some("OKP") => &["crv", "kty", "x"],
        _ => &["e", "kty", "n"],
    };
    let members = required.iter().map(|name| format!("\"{name}\":{}", key[name])).collect::<Vec<_>>().join(",");
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{{{members}}}")))
}

#[rstest]
#[actix_web::test]
async fn jwt_09_the_published_keys_are_public_and_bear_their_thumbprint(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("ES256", "EdDSA", "RS256")] algorithm: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ALGORITHM", algorithm)]).await;
    let alice = app.signed_in("alice").await;
    let answer = app.nobody().get(KEYS).await;
    assert_eq!(answer.header("content-type"), Some("application/jwk-set+json"));
    let set = answer.expect(200);
    let [key] = set["keys"].as_array().expect("keys").as_slice() else { panic!("one key: {set}") };
    for secret in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(key.get(secret), None, "{secret}");
    }
    assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm), &json!("sig")));
    assert_eq!(key["kid"], json!(thumbprint(key)));
    assert_eq!(key["kid"], json!(kid(alice.token())));
}

/// What an application may share, or what this one made: no secret is ever published.
#[rstest]
#[actix_web::test]
async fn jwt_09_a_shared_secret_is_published_as_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ALGORITHM", "HS256")]).await;
    app.signed_in("alice").await;
    assert_eq!(app.nobody().get(KEYS).await.expect(200), json!({ "keys": [] }));
    let metadata = app.nobody().get(SERVER).await.expect(200);
    assert_eq!(metadata.get("introspection_signing_alg_values_supported"), None);
}

/// The set is what a check accepts: the current key, those that verify until the last of their tokens has expired, on each node.
#[rstest]
#[actix_web::test]
async fn jwt_09_the_set_is_what_a_check_accepts(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let node = app.another_node().await;
    let both = async |expected: &[&String]| {
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(published(&app).await, expected);
        assert_eq!(published(&node).await, expected);
    };
    let context = AuditContext::command_line();
    let first = kid(app.signed_in("alice").await.token());
    both(&[&first]).await;
    let second = app.app.sessions.rotate_key(&context).await.expect("a new key");
    both(&[&first, &second]).await;
    // The minute before the new one signs, the longest life of a token, the tolerance, and an hour.
    app.advance(TimeDelta::seconds(60 + 600 + 10 + 3600 - 1));
    both(&[&first, &second]).await;
    app.advance(TimeDelta::seconds(1));
    both(&[&second]).await;
    let third = app.app.sessions.rotate_key(&context).await.expect("a new key");
    both(&[&second, &third]).await;
    assert!(app.app.sessions.revoke_key(&second, &context).await.expect("the store answers"));
    both(&[&third]).await;
    // The last one: another takes its place at once.
    assert!(node.app.sessions.revoke_key(&third, &context).await.expect("the store answers"));
    let last = kid(app.log_in("alice").await.token());
    both(&[&last]).await;
}

/// The set is kept for a minute and an answer says which one it is; a key verifies for longer than that after it has signed last.
#[rstest]
#[actix_web::test]
async fn what_is_published_may_be_kept_for_a_while(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for (path, kept) in [(KEYS, 60), (SERVER, 3600), (RESOURCE, 3600)] {
        let answer = app.nobody().get(path).await;
        let kept = format!("public, max-age={kept}, must-revalidate");
        assert_eq!(answer.header("cache-control"), Some(kept.as_str()), "{path}");
        let tag = answer.header("etag").expect("a tag").to_owned();
        let again = async |tag: &str| send(app.nobody().request(Method::GET, path).header("if-none-match", tag)).await;
        for same in [tag.as_str(), "*", &format!("\"other\", W/{tag}")] {
            let unchanged = again(same).await;
            assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""), "{path}: {same}");
            assert_eq!((unchanged.header("etag"), unchanged.header("cache-control")), (Some(&*tag), Some(&*kept)));
        }
        for other in ["\"other\"", "other"] {
            assert_eq!(again(other).await.body, answer.body, "{path}: {other}");
        }
        let head = send(app.nobody().request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", Some(tag.as_str())), "{path}");
        app.nobody().post_empty(path).await.problem(405, "method_not_allowed");
    }
    let before = app.nobody().get(KEYS).await;
    app.app.sessions.rotate_key(&AuditContext::command_line()).await.expect("a new key");
    let changed =
        send(app.nobody().request(Method::GET, KEYS).header("if-none-match", before.header("etag").expect("a tag")));
    assert_eq!(changed.await.status, 200);
}

/// P4: where nobody knows whether a key was revoked meanwhile, there is no set.
#[actix_web::test]
async fn p4_without_the_store_no_keys_are_published() {
    let settings = [("VIGIE__DATABASE__WAIT", "300ms"), ("VIGIE__NODES__LIVE_VIEW", "false")];
    let (app, proxy) = TestApp::behind_proxy(&settings).await;
    assert_eq!(published(&app).await.len(), 1);
    proxy.cut();
    let answer = app.nobody().get(KEYS).await;
    assert_eq!((answer.header("retry-after"), answer.header("cache-control")), (Some("2"), Some("no-store")));
    answer.problem(503, "unavailable");
    // What says nothing of the store is told without it.
    app.nobody().get(SERVER).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn tok_13_the_metadata_is_correct(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let base = "http://127.0.0.1:8080";
    let (methods, algorithms) =
        (["client_secret_basic", "client_secret_post", "private_key_jwt"], ["ES256", "EdDSA", "RS256", "PS256"]);
    let server = app.nobody().get(SERVER).await;
    assert_eq!(server.header("content-type"), Some("application/json"));
    let server = server.expect(200);
    let expected = json!({
        "issuer": base,
        "jwks_uri": format!("{base}{KEYS}"),
        "response_types_supported": [],
        "grant_types_supported": [],
        "introspection_endpoint": format!("{base}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": ["ES256"],
        "revocation_endpoint": format!("{base}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    assert_eq!(server, expected);
    let resource = app.nobody().get(RESOURCE).await.expect(200);
    let expected = json!({
        "resource": base, "authorization_servers": [base], "bearer_methods_supported": ["header"], "resource_name": "Vigie",
    });
    assert_eq!(resource, expected);
    let refused = app.nobody().get("/auth/me").await;
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert_eq!(challenge, format!("Bearer resource_metadata=\"{base}{RESOURCE}\""));
    let keys = server["jwks_uri"].as_str().and_then(|uri| uri.strip_prefix(base)).expect("an address of ours");
    app.nobody().get(keys).await.expect(200);
    app.nobody().get(&format!("{SERVER}/")).await.problem(404, "not_found");
    app.nobody().get(&format!("{SERVER}/tenant")).await.problem(404, "not_found");
}

/// RFC 8414 §3.1, RFC 9728 §3.1: the well-known text goes between the host and the path. A proxy may also cut our path off.
#[rstest]
#[actix_web::test]
async fn tok_13_an_issuer_with_a_path_is_found_behind_the_well_known_text(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__PUBLIC_URL", "https://example.org/vigie/")]).await;
    for path in [SERVER.to_owned(), format!("{SERVER}/vigie")] {
        let server = app.nobody().get(&path).await.expect(200);
        assert_eq!(server["issuer"], "https://example.org/vigie");
        assert_eq!(server["jwks_uri"], "https://example.org/vigie/.well-known/jwks.json");
    }
    for path in [RESOURCE.to_owned(), format!("{RESOURCE}/vigie")] {
        assert_eq!(app.nobody().get(&path).await.expect(200)["resource"], "https://example.org/vigie");
    }
    for path in ["/other", "/vigie/", "/vigie/other", "/%76igie"] {
        app.nobody().get(&format!("{SERVER}{path}")).await.problem(404, "not_found");
        app.nobody().get(&format!("{RESOURCE}{path}")).await.problem(404, "not_found");
    }
    let refused = app.nobody().get("/auth/me").await;
    let challenge = "Bearer resource_metadata=\"https://example.org/.well-known/oauth-protected-resource/vigie\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
}

/// RFC 8414 §3.3: metadata is believed only where its issuer is. The keys are published all the same.
#[rstest]
#[actix_web::test]
async fn tok_13_an_issuer_elsewhere_has_no_metadata_here(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("https://id.example.org", "vigie")] issuer: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ISSUER", issuer)]).await;
    for path in [SERVER, RESOURCE] {
        app.nobody().get(path).await.problem(404, "not_found");
    }
    app.nobody().get(KEYS).await.expect(200);
    assert_eq!(app.nobody().get("/auth/me").await.header("www-authenticate"), Some("Bearer"));
}

#[rstest]
#[actix_web::test]
async fn tok_13_the_start_warns_of_an_issuer_elsewhere(#[values(Sqlite, Postgres)] backend: Backend) {
    let warned = |program: Program| program.serve().log().contains("clients find no metadata");
    assert!(warned(Program::new(backend).with("VIGIE__TOKENS__ISSUER", "https://id.example.org")));
    assert!(!warned(Program::new(backend)));
}

/// WEB-04: pages of the listed origins may read them, and no others.
#[rstest]
#[actix_web::test]
async fn web_04_the_pages_of_listed_origins_read_what_is_published(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__CORS_ORIGINS", "https://app.example.org")]).await;
    let from = async |path: &str, origin: &str| -> Answer {
        send(app.nobody().request(Method::GET, path).header("origin", origin)).await
    };
    for path in [KEYS, SERVER, RESOURCE] {
        let answer = from(path, "https://app.example.org").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.org"), "{path}");
        let answer = from(path, "https://other.example.org").await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None), "{path}");
    }
}
