//! The metrics of one server, with a registry of its own: two servers in one process do not mix their counts.

use std::time::Duration;

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
        };
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
        registry.register("hashing_queue", "Passwords that wait to be hashed", self.hashing_queue.clone());
    }

    /// Counts a request. `route` is the pattern of its route.
    pub fn request(&self, method: &'static str, route: String, status: u16, duration: Duration) {
        let labels = RequestLabels { method, route, status: status_class(status) };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// Counts a try to log in.
    pub fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a check of an access token.
    pub fn check(&self, outcome: &'static str) {
        self.checks.get_or_create(&OutcomeLabel { outcome }).inc();
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
        metrics.request("GET", "/admin/sessions/{id}".to_owned(), 404, Duration::from_micros(300));
        metrics.login("wrong_password");
        metrics.check("ended");
        metrics.refresh("reused");
        metrics.session_started();
        metrics.session_ended("logout");
        metrics.hashing_queue(7);

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
