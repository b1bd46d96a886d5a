//! Whether a token is good, as a client application is told (REV-08 to REV-11, P9).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::DecodingKey;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{BY_QUERY, TestApp, send};
use crate::support::application::form;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::{Forger, claims, header};

const ALL: &[vigie::model::client::Scope] = vigie::model::client::Scope::ALL;

#[rstest]
#[actix_web::test]
async fn rev_08_of_a_good_token_its_claims_and_the_present_name_and_role_are_told(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(&[], BY_QUERY)] settings: &[(&str, &str)],
) {
    let app = TestApp::start_with(backend, settings).await;
    let (crm, root, alice) = (app.application("crm").await, app.admin().await, app.signed_in("alice").await);
    let id = alice.get("/auth/me").await.expect(200)["user"]["id"].as_str().expect("an id").to_owned();
    root.patch(&format!("/admin/users/{id}"), json!({ "username": "alicia", "role": "chef" })).await.expect(200);
    let claims = claims(alice.token());
    let answer = crm.introspect(alice.token()).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let expected = json!({
        "active": true, "iss": "http://127.0.0.1:8080", "aud": "vigie", "sub": id, "username": "alicia",
        "client_id": "vigie", "token_type": "Bearer", "exp": claims["exp"], "iat": claims["iat"], "jti": claims["jti"],
        "sid": alice.session_id, "auth_time": claims["auth_time"], "amr": ["pwd"], "role": "chef",
    });
    assert_eq!(answer.expect(200), expected);
    app.user("bob", "agent").await;
    let bob = crm.log_in("bob").await;
    let of_client = crm.introspect(bob.token()).await.expect(200);
    assert_eq!((&of_client["client_id"], &of_client["username"]), (&json!("crm"), &json!("bob")));
}

/// REV-08: every other token is just inactive.
#[rstest]
#[actix_web::test]
async fn rev_08_of_every_other_token_nothing_is_told(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(&[], BY_QUERY)] settings: &[(&str, &str)],
) {
    let app = TestApp::start_with(backend, settings).await;
    let (crm, root) = (app.application("crm").await, app.admin().await);
    let elsewhere = app.application_with("erp", ALL, Some("urn:other")).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let forger = Forger::of(&alice).await;
    for token in [
        "x",
        "vgr_x",
        &crm.secret,
        &"x".repeat(20_000),
        &forger.with_claim("iss", "https://other.example"),
        &forger.with_claim("aud", "urn:other"),
        &forger.with_claim("sid", "01900000-0000-7000-8000-000000000000"),
        &forger.with_header("typ", "JWT"),
        &format!("{}A", alice.token()),
    ] {
        crm.introspect(token).await.inactive();
    }
    // Not for those whom it does not concern.
    elsewhere.introspect(alice.token()).await.inactive();
    assert!(crm.finds_active(alice.token()).await);
    alice.post_empty("/auth/logout").await.expect(204);
    crm.introspect(alice.token()).await.inactive();
    let users = root.get("/admin/users?name=bob").await.expect(200);
    let bobs = format!("/admin/users/{}", users["items"][0]["id"].as_str().expect("an id"));
    root.patch(&bobs, json!({ "state": "disabled" })).await.expect(200);
    crm.introspect(bob.token()).await.inactive();
    app.user("carol", "agent").await;
    let carol = app.log_in("carol").await;
    assert!(crm.finds_active(carol.token()).await);
    app.advance(TimeDelta::minutes(10));
    crm.introspect(carol.token()).await.inactive();
    let dave = app.signed_in("dave").await;
    app.advance(TimeDelta::minutes(31));
    crm.introspect(dave.token()).await.inactive();
}

/// As forward-auth refuses whoever has a password that somebody else chose.
#[rstest]
#[actix_web::test]
async fn who_must_change_the_password_is_inactive(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, root) = (app.application("crm").await, app.admin().await);
    let password = "neuf renards roux courent";
    let new = json!({ "username": "alice", "role": "agent", "password": password });
    root.post("/admin/users", new).await.expect(201);
    let body = json!({ "username": "alice", "password": password });
    let alice = app.client(&send(crm.request("/auth/login").json(&body)).await.expect(200));
    alice.get("/auth/verify").await.problem(403, "password_change_required");
    crm.introspect(alice.token()).await.inactive();
    crm.introspect(&alice.refresh_token).await.inactive();
}

/// RFC 7662 §4: a refresh token is nobody's business but its client's.
#[rstest]
#[actix_web::test]
async fn a_refresh_token_is_active_for_its_own_client_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, erp) = (app.application("crm").await, app.application("erp").await);
    let alice = app.signed_in("alice").await;
    let body = json!({ "username": "alice", "password": crate::support::app::PASSWORD, "client_id": "crm" });
    let claimed = app.client(&app.nobody().post("/auth/login", body).await.expect(200));
    let own = crm.log_in("alice").await;
    for token in [&alice.refresh_token, &claimed.refresh_token] {
        crm.introspect(token).await.inactive();
    }
    erp.introspect(&own.refresh_token).await.inactive();
    let found = crm.introspect(&own.refresh_token).await.expect(200);
    assert_eq!((&found["active"], &found["client_id"]), (&json!(true), &json!("crm")));
    assert_eq!((&found["sid"], &found["token_type"]), (&json!(own.session_id), &Value::Null));
    assert_eq!(found["exp"], json!((app.now() + TimeDelta::minutes(30)).timestamp()));
    // A spent one within the grace is as good as a refresh finds it; asking about one that is not ends nothing.
    let next = app.client(&crm.refresh(&own.refresh_token).await.expect(200));
    assert!(crm.finds_active(&own.refresh_token).await && crm.finds_active(&next.refresh_token).await);
    app.advance(TimeDelta::seconds(31));
    crm.introspect(&own.refresh_token).await.inactive();
    assert!(crm.finds_active(&next.refresh_token).await && crm.finds_active(next.token()).await);
    next.post_empty("/auth/logout").await.expect(204);
    crm.introspect(&next.refresh_token).await.inactive();
}

#[rstest]
#[case::use_by_default(&[], true)]
#[case::none(&[("VIGIE__SESSIONS__INTROSPECTION_IS_USE", "false")], false)]
#[actix_web::test]
async fn introspection_is_a_use_of_the_session_unless_it_is_said_otherwise(
    #[case] settings: &[(&str, &str)],
    #[case] is_use: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let settings = [settings, &[("VIGIE__TOKENS__ACCESS_TTL", "2h"), ("VIGIE__NODES__LIVE_VIEW", live_view)]].concat();
    let app = TestApp::start_with(backend, &settings).await;
    let crm = app.application("crm").await;
    let alice = app.signed_in("alice").await;
    let before = app.session_row(&alice.session_id).await;
    app.advance(TimeDelta::minutes(29));
    assert!(crm.finds_active(alice.token()).await);
    app.app.sessions.flush_last_seen().await.expect("written");
    let row = app.session_row(&alice.session_id).await;
    assert_eq!(row.last_seen_at == app.now(), is_use);
    assert_eq!(row.last_ip, before.last_ip, "where from is not known");
    app.advance(TimeDelta::minutes(2));
    assert_eq!(crm.finds_active(alice.token()).await, is_use);
}

#[rstest]
#[actix_web::test]
async fn an_answer_is_good_for_as_long_as_it_may_be_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__INTROSPECTION_MAX_CACHE", "15s")]).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    app.advance(TimeDelta::seconds(30));
    let found = crm.introspect(alice.token()).await.expect(200);
    assert_eq!(found["exp"], json!((app.now() + TimeDelta::seconds(15)).timestamp()));
    app.advance(TimeDelta::minutes(9) + TimeDelta::seconds(25));
    let found = crm.introspect(alice.token()).await.expect(200);
    assert_eq!(found["exp"], claims(alice.token())["exp"]);
}

/// REV-11, RFC 9701.
#[rstest]
#[actix_web::test]
async fn rev_11_on_request_the_answer_is_signed_for_the_caller(#[values(Sqlite, Postgres)] backend: Backend) {
    const SIGNED: &str = "application/token-introspection+jwt";
    let app = TestApp::start(backend).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    let key = app.app.sessions.signing().current().await.expect("a key signs");
    let ask = async |token: &str| {
        let request = crm.request("/oauth/introspect").header("accept", SIGNED);
        let answer = send(form(request, &[("token", token)])).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(SIGNED)), "{}", answer.body);
        let (message, signature) = answer.body.rsplit_once('.').expect("three parts");
        let jwk = serde_json::from_value(key.public_jwk().expect("a public key").clone()).expect("a JWK");
        let public = DecodingKey::from_jwk(&jwk).expect("a key");
        let is_good =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &public, jsonwebtoken::Algorithm::ES256);
        assert!(is_good.expect("it can be read"));
        answer.body
    };
    let signed = ask(alice.token()).await;
    let expected = json!({ "typ": "token-introspection+jwt", "alg": "ES256", "kid": key.id().as_str() });
    assert_eq!(header(&signed), expected);
    let plain = crm.introspect(alice.token()).await.expect(200);
    let expected = json!({
        "iss": "http://127.0.0.1:8080", "aud": "crm", "iat": app.now().timestamp(), "token_introspection": plain,
    });
    assert_eq!(claims(&signed), expected);
    // It is no access token.
    alice.with_token(&signed).get("/auth/me").await.problem(401, "token_invalid");
    crm.introspect(&signed).await.inactive();
    assert_eq!(claims(&ask("x").await)["token_introspection"], json!({ "active": false }));
    for accepted in
        ["application/json", "application/token-introspection+jwt;q=0, */*", "application/token-introspection"]
    {
        let request = crm.request("/oauth/introspect").header("accept", accepted);
        let answer = send(form(request, &[("token", "x")])).await;
        assert_eq!(answer.header("content-type"), Some("application/json"), "{accepted}");
    }
    let nobody = app.nobody().request(reqwest::Method::POST, "/oauth/introspect").header("accept", SIGNED);
    send(form(nobody, &[("token", alice.token())])).await.oauth_error(400, "invalid_request");
}

/// Where tokens are signed with a shared secret, no client could verify a signed answer, and who shares the secret could take it
/// for a token.
#[rstest]
#[actix_web::test]
async fn rev_11_no_answer_is_signed_with_a_shared_secret(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ALGORITHM", "HS256")]).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    let request = crm.request("/oauth/introspect").header("accept", "application/token-introspection+jwt");
    let answer = send(form(request, &[("token", alice.token())])).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.body);
    let plain: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(plain["active"], true);
}

/// REV-12: what ended is the session, under every spelling of its tokens.
#[rstest]
#[actix_web::test]
async fn rev_12_no_spelling_of_a_revoked_token_is_good(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    let other_signature = crate::api::logged_out::with_other_signature(alice.token());
    let (message, signature) = alice.token().rsplit_once('.').expect("three parts");
    let mut padded =
        URL_SAFE_NO_PAD.decode(signature).map(|bytes| base64::engine::general_purpose::URL_SAFE.encode(bytes));
    let padded = format!("{message}.{}", padded.as_mut().expect("base64url"));
    assert!(crm.finds_active(&other_signature).await);
    crm.introspect(&padded).await.inactive();
    crm.revoke(&other_signature).await.expect(200);
    for token in [alice.token(), &other_signature, &padded] {
        crm.introspect(token).await.inactive();
        assert_eq!(alice.with_token(token).get("/auth/me").await.status, 401);
    }
}
