//! Events leave the house (LOG-08): each sink gets all of them, in order, whatever happens to it or to us.

mod collector;
mod cursor;
mod doctor;
mod receiver;
mod sinks;

use chrono::DateTime;
use serde_json::Value;
use vigie::audit::shipping::{Progress, ShippingError};

use crate::support::app::TestApp;
use crate::support::dump::Beside;

/// Settings for a collector in the clear.
fn to_syslog(address: &str) -> [(&str, &str); 2] {
    [("VIGIE__SHIPPING__SYSLOG__ADDRESS", address), ("VIGIE__SHIPPING__SYSLOG__TLS", "false")]
}

/// Seals what waits; sends all of it to the one sink.
async fn ship(app: &TestApp) -> Result<(), ShippingError> {
    app.app.chain.seal().await?;
    while step(app).await? == Progress::Shipped {}
    Ok(())
}

async fn step(app: &TestApp) -> Result<Progress, ShippingError> {
    app.app.shipping.step(&app.app.shipping.sinks()[0]).await
}

/// The numbers of the sealed events, in the order of the chain.
fn sealed(app: &TestApp) -> Vec<String> {
    Beside::connect(&app.database.url)
        .lines("SELECT subject AS line FROM sealed_records WHERE kind = 'event' ORDER BY position")
}

/// The numbers of the events that a sink was sent.
fn numbers(events: &[Value]) -> Vec<String> {
    events.iter().filter(|event| event["seq"].is_i64()).map(|event| event["seq"].to_string()).collect()
}

/// Somebody comes and goes: a login, a failed one, a logout.
async fn come_and_go(app: &TestApp, name: &str) {
    let client = app.log_in(name).await;
    client.get("/auth/me").await.expect(200);
    client.post_empty("/auth/logout").await.expect(204);
}

/// Each event of Vigie's own form is whole.
#[track_caller]
fn assert_whole(event: &Value) {
    assert!(event["kind"].is_string() && event["record"]["position"].is_i64(), "{event}");
    assert!(event["record"]["history"].as_str().is_some_and(|name| name.starts_with("vigie/")), "{event}");
    assert!(DateTime::parse_from_rfc3339(event["at"].as_str().expect("a time")).is_ok(), "{event}");
}
