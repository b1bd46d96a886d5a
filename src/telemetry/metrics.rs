//! The metrics of one server, with a registry of its own: two servers in one process do not mix their counts.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Seconds. A checked request takes well below a millisecond, a login some tens.
const DURATIONS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    channel: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: &'static str,
}

/// The outcome of a check that let somebody in.
const ACCEPTED: &str = "ok";

/// What is counted. Labels are words of closed lists and patterns of routes, never what a client sent.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RequestLabels, Histogram, fn() -> Histogram>,
    logins: Family<OutcomeLabel, Counter>,
    checks: Family<OutcomeLabel, Counter>,
    refreshes: Family<OutcomeLabel, Counter>,
    sessions_started: Counter,
    sessions_ended: Family<ReasonLabel, Counter>,
    hashing_queue: Gauge,
    checks_accepted: Counter,
    live_hits: Counter,
    live_misses: Counter,
    live_sessions: Gauge,
    live_mode: Gauge,
    lease_left: Gauge<f64, AtomicU64>,
    changes_applied: Counter,
    acknowledgements: Histogram,
    database_went_back: Counter,
    record_verified: Gauge<f64, AtomicU64>,
    record_damaged: Gauge,
    record_waiting: Gauge,
    record_waiting_age: Gauge<f64, AtomicU64>,
    alerts_raised: Family<KindLabel, Counter>,
    alerts_open: Family<KindLabel, Gauge>,
    oldest_alert: Gauge<f64, AtomicU64>,
    deliveries: Family<DeliveryLabels, Counter>,
    shipping_lag_records: Family<SinkLabel, Gauge>,
    shipping_lag: Family<SinkLabel, Gauge<f64, AtomicU64>>,
    shipping_failures: Family<SinkLabel, Counter>,
    oldest_rows: Family<TableLabel, Gauge<f64, AtomicU64>>,
    retention_ran: Gauge<f64, AtomicU64>,
    retention_removed: Family<TableLabel, Counter>,
}

/// What is counted of requests that have their labels in common.
#[derive(Debug)]
pub struct RequestMetrics {
    labels: RequestLabels,
    count: Counter,
    durations: Histogram,
}

impl RequestMetrics {
    /// Whether such a request belongs here.
    #[must_use]
    pub fn are_of(&self, method: &'static str, route: &str, status: u16) -> bool {
        self.labels.route == route && self.labels.method == method && self.labels.status == status_class(status)
    }

    /// Counts a request that took so long.
    pub fn count(&self, duration: Duration) {
        self.count.inc();
        self.durations.observe(duration.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("vigie"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            logins: Family::default(),
            checks: Family::default(),
            refreshes: Family::default(),
            sessions_started: Counter::default(),
            sessions_ended: Family::default(),
            hashing_queue: Gauge::default(),
            checks_accepted: Counter::default(),
            live_hits: Counter::default(),
            live_misses: Counter::default(),
            live_sessions: Gauge::default(),
            live_mode: Gauge::default(),
            lease_left: Gauge::default(),
            changes_applied: Counter::default(),
            acknowledgements: Histogram::new(DURATIONS),
            database_went_back: Counter::default(),
            record_verified: Gauge::default(),
            record_damaged: Gauge::default(),
            record_waiting: Gauge::default(),
            record_waiting_age: Gauge::default(),
            alerts_raised: Family::default(),
            alerts_open: Family::default(),
            oldest_alert: Gauge::default(),
            deliveries: Family::default(),
            shipping_lag_records: Family::default(),
            shipping_lag: Family::default(),
            shipping_failures: Family::default(),
            oldest_rows: Family::default(),
            retention_ran: Gauge::default(),
            retention_removed: Family::default(),
        };
        metrics.checks_accepted = metrics.checks.get_or_create_owned(&OutcomeLabel { outcome: ACCEPTED });
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// The library adds `_total` to counters and the unit to the others.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        let help = "Time from the head of a request to the head of its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.durations.clone());
        registry.register("logins", "Tries to log in", self.logins.clone());
        registry.register("checks", "Access tokens checked against their session", self.checks.clone());
        registry.register("refreshes", "Refresh tokens presented", self.refreshes.clone());
        registry.register("sessions_started", "Sessions started", self.sessions_started.clone());
        registry.register("sessions_ended", "Sessions ended", self.sessions_ended.clone());
        let help = "Checks under a lease that found session and user in memory";
        registry.register("live_hits", help, self.live_hits.clone());
        let help = "Checks under a lease that had to ask the store";
        registry.register("live_misses", help, self.live_misses.clone());
        registry.register("live_sessions", "Sessions kept in memory", self.live_sessions.clone());
        let help = "1 while a lease is held and checks are answered from memory";
        registry.register("live_mode", help, self.live_mode.clone());
        let help = "What is left of the lease, when it was looked at last";
        registry.register_with_unit("lease_left", help, Unit::Seconds, self.lease_left.clone());
        registry.register("changes_applied", "Changes applied to the live view", self.changes_applied.clone());
        let help = "Time from the commit of a change until every node had applied it";
        registry.register_with_unit("acknowledgement", help, Unit::Seconds, self.acknowledgements.clone());
        let help = "Times that the database was found to be an older copy of itself";
        registry.register("database_went_back", help, self.database_went_back.clone());
        let help = "When the server verified the history last, in seconds since 1970";
        registry.register_with_unit("record_verified_timestamp", help, Unit::Seconds, self.record_verified.clone());
        let help = "1 where the history was found to be altered then";
        registry.register("record_damaged", help, self.record_damaged.clone());
        let help = "Records of the history that wait to be sealed; at most 100000 are counted";
        registry.register("record_waiting", help, self.record_waiting.clone());
        let help = "How long the oldest of these has been seen waiting";
        registry.register_with_unit("record_waiting_age", help, Unit::Seconds, self.record_waiting_age.clone());
        let help = "Sealed records that a sink has not taken yet";
        registry.register("shipping_lag_records", help, self.shipping_lag_records.clone());
        let help = "How long ago the oldest of these happened";
        registry.register_with_unit("shipping_lag", help, Unit::Seconds, self.shipping_lag.clone());
        let help = "Shipments that a sink did not take";
        registry.register("shipping_failures", help, self.shipping_failures.clone());
        let help = "Age of the oldest row of the history, when it was looked at last";
        registry.register_with_unit("oldest_row_age", help, Unit::Seconds, self.oldest_rows.clone());
        let help = "When this node last made sure that nothing is older than it is kept, since 1970";
        registry.register_with_unit("retention_last_run_timestamp", help, Unit::Seconds, self.retention_ran.clone());
        let help = "Rows of the history removed because they were old";
        registry.register("retention_removed", help, self.retention_removed.clone());
        registry.register("hashing_queue", "Passwords that wait to be hashed", self.hashing_queue.clone());
        registry.register("alerts_raised", "Alerts raised", self.alerts_raised.clone());
        registry.register("alerts_open", "Alerts that nobody has acknowledged", self.alerts_open.clone());
        registry.register("deliveries", "Tries to tell others of an alert", self.deliveries.clone());
        let help = "Age of the oldest alert that nobody has acknowledged";
        registry.register_with_unit("oldest_alert_age", help, Unit::Seconds, self.oldest_alert.clone());
    }

    /// The counter and histogram of such requests, for keeping: looking them up costs more than counting.
    #[must_use]
    pub fn requests_of(&self, method: &'static str, route: String, status: u16) -> RequestMetrics {
        let labels = RequestLabels { method, route, status: status_class(status) };
        RequestMetrics {
            count: self.requests.get_or_create_owned(&labels),
            durations: self.durations.get_or_create_owned(&labels),
            labels,
        }
    }

    /// Counts a try to log in.
    pub fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a check of an access token.
    pub fn check(&self, outcome: Option<&'static str>) {
        match outcome {
            // On the path of every request: no look-up.
            None => self.checks_accepted.inc(),
            Some(outcome) => self.checks.get_or_create(&OutcomeLabel { outcome }).inc(),
        };
    }

    /// Counts a check under a lease, found in memory or not.
    pub fn looked_up(&self, found: bool) {
        if found {
            self.live_hits.inc()
        } else {
            self.live_misses.inc()
        };
    }

    /// Tells how many sessions are in memory.
    pub fn live_sessions(&self, count: usize) {
        self.live_sessions.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Tells whether checks are answered from memory, and what is left of the lease.
    pub fn lease(&self, is_live: bool, left: Duration) {
        self.live_mode.set(i64::from(is_live));
        self.lease_left.set(left.as_secs_f64());
    }

    /// Counts changes applied to the live view.
    pub fn changes_applied(&self, count: usize) {
        self.changes_applied.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Notes how long a change took to reach every node.
    pub fn waited_for_nodes(&self, duration: Duration) {
        self.acknowledgements.observe(duration.as_secs_f64());
    }

    /// Counts that the database was found to be an older copy of itself.
    pub fn went_back(&self) {
        self.database_went_back.inc();
    }

    /// Tells when the history was verified last, and whether it was intact.
    pub fn record_verified(&self, at: DateTime<Utc>, intact: bool) {
        let since_1970 = Duration::from_micros(u64::try_from(at.timestamp_micros()).unwrap_or(0));
        self.record_verified.set(since_1970.as_secs_f64());
        self.record_damaged.set(i64::from(!intact));
    }

    /// So many records wait to be sealed, one of them for so long.
    pub fn record_waiting(&self, count: i64, age: Duration) {
        self.record_waiting.set(count);
        self.record_waiting_age.set(age.as_secs_f64());
    }

    /// Counts an alert that was raised.
    pub fn alert_raised(&self, kind: &'static str) {
        self.alerts_raised.get_or_create(&KindLabel { kind }).inc();
    }

    /// Tells how many alerts of a kind are open.
    pub fn alerts_open(&self, kind: &'static str, count: i64) {
        self.alerts_open.get_or_create(&KindLabel { kind }).set(count);
    }

    /// Counts a try to tell others of an alert.
    pub fn delivery(&self, channel: &'static str, outcome: &'static str) {
        self.deliveries.get_or_create(&DeliveryLabels { channel, outcome }).inc();
    }

    /// Tells how old the oldest open alert is.
    pub fn oldest_alert(&self, age: Duration) {
        self.oldest_alert.set(age.as_secs_f64());
    }

    /// Tells how many records a sink has not taken yet, and how old the oldest is.
    pub fn shipping_lag(&self, sink: &'static str, records: i64, age: Duration) {
        self.shipping_lag_records.get_or_create(&SinkLabel { sink }).set(records);
        self.shipping_lag.get_or_create(&SinkLabel { sink }).set(age.as_secs_f64());
    }

    /// Counts a shipment that a sink did not take.
    pub fn shipping_failed(&self, sink: &'static str) {
        self.shipping_failures.get_or_create(&SinkLabel { sink }).inc();
    }

    /// Tells how old the oldest row of a table is.
    pub fn oldest_row(&self, table: &'static str, age: Duration) {
        self.oldest_rows.get_or_create(&TableLabel { table }).set(age.as_secs_f64());
    }

    /// Tells when nothing was older than it is kept.
    pub fn retention_ran(&self, at: Duration) {
        self.retention_ran.set(at.as_secs_f64());
    }

    /// Counts rows that were removed from a table.
    pub fn retention_removed(&self, table: &'static str, rows: u64) {
        self.retention_removed.get_or_create(&TableLabel { table }).inc_by(rows);
    }

    /// Counts a use of a refresh token.
    pub fn refresh(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts the start of a session.
    pub fn session_started(&self) {
        self.sessions_started.inc();
    }

    /// Counts the end of a session.
    pub fn session_ended(&self, reason: &'static str) {
        self.sessions_ended.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Tells how many passwords now wait to be hashed.
    pub fn hashing_queue(&self, waiting: usize) {
        self.hashing_queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// All metrics in the `OpenMetrics` text format, version 1.0.0.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "writing to a String does not fail")]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counted_is_shown_under_its_name() {
        let metrics = Metrics::default();
        metrics.requests_of("GET", "/admin/sessions/{id}".to_owned(), 404).count(Duration::from_micros(300));
        metrics.login("wrong_password");
        metrics.check(Some("ended"));
        metrics.check(None);
        metrics.refresh("reused");
        metrics.session_started();
        metrics.session_ended("logout");
        metrics.hashing_queue(7);
        metrics.shipping_lag("syslog", 3, Duration::from_millis(1500));
        metrics.shipping_failed("syslog");

        let text = metrics.encode();
        for line in [
            r#"vigie_http_requests_total{method="GET",route="/admin/sessions/{id}",status="4xx"} 1"#,
            r#"vigie_http_request_duration_seconds_bucket{le="0.00025",method="GET",route="/admin/sessions/{id}",status="4xx"} 0"#,
            r#"vigie_http_request_duration_seconds_bucket{le="0.0005",method="GET",route="/admin/sessions/{id}",status="4xx"} 1"#,
            r#"vigie_logins_total{outcome="wrong_password"} 1"#,
            r#"vigie_checks_total{outcome="ended"} 1"#,
            r#"vigie_refreshes_total{outcome="reused"} 1"#,
            "vigie_sessions_started_total 1",
            r#"vigie_sessions_ended_total{reason="logout"} 1"#,
            "vigie_hashing_queue 7",
            r#"vigie_shipping_lag_records{sink="syslog"} 3"#,
            r#"vigie_shipping_lag_seconds{sink="syslog"} 1.5"#,
            r#"vigie_shipping_failures_total{sink="syslog"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn two_servers_do_not_mix_their_counts() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.session_started();
        assert!(other.encode().contains("vigie_sessions_started_total 0\n"));
    }
}
