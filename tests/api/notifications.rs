//! Alerts told by webhook and by mail: signed, once, later where that fails (LOG-11, ATH-08).

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::NamedTempFile;
use vigie::app::App;
use vigie::clock::SystemClock;
use vigie::config::Config;
use vigie::model::alert::{AlertKind, NewAlert};
use vigie::model::audit::Subject;

use super::throttling::{ELSEWHERE, HOME, PROXIED, try_from};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::certificates::{Certificates, write_private};
use crate::support::dump::Beside;
use crate::support::smtp::Smtp;
use crate::support::webhook::{Received, Receiver};

const KEY: &str = "an example of a key for tests";

/// A file for its owner alone.
fn secret_file() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    write!(file, "whsec_{}", STANDARD.encode(KEY)).expect("written");
    file
}

async fn with_webhook(backend: Backend, receiver: &Receiver) -> (TestApp, NamedTempFile) {
    let file = secret_file();
    let path = file.path().to_str().expect("a path");
    let settings =
        [("VIGIE__ALERTS__WEBHOOK_URL", receiver.url.as_str()), ("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", path)];
    (TestApp::start_with(backend, &settings).await, file)
}

async fn raise(app: &TestApp, kind: AlertKind) {
    let alert = NewAlert::without_details(app.now(), kind, Subject::everybody());
    app.app.alerts.raise(alert).await.expect("raised");
}

async fn deliver(app: &TestApp) {
    app.app.alerts.deliver().await.expect("the store answers");
}

fn is_signed(received: &Received) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length");
    mac.update(format!("{}.{}.{}", received.id, received.timestamp, received.body).as_bytes());
    received.signature == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[rstest]
#[actix_web::test]
async fn log_11_an_alert_is_posted_once_and_signed(#[values(Sqlite, Postgres)] backend: Backend) {
    let receiver = Receiver::start();
    let (app, _file) = with_webhook(backend, &receiver).await;
    raise(&app, AlertKind::ManyEnds).await;
    raise(&app, AlertKind::ManyEnds).await;
    deliver(&app).await;
    deliver(&app).await;
    let received = receiver.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(is_signed(&received[0]));
    assert_eq!(received[0].timestamp, app.now().timestamp().to_string());
    let body: Value = serde_json::from_str(&received[0].body).expect("JSON");
    assert_eq!((&body["type"], &body["data"]["kind"]), (&json!("alert.raised"), &json!("many_ends")));
    assert_eq!((&body["data"]["id"], &body["data"]["count"]), (&json!(app.alerts().await[0].id), &json!(2)));
    let text = app.app.metrics.encode();
    assert!(text.contains(r#"vigie_deliveries_total{channel="webhook",outcome="delivered"} 1"#), "{text}");
    assert!(!app.dump().contains(KEY));
}

#[rstest]
#[actix_web::test]
async fn what_could_not_be_posted_is_tried_again_after_growing_pauses(#[values(Sqlite, Postgres)] backend: Backend) {
    let receiver = Receiver::start();
    let (app, _file) = with_webhook(backend, &receiver).await;
    // A redirect is not followed: it is no success either.
    for (round, status) in [500, 302].into_iter().enumerate() {
        receiver.answer(status);
        if round == 0 {
            raise(&app, AlertKind::ManyEnds).await;
        }
        deliver(&app).await;
        deliver(&app).await;
        assert_eq!(receiver.received().len(), round + 1);
        app.advance(TimeDelta::seconds(29));
        deliver(&app).await;
        assert_eq!(receiver.received().len(), round + 1);
        app.advance(TimeDelta::seconds(1));
    }
    deliver(&app).await;
    assert_eq!(receiver.received().len(), 2, "the second pause is longer");
    // Across a restart.
    let app = app.restart().await;
    receiver.answer(204);
    app.advance(TimeDelta::seconds(30));
    deliver(&app).await;
    app.advance(TimeDelta::hours(2));
    deliver(&app).await;
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|one| one.id == received[0].id && is_signed(one)), "{received:?}");
    assert_ne!(received[0].timestamp, received[2].timestamp);
}

#[rstest]
#[actix_web::test]
async fn an_address_that_never_answers_is_given_up_after_days(#[values(Sqlite, Postgres)] backend: Backend) {
    let receiver = Receiver::start();
    let (app, _file) = with_webhook(backend, &receiver).await;
    receiver.answer(500);
    raise(&app, AlertKind::ManyEnds).await;
    for _ in 0..80 {
        deliver(&app).await;
        app.advance(TimeDelta::hours(1));
    }
    assert_eq!(receiver.received().len(), 1 + 3 * 24, "at once, and each hour of three days");
    let text = app.app.metrics.encode();
    assert!(text.contains(r#"vigie_deliveries_total{channel="webhook",outcome="given_up"} 1"#), "{text}");
    app.advance(TimeDelta::days(5));
    assert_eq!(app.app.alerts.prune_deliveries().await.expect("forgotten"), 1);
    assert_eq!(app.alerts().await.len(), 1, "the alert stays");
}

#[rstest]
#[actix_web::test]
async fn of_several_nodes_one_posts(#[values(Sqlite, Postgres)] backend: Backend) {
    let receiver = Receiver::start();
    let (app, _file) = with_webhook(backend, &receiver).await;
    let nodes = [app.another_node().await, app.another_node().await];
    for kind in AlertKind::ALL {
        raise(&app, *kind).await;
    }
    // There are more than a node takes at once, and all may look at the same ones first.
    for _round in 0..2 {
        tokio::join!(deliver(&app), deliver(&nodes[0]), deliver(&nodes[1]));
    }
    let mut ids: Vec<_> = receiver.received().into_iter().map(|received| received.id).collect();
    ids.sort();
    let sent = ids.len();
    ids.dedup();
    assert_eq!((sent, ids.len()), (AlertKind::ALL.len(), AlertKind::ALL.len()));
}

#[rstest]
#[actix_web::test]
async fn nobody_waits_for_a_receiver_that_is_away(#[values(Sqlite, Postgres)] backend: Backend) {
    let file = secret_file();
    let path = file.path().to_str().expect("a path");
    let settings = [
        ("VIGIE__ALERTS__WEBHOOK_URL", "http://127.0.0.1:9/"),
        ("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", path),
        ("VIGIE__ALERTS__FAILURES_BEFORE_LOGIN", "1"),
        ("VIGIE__MAIL__SMTP_URL", "smtp://127.0.0.1:9"),
        ("VIGIE__MAIL__FROM", "vigie@example.org"),
        ("VIGIE__MAIL__REVIEWERS", "reviewer@example.org"),
        PROXIED,
    ];
    let app = TestApp::start_with(backend, &settings).await;
    app.user("alice", "agent").await;
    try_from(&app, HOME, "alice", "x").await.expect(401);
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    deliver(&app).await;
    try_from(&app, ELSEWHERE, "alice", PASSWORD).await.expect(200);
    assert_eq!(app.alerts().await.len(), 2);
}

/// Settings for mail by this server.
pub(super) fn mailing(smtp: &Smtp) -> [(&str, &str); 4] {
    [
        ("VIGIE__MAIL__SMTP_URL", &smtp.url),
        ("VIGIE__MAIL__FROM", "Vigie <vigie@example.org>"),
        ("VIGIE__MAIL__REVIEWERS", "one@example.org,two@example.org"),
        ("VIGIE__SERVER__PUBLIC_URL", "https://vigie.example.org/"),
    ]
}

#[rstest]
#[actix_web::test]
async fn log_11_each_reviewer_is_mailed_each_alert_in_the_language_of_the_house(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let smtp = Smtp::start().await;
    for (language, words) in
        [("fr", ["Détails :", "sessions ont pris fin"]), ("en", ["Details:", "sessions were ended"])]
    {
        let settings = [&mailing(&smtp)[..], &[("VIGIE__MAIL__LANGUAGE", language)]].concat();
        let app = TestApp::start_with(backend, &settings).await;
        let before = smtp.mails().len();
        raise(&app, AlertKind::ManyEnds).await;
        smtp.refuse(true);
        deliver(&app).await;
        assert_eq!(smtp.mails().len(), before);
        smtp.refuse(false);
        app.advance(TimeDelta::seconds(30));
        deliver(&app).await;
        deliver(&app).await;
        let mails = smtp.mails().split_off(before);
        let mut to: Vec<_> = mails.iter().flat_map(|mail| mail.to.clone()).collect();
        to.sort();
        assert_eq!(to, ["one@example.org", "two@example.org"]);
        let (text, id) = (&mails[0].text, app.alerts().await[0].id.to_string());
        for part in words.iter().copied().chain([
            id.as_str(),
            "Auto-Submitted: auto-generated",
            "From: Vigie <vigie@example.org>",
        ]) {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        let away = app.app.metrics.encode();
        assert!(away.contains(r#"vigie_deliveries_total{channel="reviewer_mail",outcome="failed"} 2"#), "{away}");
    }
}

/// A real exchange, by STARTTLS and by TLS from the first byte: with a server that proves its name, and with no other. Neither
/// a mail nor a password reaches anybody else.
#[rstest]
#[actix_web::test]
async fn mail_leaves_by_tls_to_a_server_that_proves_its_name(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("smtp", "smtps")] scheme: &str,
) {
    let directory = tempfile::tempdir().expect("a directory");
    let certificates = Certificates::write(directory.path());
    let password = directory.path().join("password");
    write_private(&password, "an example\n");
    let smtp = Smtp::secure(scheme, directory.path()).await;
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let elsewhere = smtp.url.replace("127.0.0.1", "127.0.0.2");
    for (url, authority, fault) in [
        (&smtp.url, &certificates.stranger, "UnknownIssuer"),
        (&elsewhere, &certificates.root, "not valid for name"),
        (&smtp.url, &certificates.root, ""),
        (&smtp.url.replace("127.0.0.1", "localhost"), &certificates.root, ""),
    ] {
        let (url, authority) = (url.replace("://", "://vigie%40example.org@"), text(authority));
        let (before, logins) = (smtp.mails().len(), smtp.logins().len());
        let settings = [
            ("VIGIE__MAIL__SMTP_URL", url.as_str()),
            ("VIGIE__MAIL__CA_FILE", &authority),
            ("VIGIE__MAIL__PASSWORD_FILE", &text(&password)),
            ("VIGIE__MAIL__FROM", "vigie@example.org"),
            ("VIGIE__MAIL__REVIEWERS", "one@example.org"),
        ];
        let app = TestApp::start_with(backend, &settings).await;
        raise(&app, AlertKind::ManyEnds).await;
        deliver(&app).await;
        let is_taken = fault.is_empty();
        assert_eq!(
            (smtp.mails().len(), smtp.logins().len()),
            (before + usize::from(is_taken), logins + usize::from(is_taken))
        );
        if is_taken {
            let login = STANDARD.encode("\0vigie@example.org\0an example");
            assert!(smtp.logins()[logins].ends_with(&login), "{:?}", smtp.logins());
            assert_eq!(smtp.mails()[before].to, ["one@example.org"]);
        } else {
            let told = Beside::connect(&app.database.url).lines("SELECT last_fault AS line FROM deliveries");
            assert!(told[0].contains(fault), "{told:?}");
        }
    }
}

/// A file without certificates is found at the start, by its key.
#[rstest]
#[actix_web::test]
async fn a_file_of_authorities_must_hold_some(#[values(Sqlite, Postgres)] backend: Backend) {
    let (database, file) = (backend.database(), NamedTempFile::new().expect("a file"));
    let settings = [
        ("DATABASE_URL", database.url.as_str()),
        ("VIGIE__DATA__DIR", "/nowhere"),
        ("VIGIE__KEYS__MASTER_KEY", &STANDARD.encode([7; 32])),
        ("VIGIE__MAIL__SMTP_URL", "smtps://mail.example.org"),
        ("VIGIE__MAIL__CA_FILE", file.path().to_str().expect("a path")),
        ("VIGIE__MAIL__FROM", "vigie@example.org"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, settings).expect("valid settings");
    let refused = App::open(config, std::sync::Arc::new(SystemClock)).await.expect_err("it is refused").to_string();
    assert!(refused.starts_with("mail.ca_file: ") && refused.ends_with("holds no certificate"), "{refused}");
}
