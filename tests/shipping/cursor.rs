//! What happens to a sink, or to us, loses nothing and changes no order.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rstest::rstest;
use vigie::audit::shipping::{Progress, ShippingError};
use vigie::background;
use vigie::model::audit::AuditContext;

use super::collector::Collector;
use super::{assert_whole, come_and_go, numbers, sealed, ship, step, to_syslog};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

fn lag(app: &TestApp) -> i64 {
    let text = app.app.metrics.encode();
    let line = text.lines().find_map(|line| line.strip_prefix("vigie_shipping_lag_records{sink=\"syslog\"} "));
    line.expect("a metric").parse().expect("a number")
}

/// First the collector takes connections and nothing from them, then nobody is there, then it comes back.
#[rstest]
#[actix_web::test]
async fn log_08_while_a_collector_is_away_nothing_is_lost_and_nobody_waits(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut collector = Collector::hanging().await;
    let app = TestApp::start_with(backend, &to_syslog(&collector.address)).await;
    app.user("alice", "agent").await;
    app.app.chain.seal().await.unwrap();
    let shipping = background::shipping::start(&app.app);
    let begun = Instant::now();
    for _ in 0..5 {
        come_and_go(&app, "alice").await;
        app.app.chain.seal().await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "somebody waited for the collector");
    assert!(lag(&app) > 0);

    collector.leave().await;
    for _ in 0..5 {
        come_and_go(&app, "alice").await;
        app.app.chain.seal().await.unwrap();
    }
    assert_eq!(collector.messages(), Vec::<String>::new());

    collector.come_back().await;
    let expected = sealed(&app);
    assert!(expected.len() > 20, "{expected:?}");
    collector.has(expected.len()).await;
    come_and_go(&app, "alice").await;
    app.app.chain.seal().await.unwrap();
    collector.has(sealed(&app).len()).await;
    shipping.stop().await;
    let events = collector.events();
    assert_eq!(numbers(&events), sealed(&app));
    events.iter().for_each(assert_whole);
    // The stop may have come when the collector had the last of them and the cursor did not.
    ship(&app).await.unwrap();
    assert_eq!(lag(&app), 0);
}

#[rstest]
#[actix_web::test]
async fn a_restart_goes_on_from_the_cursor(#[values(Sqlite, Postgres)] backend: Backend) {
    let collector = Collector::plain().await;
    let app = TestApp::start_with(backend, &to_syslog(&collector.address)).await;
    app.user("alice", "agent").await;
    come_and_go(&app, "alice").await;
    ship(&app).await.unwrap();
    let before = sealed(&app);
    assert_eq!(numbers(&collector.events()), before);
    come_and_go(&app, "alice").await;
    let app = app.restart().await;
    // The claim of the node that has gone lasts on: it may still be at work.
    assert_eq!(step(&app).await.unwrap(), Progress::Idle);
    app.advance(TimeDelta::seconds(31));
    come_and_go(&app, "alice").await;
    ship(&app).await.unwrap();
    assert!(sealed(&app).len() > before.len());
    assert_eq!(numbers(&collector.events()), sealed(&app));
}

#[rstest]
#[actix_web::test]
async fn what_a_collector_broke_off_is_sent_again_from_the_cursor(#[values(Sqlite, Postgres)] backend: Backend) {
    let collector = Collector::breaking_off().await;
    let app = TestApp::start_with(backend, &to_syslog(&collector.address)).await;
    app.user("alice", "agent").await;
    for _ in 0..5 {
        come_and_go(&app, "alice").await;
    }
    assert!(matches!(ship(&app).await, Err(ShippingError::Sink(_))));
    assert_eq!(collector.messages().len(), 3);
    ship(&app).await.unwrap();
    // What had arrived comes twice; each time with its position, by which it is known.
    let events = collector.events();
    assert_eq!(numbers(&events[3..]), sealed(&app));
    assert_eq!(events[..3], events[3..6]);
    assert!(app.app.metrics.encode().contains("vigie_shipping_failures_total{sink=\"syslog\"} 1\n"));
}

#[rstest]
#[actix_web::test]
async fn one_node_ships_at_a_time_and_another_takes_over(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut collector = Collector::plain().await;
    let one = TestApp::start_with(backend, &to_syslog(&collector.address)).await;
    let other = one.another_node().await;
    one.user("alice", "agent").await;
    one.app.chain.seal().await.unwrap();
    collector.leave().await;
    assert!(matches!(step(&one).await, Err(ShippingError::Sink(_))));
    collector.come_back().await;
    assert_eq!(step(&other).await.unwrap(), Progress::Idle);
    assert_eq!(collector.messages().len(), 0);
    // A node that stops says so; one that is gone is waited for.
    one.app.shipping.release().await.unwrap();
    assert_eq!(step(&other).await.unwrap(), Progress::Shipped);
    one.user("bob", "agent").await;
    one.app.chain.seal().await.unwrap();
    assert_eq!(step(&one).await.unwrap(), Progress::Idle);
    one.advance(TimeDelta::seconds(31));
    assert_eq!(step(&one).await.unwrap(), Progress::Shipped);
    assert_eq!(numbers(&collector.events()), sealed(&one));
}

/// More than fits in one shipment, from two nodes that ship at the same time.
#[rstest]
#[actix_web::test]
async fn two_nodes_that_ship_at_once_send_each_event_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let collector = Collector::plain().await;
    let one = TestApp::start_with(backend, &to_syslog(&collector.address)).await;
    let other = one.another_node().await;
    one.user("alice", "agent").await;
    for _ in 0..45 {
        come_and_go(&one, "alice").await;
    }
    one.app.chain.seal().await.unwrap();
    let expected = sealed(&one);
    let loops = [background::shipping::start(&one.app), background::shipping::start(&other.app)];
    collector.has(expected.len()).await;
    for shipping in loops {
        shipping.stop().await;
    }
    assert_eq!(numbers(&collector.events()), expected);
}

/// A sink that comes when old events are gone is sent what is kept, and is not told that the others were lost.
#[rstest]
#[actix_web::test]
async fn a_sink_that_comes_after_retention_is_sent_what_is_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    come_and_go(&app, "alice").await;
    app.app.chain.seal().await.unwrap();
    app.advance(TimeDelta::days(396));
    come_and_go(&app, "alice").await;
    let removed = app.app.retention.run(&AuditContext::system("retention")).await.unwrap().removed;
    assert!(removed.events > 0, "{removed:?}");
    let collector = Collector::plain().await;
    let node = app.another_node_with(&to_syslog(&collector.address)).await;
    ship(&node).await.unwrap();
    let kept: Vec<String> = node.events().await.iter().map(|event| event.seq.to_string()).collect();
    let mut sent = numbers(&collector.events());
    sent.sort_by_key(|number| number.parse::<i64>().unwrap());
    assert_eq!(sent, kept);
    assert!(!collector.events().iter().any(|event| event["kind"] == "history.event_lost"));
}
