//! Ships events: a loop for each sink, so that one that is away holds none of the others back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::audit::shipping::Progress;
use crate::clock::Backoff;

/// How often it is looked whether there is anything to send.
const PERIOD: Duration = Duration::from_millis(500);
/// The pause after failures.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };

/// The loops that are running.
#[derive(Debug)]
pub struct Shipping {
    app: Arc<App>,
    stop: CancellationToken,
    loops: Vec<JoinHandle<()>>,
}

/// Starts a loop for each configured sink.
#[must_use]
pub fn start(app: &Arc<App>) -> Shipping {
    let stop = CancellationToken::new();
    let start = |number| tokio::spawn(keep_shipping(Arc::clone(app), number, stop.clone()));
    Shipping { loops: (0..app.shipping.sinks().len()).map(start).collect(), stop, app: Arc::clone(app) }
}

impl Shipping {
    /// Ends the loops, and lets other nodes ship at once. What a sink is just taking is sent again after the next start.
    pub async fn stop(self) {
        self.stop.cancel();
        let has_sinks = !self.loops.is_empty();
        for ended in self.loops {
            if ended.await.is_err() {
                tracing::error!("shipping loop panicked");
            }
        }
        if has_sinks && let Err(error) = self.app.shipping.release().await {
            tracing::debug!(cause = %error, "shipping claims not released: other nodes wait until they expire");
        }
    }
}

async fn keep_shipping(app: Arc<App>, number: usize, stop: CancellationToken) {
    let sink = &app.shipping.sinks()[number];
    let mut health = Health::default();
    loop {
        let shipping = AssertUnwindSafe(app.shipping.step(sink)).catch_unwind();
        let pause = tokio::select! {
            () = stop.cancelled() => return,
            stepped = shipping => match stepped {
                Ok(stepped) => health.note(sink.name(), stepped.map_err(|error| error.to_string())),
                Err(_) => health.note(sink.name(), Err("a panic".to_owned())),
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether a sink takes what it is sent, told once each time it changes.
#[derive(Default)]
struct Health {
    failures: u32,
}

impl Health {
    /// Notes a step; the pause before the next.
    fn note(&mut self, sink: &str, stepped: Result<Progress, String>) -> Duration {
        match stepped {
            Ok(Progress::Idle) => PERIOD,
            Ok(progress) => {
                if progress == Progress::LostClaim {
                    tracing::warn!(sink, "shipment outlasted its claim: another node may have sent it too");
                }
                if self.failures > 0 {
                    tracing::info!(sink, failures = self.failures, "shipping recovered");
                    self.failures = 0;
                }
                // There may be more.
                Duration::ZERO
            }
            Err(cause) => {
                if self.failures == 0 {
                    tracing::warn!(sink, %cause, "shipping failed; events are kept and retried");
                } else {
                    tracing::debug!(sink, %cause, "shipping still fails");
                }
                self.failures = self.failures.saturating_add(1);
                BACKOFF.after(self.failures)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;
    use crate::telemetry::CapturedLog;

    #[test]
    fn a_sink_that_fails_and_one_that_recovers_is_told_once() {
        let (log, mut health) = (CapturedLog::default(), Health::default());
        tracing::dispatcher::with_default(&log.dispatch(LogFormat::Text), || {
            let mut pauses = Vec::new();
            for stepped in
                [Ok(Progress::Shipped), Err("gone".to_owned()), Err("gone".to_owned()), Ok(Progress::Shipped)]
            {
                pauses.push(health.note("syslog", stepped).as_secs());
            }
            assert_eq!(pauses, [0, 1, 2, 0]);
            assert_eq!(health.note("syslog", Ok(Progress::Idle)), PERIOD);
        });
        let text = log.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("shipping failed") && lines[0].contains("cause=gone"), "{text}");
        assert!(lines[1].contains("shipping recovered") && lines[1].contains("failures=2"), "{text}");
    }
}
