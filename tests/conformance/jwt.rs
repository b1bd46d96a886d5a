//! Access tokens: what is issued, and that nothing else is accepted (JWT-01 to JWT-11, SES-05, KEY-06).

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;
use vigie::config::Algorithm;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::token::keys::SigningKey;

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::token::{Forger, claims, header, with, without};

const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\", \
    resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\"";

/// Asks with a token as it is, whatever bytes it holds.
async fn ask(client: &TestClient<'_>, path: &str, token: &str) -> Answer {
    let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).expect("bytes that fit into a header");
    send(client.app.nobody().request(Method::GET, path).header(AUTHORIZATION, value)).await
}

/// Expects that every gate refuses each token as not ours, and that the real one still passes.
async fn expect_refused(client: &TestClient<'_>, tokens: impl IntoIterator<Item = String>) {
    expect_code(client, tokens, "token_invalid").await;
}

async fn expect_code(client: &TestClient<'_>, tokens: impl IntoIterator<Item = String>, code: &str) {
    for token in tokens {
        let shown: String = token.chars().take(200).collect();
        for path in ["/auth/me", "/auth/verify"] {
            let answer = ask(client, path, &token).await;
            assert_eq!(answer.status, 401, "{path} {shown}: {}", answer.body);
            assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN), "{path} {shown}");
            answer.problem(401, code);
        }
        // Whoever leaves is let go, too late or too early.
        if code == "token_expired" {
            continue;
        }
        let logout = client.app.nobody().request(Method::POST, "/auth/logout");
        let value = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).expect("it fitted above");
        send(logout.header(AUTHORIZATION, value)).await.problem(401, code);
    }
    client.get("/auth/me").await.expect(200);
}

async fn expect_accepted(client: &TestClient<'_>, token: &str) {
    ask(client, "/auth/me", token).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn jwt_01_no_spelling_of_none_and_no_foreign_algorithm_is_accepted(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    expect_accepted(&alice, &forger.faithful()).await;
    let payload = URL_SAFE_NO_PAD.encode(forger.claims.to_string());
    let mut tokens = Vec::new();
    for name in ["none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES384", "HS384", "PS256", "RS256", "dir"] {
        let unsigned = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(with(&forger.header, "alg", name).to_string()));
        tokens.extend([unsigned.clone(), format!("{unsigned}."), format!("{unsigned}.AA")]);
        tokens.push(forger.with_header("alg", name));
    }
    tokens.extend([json!(null), json!(0), json!(["ES256"])].map(|alg| forger.with_header("alg", alg)));
    tokens.push(forger.without_header("alg"));
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_02_the_public_key_is_no_shared_secret(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let jwk = forger.key.public_jwk().expect("a public key").clone();
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("a text")).expect("base64url");
    let point = [vec![4], member("x"), member("y")].concat();
    let head =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    let der = [head.to_vec(), point.clone()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let secrets = [jwk.to_string().into_bytes(), point, der, pem.trim_end().as_bytes().to_vec(), pem.into_bytes()];
    let mut tokens = Vec::new();
    for alg in ["HS256", "ES256"] {
        let header = with(&forger.header, "alg", alg);
        tokens.extend(secrets.iter().map(|secret| forger.sign_with_secret(&header, secret)));
    }
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_02_a_signature_of_another_key_or_of_no_worth_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let forgery = Forger { key: stranger.into(), ..forger.clone() };
    let (message, signature) = alice.token().rsplit_once('.').expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let mut flipped = bytes.clone();
    flipped[40] ^= 1;
    let zero = vec![0; 32];
    let signatures = [
        flipped,
        [zero.clone(), zero.clone()].concat(),
        [bytes[..32].to_vec(), zero.clone()].concat(),
        [zero, bytes[32..].to_vec()].concat(),
        vec![0xff; 64],
        bytes[..63].to_vec(),
        [bytes.clone(), vec![0]].concat(),
        [vec![0x30, 0x44, 2, 0x20], bytes[..32].to_vec(), vec![2, 0x20], bytes[32..].to_vec()].concat(),
    ];
    let mut tokens: Vec<_> =
        signatures.iter().map(|bytes| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes))).collect();
    let other_claims = URL_SAFE_NO_PAD.encode(with(&forger.claims, "role", "admin").to_string());
    let parts: Vec<_> = alice.token().split('.').collect();
    tokens.extend([forgery.faithful(), format!("{}.{other_claims}.{signature}", parts[0])]);
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_03_keys_come_from_nowhere_but_the_store(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
    let own = SigningKey::generate(Algorithm::Es256).expect("a key");
    let own_jwk = own.public_jwk().expect("a public key").clone();
    let own_id = own.id().to_string();
    let attacker = Forger { key: own.into(), ..forger.clone() };
    let mut tokens = vec![
        attacker.with_header("jku", url.as_str()),
        attacker.with_header("x5u", url.as_str()),
        attacker.with_header("jwk", own_jwk.clone()),
        attacker.with_header("kid", own_id),
        attacker.with_header("kid", url.as_str()),
    ];
    let members = [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", own_jwk),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("crit", json!(["x"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("p2c", json!(1_000_000_000)),
        ("unknown", json!(1)),
    ];
    // With the real key: the header alone is the reason.
    tokens.extend(members.into_iter().map(|(name, value)| forger.with_header(name, value)));
    expect_refused(&alice, tokens).await;
    assert!(listener.accept().is_err(), "somebody came to fetch a key");
}

#[rstest]
#[actix_web::test]
async fn jwt_03_the_key_id_is_looked_up_and_nothing_else(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let real = forger.key.id().to_string();
    let ids = [
        "' OR 1=1--".to_owned(),
        format!("{real}' OR '1'='1"),
        "../../../../dev/null".to_owned(),
        "/proc/self/environ".to_owned(),
        "http://127.0.0.1/".to_owned(),
        "| sleep 10".to_owned(),
        "%00".to_owned(),
        "\0".to_owned(),
        "\u{e9}".to_owned(),
        String::new(),
        " ".to_owned(),
        format!("{real} "),
        real.to_lowercase(),
        real[..real.len() - 1].to_owned(),
        "x".repeat(129),
        "x".repeat(5000),
    ];
    let mut tokens: Vec<_> =
        ids.iter().filter(|id| **id != real).map(|id| forger.with_header("kid", id.as_str())).collect();
    let others = [json!(null), json!(1), json!([real]), json!({"kid": real})];
    tokens.extend(others.map(|kid| forger.with_header("kid", kid)));
    tokens.push(forger.without_header("kid"));
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_04_only_an_access_token_is_one(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        expect_accepted(&alice, &forger.with_header("typ", typ)).await;
    }
    let types = [
        "JWT",
        "jwt",
        "id+jwt",
        "logout+jwt",
        "secevent+jwt",
        "statuslist+jwt",
        "token-introspection+jwt",
        "dpop+jwt",
        "application/jwt",
        "at+jwt ",
        "text/at+jwt",
        "",
    ];
    let mut tokens: Vec<_> = types.iter().map(|typ| forger.with_header("typ", *typ)).collect();
    tokens.push(forger.with_header("typ", Value::Null));
    tokens.push(forger.without_header("typ"));
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_04_an_access_token_is_taken_for_nothing_else(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let (nobody, token) = (app.nobody(), alice.token());
    let reset = json!({ "token": token, "new_password": "cinq canards bleus nagent" });
    nobody.post("/auth/reset", reset).await.problem(401, "token_invalid");
    let setup = json!({ "token": token, "username": "eve", "password": "cinq canards bleus nagent" });
    nobody.post("/auth/setup", setup).await.problem(401, "token_invalid");
    for path in ["/auth/refresh", "/auth/logout"] {
        nobody.post(path, json!({ "refresh_token": token })).await.problem(401, "token_invalid");
    }
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn jwt_05_every_claim_must_be_there_and_of_its_type(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let names = ["iss", "aud", "sub", "client_id", "sid", "jti", "iat", "exp", "auth_time", "amr", "role"];
    let mut tokens = Vec::new();
    for name in names {
        tokens.push(forger.without_claim(name));
        for value in [json!(null), json!(true), json!({}), json!(""), json!(1.5), json!([1])] {
            // An empty client or role is a text like any other; neither decides anything.
            if value != json!("") || !matches!(name, "client_id" | "role") {
                tokens.push(forger.with_claim(name, value));
            }
        }
    }
    for name in ["iat", "exp", "auth_time", "nbf"] {
        let values = [json!("1800014400"), json!(-1), json!(1e30), json!(u64::MAX), json!(253_402_300_800_u64)];
        tokens.extend(values.map(|value| forger.with_claim(name, value)));
    }
    for name in ["sub", "sid", "jti"] {
        let real = forger.claims[name].as_str().expect("a text");
        let spellings = [real.to_uppercase(), real.replace('-', ""), format!("{{{real}}}"), format!("urn:uuid:{real}")];
        tokens.extend(spellings.iter().filter(|text| *text != real).map(|text| forger.with_claim(name, text.as_str())));
        tokens.extend([json!(7), json!([real])].map(|value| forger.with_claim(name, value)));
    }
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_05_issuer_and_audience_are_compared_exactly(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let issuer = forger.claims["iss"].as_str().expect("a text").to_owned();
    expect_accepted(&alice, &forger.with_claim("aud", json!(["others", "vigie"]))).await;
    let mut tokens: Vec<_> = [format!("{issuer}/"), issuer.to_uppercase(), format!(" {issuer}"), "evil".to_owned()]
        .iter()
        .map(|issuer| forger.with_claim("iss", issuer.as_str()))
        .collect();
    let audiences = [json!("Vigie"), json!("vigie "), json!("other"), json!(["other"]), json!([]), json!([["vigie"]])];
    tokens.extend(audiences.map(|audience| forger.with_claim("aud", audience)));
    expect_refused(&alice, tokens).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_05_ses_05_a_token_of_the_real_key_needs_its_session_and_its_user(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let forger = Forger::of(&alice).await;
    let (alice_claims, bob_claims) = (&forger.claims, claims(bob.token()));
    let rows = app.session_rows().await;
    let tokens = vec![
        forger.with_claim("sid", Uuid::now_v7().to_string()),
        forger.with_claim("sid", Uuid::nil().to_string()),
        forger.with_claim("sub", bob_claims["sub"].clone()),
        forger.with_claim("sid", bob_claims["sid"].clone()),
        forger.with_claim("sub", Uuid::now_v7().to_string()),
        forger.with_claim("sid", alice_claims["sub"].clone()),
    ];
    expect_refused(&alice, tokens).await;
    assert_eq!(app.session_rows().await, rows, "an id that was not issued is never adopted");
    bob.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn adm_03_a_role_in_a_token_grants_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let token = forger.with_claim("role", "admin");
    let me = ask(&alice, "/auth/me", &token).await.expect(200);
    assert_eq!(me["user"]["role"], "agent");
    let verified = ask(&alice, "/auth/verify", &token).await;
    assert_eq!((verified.status, verified.header("x-auth-role")), (200, Some("agent")));
}

/// Texts that no reader may take for a token of three parts.
fn malformed(forger: &Forger) -> Vec<String> {
    let token = forger.faithful();
    let parts: Vec<&str> = token.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let json = |text: &str| URL_SAFE_NO_PAD.encode(text);
    // White space behind the object, so that base64 has to pad.
    let padded = |object: &Value| {
        let text = object.to_string();
        let spaces = " ".repeat((4 - text.len() % 3) % 3);
        let padded = URL_SAFE.encode(format!("{text}{spaces}"));
        assert!(padded.ends_with('='));
        padded
    };
    let (padded_head, padded_body) = (padded(&forger.header), padded(&forger.claims));
    let mut texts: Vec<String> = [
        "x",
        ".",
        "..",
        "...",
        "....",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "null",
        "undefined",
        "{}",
        "[object Object]",
        "e30.e30.",
        "e30.e30.e30",
        ".e30.e30",
        "e30..e30",
        "bearer",
        "Bearer",
        "vgr_",
        "vgt_AAAA",
        "%00",
        "<script>",
        "\u{e9}.\u{e9}.\u{e9}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([
        format!("{head}.{body}"),
        format!("{head}.{body}."),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{body}.{head}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}="),
        format!("{head} .{body}.{signature}"),
        format!("{head}. {body}.{signature}"),
        format!(" {token}"),
        format!("\"{token}\""),
        format!("{token},{token}"),
        format!("{token} {token}"),
        // base64 as it is not written here: padded, with + and /, with stray last bits
        forger.sign_parts(&padded_head, body),
        forger.sign_parts(head, &padded_body),
        forger.sign_parts(&format!("{head}="), body),
        forger.sign_parts("e+/=", body),
        // not one JSON object
        forger.sign_parts(&json("[]"), body),
        forger.sign_parts(&json("\"\""), body),
        forger.sign_parts(&json("{"), body),
        forger.sign_parts(head, &json("[]")),
        forger.sign_parts(head, &json("null")),
        forger.sign_parts(head, &json("")),
        forger.sign_parts(head, &json(&format!("{}{}", forger.claims, forger.claims))),
        forger.sign_parts(head, &URL_SAFE_NO_PAD.encode([0xff, 0xfe, 0x7b])),
        forger.sign_parts(head, &json(&format!("\u{feff}{}", forger.claims))),
        forger.sign_parts(head, &json(&"[".repeat(2000))),
        // the JSON serialisation (RFC 7515 §7.2)
        json!({ "protected": head, "payload": body, "signature": signature }).to_string(),
        json!({ "payload": body, "signatures": [{ "protected": head, "signature": signature }] }).to_string(),
    ]);
    texts
}

#[rstest]
#[actix_web::test]
async fn jwt_07_whatever_is_not_three_strict_parts_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let corpus = malformed(&Forger::of(&alice).await);
    assert!(corpus.len() >= 40, "{}", corpus.len());
    expect_refused(&alice, corpus).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_07_a_member_that_stands_twice_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let (header, claims) = (forger.header.to_string(), forger.claims.to_string());
    let twice = |object: &str, member: &str| object.replacen('{', &format!("{{{member},"), 1);
    let tokens = vec![
        forger.sign(&header, &twice(&claims, "\"sub\":\"0\"")),
        forger.sign(&header, &twice(&claims, &format!("\"sub\":{}", forger.claims["sub"]))),
        forger.sign(&header, &twice(&claims, "\"exp\":9999999999")),
        forger.sign(&header, &twice(&claims, "\"s\\u0069d\":\"0\"")),
        forger.sign(&header, &twice(&claims, "\"act\":{\"a\":1,\"a\":2}")),
        forger.sign(&twice(&header, "\"alg\":\"none\""), &claims),
        forger.sign(&twice(&header, &format!("\"kid\":{}", forger.header["kid"])), &claims),
    ];
    expect_refused(&alice, tokens).await;
    expect_accepted(&alice, &forger.with_claim("unknown", json!({ "a": 1 }))).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_07_an_encrypted_token_is_refused_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let header =
        json!({ "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 1_000_000_000, "p2s": "AAAA", "zip": "DEF" });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let token = [part(&header.to_string()), part("key"), part("iv"), part("text"), part("tag")].join(".");
    let direct =
        format!("{}..{}.{}.{}", part(r#"{"alg":"dir","enc":"A256GCM"}"#), part("iv"), part("text"), part("tag"));
    let started = std::time::Instant::now();
    expect_refused(&alice, [token, direct]).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[rstest]
#[actix_web::test]
async fn jwt_07_a_token_longer_than_eight_kib_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let plain = forger.faithful().len();
    // Four characters of base64 hold three of the padding.
    let padded = |length: usize| forger.with_claim("pad", "x".repeat((length - plain) * 3 / 4));
    let fits = padded(8 * 1024 - 32);
    assert!(fits.len() <= 8 * 1024 && fits.len() > 8 * 1024 - 64, "{}", fits.len());
    expect_accepted(&alice, &fits).await;
    expect_refused(&alice, [padded(8 * 1024 + 32), padded(12 * 1024)]).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_08_times_have_a_small_tolerance_forwards_and_none_at_the_end(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let now = app.now().timestamp();
    for ahead in [-3600, 0, 5, 10] {
        expect_accepted(&alice, &forger.with_claim("nbf", now + ahead)).await;
        expect_accepted(&alice, &forger.with_claim("iat", now + ahead)).await;
    }
    let too_early = [11, 61, 3600, 100_000_000];
    let tokens = too_early.iter().flat_map(|ahead| ["nbf", "iat"].map(|name| forger.with_claim(name, now + ahead)));
    // They are ours, and as good as their session: it is a clock that is wrong, and a client refreshes them.
    expect_code(&alice, tokens.collect::<Vec<_>>(), "token_expired").await;
    expect_accepted(&alice, &forger.with_claim("exp", now + 1)).await;
    for expired in [now, now - 1, now - 61, 0] {
        let answer = ask(&alice, "/auth/me", &forger.with_claim("exp", expired)).await;
        assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN));
        answer.problem(401, "token_expired");
    }
}

#[rstest]
#[actix_web::test]
async fn jwt_08_an_issued_token_lives_until_its_last_second(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let said = claims(alice.token());
    assert_eq!(said["exp"].as_i64().expect("a time") - said["iat"].as_i64().expect("a time"), 600);
    app.advance(TimeDelta::seconds(599));
    alice.get("/auth/me").await.expect(200);
    app.advance(TimeDelta::seconds(1));
    let answer = alice.get("/auth/me").await;
    assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN));
    answer.problem(401, "token_expired");
    let renewed = app.client(&alice.refresh().await.expect(200));
    renewed.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn an_expired_token_that_is_not_ours_is_not_called_expired(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let old = Forger { key: stranger.into(), claims: with(&forger.claims, "exp", 0), ..forger.clone() };
    let misdirected = Forger { claims: with(&with(&forger.claims, "exp", 0), "aud", "other"), ..forger };
    expect_refused(&alice, [old.faithful(), misdirected.faithful()]).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_06_jwt_11_an_issued_token_says_this_and_names_nobody(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("Jeanne d'Arc", "agent").await;
    let login = json!({ "username": "Jeanne d'Arc", "password": PASSWORD, "device_name": "le bureau de Jeanne" });
    let request = app.nobody().request(Method::POST, "/auth/login").header("user-agent", "Firefox sur Orléans");
    let answer = send(request.json(&login)).await.expect(200);
    let token = answer["access_token"].as_str().expect("a token");
    let kid = app.app.sessions.signing().current().await.expect("a key").id().to_string();
    assert_eq!(header(token), json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid }));
    let mut said = claims(token);
    assert!(Uuid::parse_str(said["jti"].as_str().expect("a text")).is_ok());
    assert_eq!(said["jti"], answer["session"]["token"]["jti"]);
    said = without(&said, "jti");
    let now = app.now().timestamp();
    let expected = json!({
        "iss": "http://127.0.0.1:8080", "aud": "vigie", "sub": user.id.to_string(), "client_id": "vigie",
        "sid": answer["session"]["id"], "iat": now, "exp": now + 600, "auth_time": now, "amr": ["pwd"], "role": "agent",
        "gen": 0,
    });
    assert_eq!(said, expected);
}

#[rstest]
#[actix_web::test]
async fn each_algorithm_logs_in_checks_and_logs_out(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("ES256", "EdDSA", "RS256", "HS256")] algorithm: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ALGORITHM", algorithm)]).await;
    let alice = app.signed_in("alice").await;
    assert_eq!(header(alice.token())["alg"], algorithm);
    alice.get("/auth/me").await.expect(200);
    let mut parts: Vec<_> = alice.token().split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(with(&claims(alice.token()), "role", "admin").to_string());
    alice.with_token(&parts.join(".")).get("/auth/me").await.problem(401, "token_invalid");
    let renewed = app.client(&alice.refresh().await.expect(200));
    renewed.get("/auth/verify").await.expect(200);
    renewed.post_empty("/auth/logout").await.expect(204);
    for ended in [&alice, &renewed] {
        ended.get("/auth/me").await.problem(401, "session_ended");
    }
}

#[rstest]
#[actix_web::test]
async fn jwt_10_a_change_of_the_algorithm_keeps_the_tokens_that_are_out(#[values(Sqlite, Postgres)] backend: Backend) {
    let master = ("VIGIE__KEYS__MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let before = TestApp::start_with(backend, &[master]).await;
    let alice = before.signed_in("alice").await;
    let settings = [master, ("VIGIE__TOKENS__ALGORITHM", "EdDSA")];
    let after = TestApp::on(before.database.clone(), &before.database.url, before.clock.clone(), &settings).await;
    after.nobody().with_token(alice.token()).get("/auth/me").await.expect(200);
    // It is published for a minute before it signs.
    assert_eq!(header(after.log_in("alice").await.token())["alg"], "ES256");
    after.advance(TimeDelta::minutes(1));
    let later = after.log_in("alice").await;
    assert_eq!(header(later.token())["alg"], "EdDSA");
    before.nobody().with_token(later.token()).get("/auth/me").await.expect(200);
}

/// Whoever fetched the published keys a minute ago knows the key of every token, but where a key had to be revoked.
#[rstest]
#[actix_web::test]
async fn jwt_10_a_new_key_is_published_for_a_minute_before_it_signs(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("rotated", "rotated again", "revoked", "the new one revoked")] meanwhile: &str,
) {
    let app = TestApp::start(backend).await;
    let node = app.another_node().await;
    app.user("alice", "agent").await;
    let by = AuditContext::command_line();
    let signer = async || {
        let kids = [app.log_in("alice").await, node.log_in("alice").await]
            .map(|alice| header(alice.token())["kid"].as_str().expect("a kid").to_owned());
        assert_eq!(kids[0], kids[1], "all nodes sign with one key");
        kids[0].clone()
    };
    let first = signer().await;
    let second = app.app.sessions.rotate_key(&by).await.expect("a new key");
    let published = app.nobody().get("/.well-known/jwks.json").await.body;
    assert!(published.contains(&first) && published.contains(&second), "{published}");
    assert_eq!(signer().await, first);
    app.advance(TimeDelta::seconds(30));
    match meanwhile {
        "rotated" => {
            app.advance(TimeDelta::seconds(29));
            assert_eq!(signer().await, first);
            app.advance(TimeDelta::seconds(1));
            assert_eq!(signer().await, second);
        }
        "rotated again" => {
            let third = node.app.sessions.rotate_key(&by).await.expect("a new key");
            assert_eq!(signer().await, first);
            app.advance(TimeDelta::seconds(30));
            assert_eq!(signer().await, second);
            app.advance(TimeDelta::seconds(30));
            assert_eq!(signer().await, third);
        }
        "the new one revoked" => {
            assert!(node.app.sessions.revoke_key(&second, &by).await.expect("the store answers"));
            app.advance(TimeDelta::seconds(59));
            assert_eq!(signer().await, first, "the third is published for a minute too");
            app.advance(TimeDelta::seconds(1));
            assert!(![first, second].contains(&signer().await));
        }
        _ => {
            assert!(node.app.sessions.revoke_key(&first, &by).await.expect("the store answers"));
            assert_eq!(signer().await, second, "nothing else may sign");
        }
    }
}

/// A key that cannot be replaced is not revoked: nobody could log in.
#[rstest]
#[actix_web::test]
async fn a_revocation_and_the_key_in_its_place_are_one(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let mut beside = Beside::connect(&app.database.url);
    let (breaking, mending): (&[&str], _) = match beside {
        Beside::Sqlite(_) => (
            &["CREATE TRIGGER broken BEFORE INSERT ON signing_keys BEGIN SELECT RAISE(ABORT, 'broken'); END"],
            "DROP TRIGGER broken",
        ),
        Beside::Postgres(_) => (
            &[
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'broken'; END$$",
                "CREATE TRIGGER broken BEFORE INSERT ON signing_keys FOR EACH ROW EXECUTE FUNCTION broken()",
            ],
            "DROP TRIGGER broken ON signing_keys",
        ),
    };
    for statement in breaking {
        beside.execute(statement).expect("it is broken");
    }
    let kid = header(alice.token())["kid"].as_str().expect("a kid").to_owned();
    let by = AuditContext::command_line();
    app.app.sessions.revoke_key(&kid, &by).await.expect_err("no key takes its place");
    app.log_in("alice").await.get("/auth/me").await.expect(200);
    alice.get("/auth/me").await.expect(200);
    beside.execute(mending).expect("it is mended");
    assert!(app.app.sessions.revoke_key(&kid, &by).await.expect("the store answers"));
    app.log_in("alice").await.get("/auth/me").await.expect(200);
    alice.get("/auth/me").await.problem(401, "token_invalid");
}

#[rstest]
#[actix_web::test]
async fn jwt_10_an_old_key_verifies_until_the_overlap_has_passed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__IDLE_TIMEOUT", "12h")]).await;
    let node = app.another_node().await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let lasting = forger.with_claim("exp", (app.now() + TimeDelta::hours(10)).timestamp());
    let new = app.app.sessions.rotate_key(&AuditContext::command_line()).await.expect("a new key");
    app.advance(TimeDelta::minutes(1));
    let renewed = app.client(&alice.refresh().await.expect(200));
    assert_eq!(header(renewed.token())["kid"], new.as_str());
    assert_ne!(header(alice.token())["kid"], new.as_str());
    for client in [&alice, &renewed, &alice.with_token(&lasting)] {
        client.get("/auth/me").await.expect(200);
        // A node that was there before the rotation learns the new key from the store.
        node.nobody().with_token(client.token()).get("/auth/me").await.expect(200);
    }
    // The longest life of a token, the tolerance, and an hour.
    app.advance(TimeDelta::seconds(600 + 10 + 3600 - 1));
    alice.with_token(&lasting).get("/auth/me").await.expect(200);
    app.advance(TimeDelta::seconds(1));
    alice.with_token(&lasting).get("/auth/me").await.problem(401, "token_invalid");
    node.nobody().with_token(&lasting).get("/auth/me").await.problem(401, "token_invalid");
    renewed.refresh().await.expect(200);
}

/// Anybody can name a key that there is not. That takes nothing from those whose tokens are good, and hides no key that another
/// node makes.
#[rstest]
#[actix_web::test]
async fn a_key_that_nobody_made_costs_good_checks_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let node = app.another_node().await;
    let alice = app.signed_in("alice").await;
    let forger = Forger::of(&alice).await;
    let there = node.nobody().with_token(alice.token());
    there.get("/auth/me").await.expect(200);
    let generation = node.app.sessions.signing().key_set_version();
    let strange: Vec<String> = (0..60).map(|number| forger.with_header("kid", format!("nobody-{number}"))).collect();
    let begun = std::time::Instant::now();
    for answer in join_all(strange.iter().map(|token| ask(&there, "/auth/me", token))).await {
        answer.problem(401, "token_invalid");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "they share a look: {:?}", begun.elapsed());
    assert_eq!(node.app.sessions.signing().key_set_version(), generation, "what was verified still is");
    app.app.sessions.rotate_key(&AuditContext::command_line()).await.expect("a new key");
    app.advance(TimeDelta::minutes(1));
    let renewed = app.client(&alice.refresh().await.expect(200));
    node.nobody().with_token(renewed.token()).get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn key_06_a_revoked_key_is_refused_at_once_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let node = app.another_node().await;
    let alice = app.signed_in("alice").await;
    let there = node.nobody().with_token(alice.token());
    there.get("/auth/me").await.expect(200);
    let sessions = &app.app.sessions;
    let id = sessions.signing().current().await.expect("a key").id().to_string();
    assert!(sessions.revoke_key(&id, &AuditContext::command_line()).await.expect("revoked"));
    assert!(!sessions.revoke_key(&id, &AuditContext::command_line()).await.expect("revoked before"));
    for client in [&alice, &there] {
        let answer = client.get("/auth/me").await;
        assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN));
        answer.problem(401, "token_invalid");
        client.post_empty("/auth/logout").await.problem(401, "token_invalid");
    }
    // The session lives: what was in doubt is the key.
    let renewed = app.client(&alice.refresh().await.expect(200));
    assert_ne!(header(renewed.token())["kid"], id.as_str());
    renewed.get("/auth/me").await.expect(200);
    node.nobody().with_token(renewed.token()).get("/auth/me").await.expect(200);
}

/// Signed with the real key: somebody else has it, or the database lost rows. A reviewer must hear of it.
#[rstest]
#[actix_web::test]
async fn ses_05_a_token_for_a_session_that_was_never_there_is_refused_and_recorded(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let alice = app.signed_in("alice").await;
    let sid = uuid::Uuid::now_v7().to_string();
    let forged = alice.with_token(&Forger::of(&alice).await.with_claim("sid", sid.as_str()));
    for _ in 0..3 {
        forged.get("/auth/me").await.problem(401, "token_invalid");
        forged.post_empty("/auth/logout").await.problem(401, "token_invalid");
    }
    app.app.refusals.write_all().await.unwrap();
    let events = app.events().await;
    let unknown: Vec<_> = events.iter().filter(|recorded| recorded.event.kind == AuditKind::SessionUnknown).collect();
    assert_eq!(unknown.len(), 4, "of each route the first, and one for all others: {events:?}");
    for folded in &unknown[2..] {
        assert_eq!(folded.event.details["folded"], 2);
    }
    assert_eq!(unknown[0].event.subject.id.as_deref(), Some(sid.as_str()));
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeUser {
    user_id: String,
    role: String,
}

#[rstest]
#[actix_web::test]
async fn legacy_claims_have_the_shape_that_the_node_middleware_expects(#[values(Sqlite, Postgres)] backend: Backend) {
    let secret = b"a secret of forty bytes that two share..";
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(secret).expect("it is written");
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let settings = [
        ("VIGIE__TOKENS__ALGORITHM", "HS256"),
        ("VIGIE__TOKENS__LEGACY_CLAIMS", "true"),
        ("VIGIE__TOKENS__HS256_SECRET_FILE", file.path().to_str().expect("a path")),
    ];
    let app = TestApp::start_with(backend, &settings).await;
    let user = app.user("alice", "agent").await;
    let login = json!({ "username": "alice", "password": PASSWORD });
    let answer = app.nobody().post("/auth/login", login).await.expect(200);
    assert_eq!(answer["token"], answer["access_token"]);
    let token = answer["token"].as_str().expect("a token");
    assert_eq!(header(token)["typ"], "JWT");
    assert_eq!(claims(token)["userId"], claims(token)["sub"]);
    // What `jwt.verify(token, secret)` gives.
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    rules.validate_aud = false;
    // The application has the clock of the test.
    rules.validate_exp = false;
    let key = jsonwebtoken::DecodingKey::from_secret(secret);
    let read = jsonwebtoken::decode::<NodeUser>(token, &key, &rules).expect("it verifies").claims;
    assert_eq!((read.user_id, read.role.as_str()), (user.id.to_string(), "agent"));

    let alice = app.client(&answer);
    alice.get("/auth/me").await.expect(200);
    let renewed = alice.refresh().await.expect(200);
    assert_eq!(renewed["token"], renewed["access_token"]);
    // A token of the other shape, though the secret is right.
    let forger = Forger::of(&alice).await;
    let typed = forger.sign_with_secret(&with(&forger.header, "typ", "at+jwt"), secret);
    alice.with_token(&typed).get("/auth/me").await.problem(401, "token_invalid");
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn a_standard_login_answer_has_no_legacy_members(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let login = json!({ "username": "alice", "password": PASSWORD });
    let answer = app.nobody().post("/auth/login", login).await.expect(200);
    assert_eq!(answer.get("token"), None);
    assert_eq!(claims(answer["access_token"].as_str().expect("a token")).get("userId"), None);
}
