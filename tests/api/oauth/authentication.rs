//! How client applications show who they are (TOK-14, TOK-15, REV-06, REV-09).

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::config::Algorithm;
use vigie::model::alert::AlertKind;
use vigie::model::audit::{AuditKind, Reason};
use vigie::model::client::Scope;
use vigie::token::keys::SigningKey;

use crate::support::app::{Answer, BY_QUERY, TestApp, send};
use crate::support::application::{Application, Fields, form};
use crate::support::assertion::{ASSERTION_TYPE, assertion, assertion_claims};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const INTROSPECT: &str = "/oauth/introspect";
const WRONG: &str = "vgc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A form without the header `Authorization`.
async fn bare(app: &TestApp, path: &str, fields: &Fields<'_>) -> Answer {
    send(form(app.nobody().request(Method::POST, path), fields)).await
}

async fn with_assertion(app: &TestApp, text: &str) -> Answer {
    let fields = [("token", "x"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", text)];
    bare(app, INTROSPECT, &fields).await
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).expect("a key")
}

#[rstest]
#[actix_web::test]
async fn tok_14_a_client_authenticates_by_basic_by_form_or_by_its_key(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(&[], BY_QUERY)] settings: &[(&str, &str)],
) {
    let app = TestApp::start_with(backend, settings).await;
    let key = key();
    let crm = app.application_with_key("crm", &key).await;
    crm.introspect("x").await.inactive();
    let fields = [("token", "x"), ("client_id", "crm"), ("client_secret", &crm.secret)];
    bare(&app, INTROSPECT, &fields).await.inactive();
    with_assertion(&app, &assertion(&key, &assertion_claims("crm", "one", app.now()))).await.inactive();
    let text = assertion(&key, &assertion_claims("crm", "two", app.now()));
    let named = [("client_id", "crm"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &text)];
    bare(&app, INTROSPECT, &[&named[..], &[("token", "x")]].concat()).await.inactive();
    // Basic may name the client once more in the form.
    crm.post(INTROSPECT, &[("token", "x"), ("client_id", "crm")]).await.inactive();
}

/// What is wrong, the form, and the status and code of the answer.
type Case<'c> = (&'c str, Vec<(&'c str, &'c str)>, u16, &'c str);

/// REV-06, TOK-11: each fault has its status and code, and nothing else is said.
#[rstest]
#[actix_web::test]
async fn rev_06_each_fault_of_a_request_has_its_error(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(INTROSPECT, "/oauth/revoke")] path: &str,
) {
    let app = TestApp::start(backend).await;
    let crm = app.application("crm").await;
    let alice = app.signed_in("alice").await;
    let (token, secret) = (alice.token().to_owned(), crm.secret.clone());
    let cases: &[Case<'_>] = &[
        ("no token", vec![("client_id", "crm"), ("client_secret", &secret)], 400, "invalid_request"),
        ("an empty one", vec![("token", ""), ("client_id", "crm"), ("client_secret", &secret)], 400, "invalid_request"),
        (
            "twice",
            vec![("token", "a"), ("token", "b"), ("client_id", "crm"), ("client_secret", &secret)],
            400,
            "invalid_request",
        ),
        ("no credential", vec![("token", &token)], 401, "invalid_client"),
        ("an id alone", vec![("token", &token), ("client_id", "crm")], 401, "invalid_client"),
        ("a secret alone", vec![("token", &token), ("client_secret", &secret)], 400, "invalid_request"),
        ("a wrong one", vec![("token", &token), ("client_id", "crm"), ("client_secret", WRONG)], 401, "invalid_client"),
        (
            "another kind of secret",
            vec![("token", &token), ("client_id", "crm"), ("client_secret", &alice.refresh_token)],
            401,
            "invalid_client",
        ),
        (
            "an unknown client",
            vec![("token", &token), ("client_id", "nobody"), ("client_secret", &secret)],
            401,
            "invalid_client",
        ),
        (
            "no client id at all",
            vec![("token", &token), ("client_id", "No Client"), ("client_secret", &secret)],
            401,
            "invalid_client",
        ),
        (
            "a secret and an assertion",
            vec![
                ("token", &token),
                ("client_id", "crm"),
                ("client_secret", &secret),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", "x"),
            ],
            400,
            "invalid_request",
        ),
        ("an assertion of no type", vec![("token", &token), ("client_assertion", "x")], 400, "invalid_request"),
        (
            "an assertion of another type",
            vec![("token", &token), ("client_assertion_type", "x"), ("client_assertion", "x")],
            400,
            "invalid_request",
        ),
    ];
    for (what, fields, status, code) in cases {
        let answer = bare(&app, path, fields).await;
        assert_eq!(answer.status, *status, "{what}: {}", answer.body);
        answer.oauth_error(*status, code);
    }
    // Two ways at once, one of which stands in the header; also one that is a user's.
    let both = [("token", &*token), ("client_id", "crm"), ("client_secret", &secret)];
    crm.post(path, &both).await.oauth_error(400, "invalid_request");
    crm.post(path, &[("token", &token), ("client_id", "erp")]).await.oauth_error(400, "invalid_request");
    send(form(alice.request(Method::POST, path), &both)).await.oauth_error(400, "invalid_request");
    send(form(alice.request(Method::POST, path), &both[..1])).await.oauth_error(401, "invalid_client");
    // Not a form, too large a form, and a secret where it is written to logs.
    send(crm.request(path).json(&json!({ "token": token }))).await.oauth_error(400, "invalid_request");
    crm.post(path, &[("token", &"x".repeat(70_000))]).await.oauth_error(413, "invalid_request");
    crm.post(&format!("{path}?token={token}"), &[]).await.oauth_error(400, "invalid_request");
    for header in ["Basic", "Basic !", "Basic Og==", "Digest x", "Basic Y3Jt"] {
        let request = app.nobody().request(Method::POST, path).header("authorization", header);
        send(form(request, &both[..1])).await.oauth_error(401, "invalid_client");
    }
    assert_eq!(alice.get("/auth/me").await.status, 200, "whoever was refused has changed nothing");
}

#[rstest]
#[actix_web::test]
async fn an_unknown_client_and_a_wrong_secret_get_the_same_answer(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let crm = app.application("crm").await;
    let unknown = Application { id: "nobody".to_owned(), ..crm.clone() };
    let seen = |answer: &Answer| {
        let mut headers: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.retain(|header| !header.starts_with("x-request-id") && !header.starts_with("date"));
        (answer.status, headers, answer.body.clone())
    };
    let (one, two) = (crm.with_secret(WRONG).introspect("x").await, unknown.introspect("x").await);
    assert_eq!(seen(&one), seen(&two));
    assert_eq!(one.header("www-authenticate"), Some("Basic realm=\"vigie\", charset=\"UTF-8\""));
    one.oauth_error(401, "invalid_client");
}

/// REV-09: who may not ask is told so, and neither a user's token nor a removed client may.
#[rstest]
#[actix_web::test]
async fn rev_09_a_client_asks_only_for_what_its_scopes_allow(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let reader = app.application_with("reader", &[Scope::Introspect], None).await;
    let ender = app.application_with("ender", &[Scope::Revoke], None).await;
    let listener = app.application_with("listener", &[Scope::Events], None).await;
    assert!(reader.finds_active(alice.token()).await);
    ender.introspect(alice.token()).await.oauth_error(403, "unauthorized_client");
    for client in [&reader, &listener] {
        client.revoke(alice.token()).await.oauth_error(403, "unauthorized_client");
    }
    alice.get("/auth/me").await.expect(200);
    app.app.refusals.write_due().await.expect("written");
    let refused = app.events().await.into_iter().filter(|event| event.event.kind == AuditKind::AccessRefused);
    let found: Vec<_> = refused.map(|event| (event.event.context.actor.id, event.event.details)).collect();
    let route = |route: &str| json!({ "route": route });
    assert_eq!(found[0], ("ender".to_owned(), route("POST /oauth/introspect")));
    assert_eq!(found[1], ("reader".to_owned(), route("POST /oauth/revoke")));
    assert_eq!(found.len(), 3);
}

#[rstest]
#[actix_web::test]
async fn while_a_secret_is_rotated_two_count_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    let (first, root) = (here.application("crm").await, here.admin().await);
    let rotate = async |body: Value| {
        let answer = root.post("/admin/clients/crm/rotate-secret", body).await.expect(200);
        let secret = answer["client_secret"].as_str().expect("a secret").to_owned();
        (first.with_secret(&secret), answer["previous_secret_until"].clone())
    };
    let counts = async |client: &Application<'_>| {
        let statuses = [client.introspect("x").await.status, client.at(&there).introspect("x").await.status];
        assert_eq!(statuses[0], statuses[1]);
        statuses[0] == 200
    };
    let (second, until) = rotate(json!({})).await;
    assert_eq!(until, json!(vigie_time(&here, TimeDelta::hours(24))));
    assert!(counts(&first).await && counts(&second).await);
    // One before the one before is void, whatever is said.
    let (third, _) = rotate(json!({ "void_old": false })).await;
    assert!(!counts(&first).await && counts(&second).await && counts(&third).await);
    let (fourth, until) = rotate(json!({ "void_old": true })).await;
    assert_eq!(until, Value::Null);
    assert!(!counts(&second).await && !counts(&third).await && counts(&fourth).await);
    root.post_empty("/admin/clients/crm/rotate-secret").await.expect(200);
    here.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    assert!(counts(&fourth).await);
    here.advance(TimeDelta::seconds(1));
    assert!(!counts(&fourth).await);
}

fn vigie_time(app: &TestApp, later: TimeDelta) -> String {
    (app.now() + later).to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

#[rstest]
#[actix_web::test]
async fn a_client_that_is_added_or_removed_is_known_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    let root = here.admin().await;
    for _ in 0..3 {
        let body = json!({ "id": "crm", "name": "CRM", "scopes": ["introspect"] });
        let made = root.post("/admin/clients", body).await.expect(201);
        let secret = made["client_secret"].as_str().expect("a secret").to_owned();
        let crm = Application { app: &here, id: "crm".to_owned(), secret };
        crm.introspect("x").await.inactive();
        crm.at(&there).introspect("x").await.inactive();
        root.delete("/admin/clients/crm").await.expect(204);
        crm.introspect("x").await.oauth_error(401, "invalid_client");
        crm.at(&there).introspect("x").await.oauth_error(401, "invalid_client");
    }
}

#[rstest]
#[actix_web::test]
async fn a_client_is_registered_with_audiences_and_public_keys(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (root, key) = (app.admin().await, key());
    let jwk = key.public_jwk().expect("a public key").clone();
    let new = |members: Value| {
        let mut body = json!({ "id": "crm", "name": "CRM", "scopes": [] });
        body.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        body
    };
    let mut private = jwk.clone();
    private["d"] = json!("AQAB");
    for (members, pointer) in [
        (json!({ "jwks": { "keys": [private] } }), "/jwks"),
        (json!({ "jwks": { "keys": [] } }), "/jwks"),
        (json!({ "jwks": { "keys": [jwk.clone()], "x": "y".repeat(17_000) } }), "/jwks"),
        (json!({ "audiences": [] }), "/audiences"),
        (json!({ "audiences": ["a", "a"] }), "/audiences"),
    ] {
        let body = root.post("/admin/clients", new(members)).await.problem(422, "invalid_input");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body}");
    }
    // Its id would mean Vigie itself, a place in the path, or a user.
    for id in ["vigie", ".", "..", "01890000-0000-7000-8000-000000000000", "00000000000000000000000000000000"] {
        let body = json!({ "id": id, "name": "x", "scopes": [] });
        root.post("/admin/clients", body).await.problem(409, "conflict");
    }
    let members = json!({ "jwks": { "keys": [jwk] }, "audiences": ["vigie", "urn:other"] });
    let made = root.post("/admin/clients", new(members.clone())).await.expect(201)["client"].clone();
    assert_eq!((&made["jwks"], &made["audiences"]), (&members["jwks"], &members["audiences"]));
    let listed = root.get("/admin/clients").await.expect(200)["items"][0].clone();
    assert_eq!(listed, made);
    root.post("/admin/clients", json!({ "id": "erp", "name": "ERP", "scopes": [], "jwks": null })).await.expect(201);
    let listed = root.get("/admin/clients").await.expect(200)["items"][1].clone();
    assert_eq!((&listed["jwks"], &listed["audiences"]), (&Value::Null, &json!(["vigie"])));
}

#[rstest]
#[actix_web::test]
async fn the_last_use_of_a_client_is_shown_and_written_later(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, root) = (app.application("crm").await, app.admin().await);
    let last_used = async || root.get("/admin/clients").await.expect(200)["items"][0]["last_used_at"].clone();
    crm.with_secret(WRONG).introspect("x").await.oauth_error(401, "invalid_client");
    assert_eq!(app.app.clients.write_last_uses().await.expect("written"), 0);
    app.advance(TimeDelta::seconds(5));
    crm.introspect("x").await.inactive();
    assert_eq!(last_used().await, Value::Null);
    assert_eq!(app.app.clients.write_last_uses().await.expect("written"), 1);
    assert_eq!(last_used().await, json!(vigie_time(&app, TimeDelta::zero())));
}

/// The address is slowed down, never the client, and never the right secret.
#[rstest]
#[actix_web::test]
async fn rev_09_who_fails_often_waits_and_the_right_secret_passes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__ALERTS__CLIENT_FAILURES", "25")]).await;
    let crm = app.application("crm").await;
    let wrong = crm.with_secret(WRONG);
    for _ in 0..20 {
        wrong.introspect("x").await.oauth_error(401, "invalid_client");
    }
    for _ in 0..5 {
        assert_eq!(wrong.introspect("x").await.header("retry-after"), Some("60"));
        wrong.revoke("x").await.oauth_error(429, "too_many_attempts");
        crm.introspect("x").await.inactive();
    }
    app.advance(TimeDelta::seconds(60));
    wrong.introspect("x").await.oauth_error(401, "invalid_client");
    app.app.refusals.write_due().await.expect("written");
    let refused = app.events().await.into_iter().filter(|event| event.event.kind == AuditKind::ClientRefused);
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused[0].event.reason, Some(Reason::WrongSecret));
    assert_eq!(refused[0].event.subject.id.as_deref(), Some("crm"));
    let counted: u64 = refused.iter().map(|event| event.event.details["folded"].as_u64().unwrap_or(1)).sum();
    assert_eq!((counted, refused.len()), (31, 2), "few events count them all");
    app.app.clients.alert_to_failures().await.expect("written");
    let alerts = app.alerts_of(AlertKind::ClientAuthenticationFailures).await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].raised.details, json!({ "failures": 25 }));
}

/// TOK-15: what is not meant for us alone, once, and now, is refused.
#[rstest]
#[actix_web::test]
async fn tok_15_an_assertion_is_for_us_alone_and_for_minutes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let key = key();
    app.application_with_key("crm", &key).await;
    let keyless = app.application("erp").await;
    let issuer = "http://127.0.0.1:8080";
    let now = app.now().timestamp();
    let changes = [
        ("aud", json!([issuer])),
        ("aud", json!(format!("{issuer}/oauth/introspect"))),
        ("aud", json!("https://other.example")),
        ("exp", json!(now + 301)),
        ("exp", json!(now)),
        ("iat", json!(now + 60)),
        ("sub", json!("erp")),
        ("iss", json!("erp")),
        ("jti", json!("")),
    ];
    for (claim, value) in changes {
        let mut claims = assertion_claims("crm", claim, app.now());
        claims[claim] = value.clone();
        let answer = with_assertion(&app, &assertion(&key, &claims)).await;
        assert_eq!(answer.status, 401, "{claim} {value}: {}", answer.body);
        answer.oauth_error(401, "invalid_client");
    }
    // Of a client without keys, of another key, and with a shared secret.
    let stranger = self::key();
    let claims = |id| assertion_claims(id, "fine", app.now());
    with_assertion(&app, &assertion(&key, &claims("erp"))).await.oauth_error(401, "invalid_client");
    with_assertion(&app, &assertion(&stranger, &claims("crm"))).await.oauth_error(401, "invalid_client");
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let shared = jsonwebtoken::EncodingKey::from_secret(keyless.secret.as_bytes());
    let forged = jsonwebtoken::encode(&header, &claims("erp"), &shared).expect("it signs");
    with_assertion(&app, &forged).await.oauth_error(401, "invalid_client");
    with_assertion(&app, &assertion(&key, &claims("crm"))).await.inactive();
}

/// TOK-15: of one assertion that is shown fifty times at once, on two nodes, one is believed.
#[rstest]
#[actix_web::test]
async fn tok_15_an_assertion_counts_once_on_all_nodes(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    let key = key();
    here.application_with_key("crm", &key).await;
    for round in 0..2 {
        let text = assertion(&key, &assertion_claims("crm", &format!("round {round}"), here.now()));
        let shown = (0..50).map(|number| with_assertion(if number % 2 == 0 { &here } else { &there }, &text));
        let believed = join_all(shown).await.into_iter().filter(|answer| answer.status == 200).count();
        assert_eq!(believed, 1, "round {round}");
    }
    let dump = || here.dump_of_tables(&["client_assertions:"]).len();
    here.app.clients.prune_assertions().await.expect("pruned");
    assert_eq!(dump(), 2);
    here.advance(TimeDelta::minutes(7));
    here.app.clients.prune_assertions().await.expect("pruned");
    assert_eq!(dump(), 0);
}

/// P4: without the store nothing is decided, and nothing is said of the token.
#[rstest]
#[actix_web::test]
async fn rev_06_while_the_store_is_gone_nothing_is_decided(#[values(&[], BY_QUERY)] settings: &[(&str, &str)]) {
    let settings = [settings, &[("VIGIE__DATABASE__WAIT", "300ms")]].concat();
    let (app, proxy) = TestApp::behind_proxy(&settings).await;
    let key = key();
    let crm = app.application_with_key("crm", &key).await;
    app.user("alice", "agent").await;
    let alice = crm.log_in("alice").await;
    proxy.cut();
    crate::support::until::until("the lease is over", async || !app.app.coherence.holds_lease()).await;
    crm.introspect(alice.token()).await.oauth_error(503, "temporarily_unavailable");
    crm.introspect(&alice.refresh_token).await.oauth_error(503, "temporarily_unavailable");
    crm.revoke(alice.token()).await.oauth_error(503, "temporarily_unavailable");
    crm.with_secret(WRONG).introspect("x").await.oauth_error(503, "temporarily_unavailable");
    let text = assertion(&key, &assertion_claims("crm", "one", app.now()));
    with_assertion(&app, &text).await.oauth_error(503, "temporarily_unavailable");
    crm.refresh(&alice.refresh_token).await.problem(503, "unavailable");
    proxy.restore();
    crate::support::until::until("the store is back", async || crm.introspect("x").await.status == 200).await;
    assert!(crm.finds_active(alice.token()).await);
}
