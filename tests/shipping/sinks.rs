//! What each sink is sent, and from whom it is believed.

use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::Value;
use vigie::app::{App, StartError};
use vigie::audit::shipping::ShippingError;
use vigie::clock::SystemClock;
use vigie::config::Config;

use super::collector::Collector;
use super::receiver::Receiver;
use super::{assert_whole, come_and_go, numbers, sealed, ship, step};
use crate::api::ocsf::assert_valid;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::certificates::{Certificates, write_private};
use crate::support::dump::Beside;
use crate::support::program::Program;
use crate::support::until::until;

fn lines(directory: &tempfile::TempDir) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.path().join("events")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn with_file(backend: Backend, format: &str) -> (TestApp, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("events").display().to_string();
    let settings = [("VIGIE__SHIPPING__FILE__PATH", &*path), ("VIGIE__SHIPPING__FILE__FORMAT", format)];
    (TestApp::start_with(backend, &settings).await, directory)
}

#[rstest]
#[actix_web::test]
async fn a_collector_is_believed_by_its_certificate_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::write(directory.path());
    let collector = Collector::tls(directory.path()).await;
    let app = async |address: &str, authority: &std::path::Path| {
        let authority = authority.to_str().unwrap();
        let settings = [("VIGIE__SHIPPING__SYSLOG__ADDRESS", address), ("VIGIE__SHIPPING__SYSLOG__CA_FILE", authority)];
        let app = TestApp::start_with(backend, &settings).await;
        app.user("alice", "agent").await;
        app
    };
    let named = collector.address.replace("127.0.0.1", "localhost");
    for (address, authority, reason) in [
        (&*collector.address, &certificates.stranger, "UnknownIssuer"),
        (&collector.address.replace("127.0.0.1", "127.0.0.2"), &certificates.root, "not valid for name"),
    ] {
        let refused = ship(&app(address, authority).await).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(collector.messages(), Vec::<String>::new());
    for address in [&*collector.address, &named] {
        let taken = collector.messages().len();
        let app = app(address, &certificates.root).await;
        ship(&app).await.unwrap();
        assert_eq!(numbers(&collector.events()[taken..]), sealed(&app));
    }
}

#[rstest]
#[actix_web::test]
async fn a_file_gets_a_line_for_each_event(#[values(Sqlite, Postgres)] backend: Backend) {
    let (app, directory) = with_file(backend, "vigie").await;
    app.user("alice", "agent").await;
    come_and_go(&app, "alice").await;
    ship(&app).await.unwrap();
    come_and_go(&app, "alice").await;
    ship(&app).await.unwrap();
    let events = lines(&directory);
    assert_eq!(numbers(&events), sealed(&app));
    events.iter().for_each(assert_whole);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert!(kinds.contains(&"session.started") && kinds.contains(&"session.ended"), "{kinds:?}");
}

/// The real server, with all its loops.
#[rstest]
#[actix_web::test]
async fn a_server_ships_what_happens_as_it_happens(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let path = program.path("events.ndjson");
    let program = program.with("VIGIE__SHIPPING__FILE__PATH", path.to_str().unwrap());
    program.add_user("alice", "agent");
    let server = program.serve();
    let session = server.log_in("alice").await["session"]["id"].clone();
    let is_there = |text: String| {
        let mut events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.any(|event| event["kind"] == "session.started" && event["session_id"] == session)
    };
    until("the login is shipped", async || std::fs::read_to_string(&path).is_ok_and(is_there)).await;
    assert_eq!(server.stop().0, Some(0));
}

/// Each checkpoint is sent once, behind the records that it is about.
#[rstest]
#[actix_web::test]
async fn checkpoints_are_sent_as_well(#[values(Sqlite, Postgres)] backend: Backend) {
    let (app, directory) = with_file(backend, "vigie").await;
    let mut expected = Vec::new();
    for name in ["alice", "bob"] {
        app.user(name, "agent").await;
        app.app.chain.seal().await.unwrap();
        expected.push(app.app.chain.checkpoint().await.unwrap());
        ship(&app).await.unwrap();
    }
    // This one is made when all that it is about has been sent.
    app.user("carol", "agent").await;
    ship(&app).await.unwrap();
    expected.push(app.app.chain.checkpoint().await.unwrap());
    ship(&app).await.unwrap();

    let events = lines(&directory);
    let is_checkpoint = |event: &&Value| event["kind"] == "history.checkpoint";
    let notes: Vec<&str> = events.iter().filter(is_checkpoint).map(|event| event["note"].as_str().unwrap()).collect();
    assert_eq!(notes, expected.iter().map(|checkpoint| &*checkpoint.note).collect::<Vec<_>>());
    for note in notes {
        app.app.chain.key().open(note).unwrap();
    }
    for (place, event) in events.iter().enumerate().filter(|(_, event)| is_checkpoint(event)) {
        let positions = events[..place].iter().filter_map(|event| event["record"]["position"].as_i64());
        assert!(positions.max().unwrap() < event["size"].as_i64().unwrap());
    }
    assert_eq!(numbers(&events), sealed(&app));
}

#[rstest]
#[actix_web::test]
async fn what_is_shipped_as_ocsf_is_valid(#[values(Sqlite, Postgres)] backend: Backend) {
    let (app, directory) = with_file(backend, "ocsf").await;
    app.user("alice", "agent").await;
    come_and_go(&app, "alice").await;
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    ship(&app).await.unwrap();
    let events = lines(&directory);
    assert_eq!(events.len(), sealed(&app).len() + 1);
    events.iter().for_each(assert_valid);
    assert!(events[0]["unmapped"]["record"]["position"].is_i64());
    assert_eq!(events.last().unwrap()["metadata"]["event_code"], "history.checkpoint");
}

/// Whoever removes an event before it is sent cannot hide that there was one.
#[rstest]
#[actix_web::test]
async fn an_event_that_is_gone_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let (app, directory) = with_file(backend, "vigie").await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    app.app.chain.seal().await.unwrap();
    let first = sealed(&app)[0].clone();
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    assert_eq!(beside.execute(&format!("DELETE FROM audit_events WHERE seq = {first}")), Ok(1));
    ship(&app).await.unwrap();
    let events = lines(&directory);
    assert_eq!(events.len(), sealed(&app).len());
    assert_eq!(events[0]["kind"], "history.event_lost");
    assert_eq!(events[0]["seq"], first);
    assert!(events[0]["record"]["digest"].is_string());
}

fn to_webhook(receiver: &Receiver, directory: &tempfile::TempDir) -> (String, standardwebhooks::Webhook) {
    let file = directory.path().join("secret");
    let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
    write_private(&file, &format!("{secret}\n"));
    assert!(receiver.url.starts_with("http://"));
    (file.display().to_string(), standardwebhooks::Webhook::new(&secret).unwrap())
}

#[rstest]
#[actix_web::test]
async fn a_webhook_is_signed_and_sent_until_it_is_taken(#[values(Sqlite, Postgres)] backend: Backend) {
    let (receiver, directory) = (Receiver::start(), tempfile::tempdir().unwrap());
    let (secret_file, theirs) = to_webhook(&receiver, &directory);
    let settings =
        [("VIGIE__SHIPPING__WEBHOOK__URL", &*receiver.url), ("VIGIE__SHIPPING__WEBHOOK__SECRET_FILE", &*secret_file)];
    let app = TestApp::start_with(backend, &settings).await;
    app.user("alice", "agent").await;
    come_and_go(&app, "alice").await;
    app.app.chain.seal().await.unwrap();
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::GONE, StatusCode::TEMPORARY_REDIRECT] {
        receiver.answer(status);
        let refused = step(&app).await.unwrap_err();
        assert!(matches!(refused, ShippingError::Sink(_)), "{refused:?}");
        let told = refused.to_string();
        assert!(told.contains(status.as_str()) && !told.contains("canary"), "{told}");
    }
    receiver.answer(StatusCode::OK);
    ship(&app).await.unwrap();
    let received = receiver.received();
    // Four times the same shipment under the same id.
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|each| each.id == received[0].id && each.body == received[0].body));
    assert_eq!(numbers(&received[3].events()), sealed(&app));

    come_and_go(&app, "alice").await;
    ship(&app).await.unwrap();
    let received = receiver.received();
    assert_ne!(received[4].id, received[3].id);
    for each in received {
        assert_eq!(each.timestamp, app.now().timestamp());
        assert_eq!(each.signature, theirs.sign(&each.id, each.timestamp, each.body.as_bytes()).unwrap());
        assert!(!each.id.contains('.') && each.events().len() > 1, "{}", each.id);
    }
}

/// Each start that cannot ship as it is told names the key.
#[actix_web::test]
async fn a_sink_that_cannot_be_used_stops_the_start() {
    let (database, directory) = (Sqlite.database(), tempfile::tempdir().unwrap());
    let path = |name: &str, content: &str| {
        write_private(&directory.path().join(name), content);
        directory.path().join(name).display().to_string()
    };
    let (short, empty) = (path("short", "whsec_AAAA"), path("empty", ""));
    for (settings, key) in [
        ([("SYSLOG__ADDRESS", "localhost:1"), ("SYSLOG__CA_FILE", "/nowhere")], "shipping.syslog.ca_file"),
        ([("SYSLOG__ADDRESS", "localhost:1"), ("SYSLOG__CA_FILE", &*empty)], "shipping.syslog.ca_file"),
        ([("WEBHOOK__URL", "http://localhost/"), ("WEBHOOK__SECRET_FILE", "/nowhere")], "shipping.webhook.secret_file"),
        ([("WEBHOOK__URL", "http://localhost/"), ("WEBHOOK__SECRET_FILE", &short)], "shipping.webhook.secret_file"),
    ] {
        let mut given = vec![
            ("DATABASE_URL".to_owned(), database.url.clone()),
            ("VIGIE__DATA__DIR".to_owned(), directory.path().join("data").display().to_string()),
        ];
        given.extend(settings.map(|(name, value)| (format!("VIGIE__SHIPPING__{name}"), value.to_owned())));
        let config = Config::load(None, given).unwrap();
        let error = App::open(config, std::sync::Arc::new(SystemClock)).await.unwrap_err();
        assert!(matches!(&error, StartError::Sink(_)) && error.to_string().starts_with(key), "{error}");
    }
}
