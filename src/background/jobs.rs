//! The jobs, and how often each runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::clock::uptime;
use crate::store::StoreError;

type Step = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// Something done again and again.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// The name of the job, as the log has it.
    pub name: &'static str,
    /// The pause between two steps.
    pub period: Duration,
    /// Does the work once.
    pub step: fn(Arc<App>) -> Step,
}

/// Every job, with its name and its period.
pub const JOBS: &[Job] = &[
    Job { name: "flush", period: Duration::from_secs(5), step: flush },
    Job { name: "refusals", period: Duration::from_secs(1), step: refusals },
    Job { name: "seal", period: Duration::from_millis(500), step: seal },
    Job { name: "backlog", period: Duration::from_secs(1), step: backlog },
    Job { name: "checkpoint", period: Duration::from_mins(1), step: checkpoint },
    Job { name: "watch", period: Duration::from_mins(10), step: watch },
    Job { name: "ended_uses", period: Duration::from_secs(1), step: ended_uses },
    Job { name: "client_failures", period: Duration::from_secs(1), step: client_failures },
    Job { name: "client_uses", period: Duration::from_mins(1), step: client_uses },
    Job { name: "client_assertions", period: Duration::from_mins(5), step: client_assertions },
    Job { name: "alerts", period: Duration::from_secs(10), step: alerts },
    Job { name: "deliveries", period: Duration::from_secs(1), step: deliveries },
    Job { name: "old_deliveries", period: Duration::from_hours(1), step: old_deliveries },
    Job { name: "expiry", period: Duration::from_secs(10), step: expiry },
    Job { name: "schemes", period: Duration::from_secs(10), step: schemes },
    Job { name: "wal", period: Duration::from_secs(10), step: wal },
    Job { name: "changes", period: Duration::from_mins(1), step: changes },
    Job { name: "retention", period: Duration::from_mins(5), step: retention },
    Job { name: "master_key", period: Duration::from_secs(20), step: master_key },
    Job { name: "throttles", period: Duration::from_hours(1), step: throttles },
];

/// Writes when sessions were last used, where that is due.
fn flush(app: Arc<App>) -> Step {
    Box::pin(async move { app.sessions.flush_due().await.map(drop) })
}

/// Records what was refused.
fn refusals(app: Arc<App>) -> Step {
    Box::pin(async move { app.refusals.write_due().await.map(drop) })
}

/// Seals the records that wait, and signs that.
fn seal(app: Arc<App>) -> Step {
    Box::pin(async move { app.maintenance.seal().await })
}

/// Looks whether sealing goes on.
fn backlog(app: Arc<App>) -> Step {
    Box::pin(async move { app.backlog.look(uptime()).await })
}

/// Signs what the chain is now, where it continues what was signed before.
fn checkpoint(app: Arc<App>) -> Step {
    Box::pin(async move { app.maintenance.checkpoint().await })
}

/// Verifies the history, where that is due.
fn watch(app: Arc<App>) -> Step {
    Box::pin(async move { app.maintenance.verify_when_due().await.map(drop) })
}

/// Alerts to tokens of ended sessions that were used again.
fn ended_uses(app: Arc<App>) -> Step {
    Box::pin(async move { app.sessions.alert_to_ended_uses().await.map(drop) })
}

/// Alerts to networks from which many clients failed to authenticate.
fn client_failures(app: Arc<App>) -> Step {
    Box::pin(async move { app.clients.alert_to_failures().await.map(drop) })
}

/// Writes when clients were last used.
fn client_uses(app: Arc<App>) -> Step {
    Box::pin(async move { app.clients.write_last_uses().await.map(drop) })
}

/// Forgets assertions of clients that count no more.
fn client_assertions(app: Arc<App>) -> Step {
    Box::pin(async move { app.clients.prune_assertions().await.map(drop) })
}

/// Tells the metrics what waits for reviewers.
fn alerts(app: Arc<App>) -> Step {
    Box::pin(async move { app.alerts.measure().await })
}

/// Tells others of alerts.
fn deliveries(app: Arc<App>) -> Step {
    Box::pin(async move { app.alerts.deliver().await })
}

/// Forgets what was told long ago.
fn old_deliveries(app: Arc<App>) -> Step {
    Box::pin(async move { app.alerts.prune_deliveries().await.map(drop) })
}

/// Records the ends that time has brought.
fn expiry(app: Arc<App>) -> Step {
    Box::pin(async move { app.sessions.record_ends().await.map(drop) })
}

/// Learns which kinds of password hashes are stored: an import may have brought others.
fn schemes(app: Arc<App>) -> Step {
    Box::pin(async move { app.users.refresh_schemes().await })
}

/// Brings SQLite's file up to what was committed.
fn wal(app: Arc<App>) -> Step {
    Box::pin(async move { app.store.checkpoint_wal().await })
}

/// Removes changes that every node has applied long ago.
fn changes(app: Arc<App>) -> Step {
    Box::pin(async move { app.coherence.prune_changes().await.map(drop) })
}

/// Removes what is older than it is kept, and goes on with erasures that broke off, where that is due: a server that is
/// started again and again does so too. Neither waits for the other to succeed.
fn retention(app: Arc<App>) -> Step {
    Box::pin(async move {
        let measured = app.retention.measure().await;
        if !app.config.retention.run || !app.retention.is_due().await? {
            return measured;
        }
        let ran = app.retention.run_by_itself().await;
        let finished = app.users.finish_erasures().await;
        measured.and(ran).and(finished)
    })
}

/// Says which master key this server works with. Fails where that opens the keys no more.
fn master_key(app: Arc<App>) -> Step {
    Box::pin(async move { Ok(app.vault.note_use(&app.store, app.clock.now()).await?) })
}

/// Forgets counts of failures that nobody looks at any more.
fn throttles(app: Arc<App>) -> Step {
    Box::pin(async move { app.authentication.prune().await.map(drop) })
}
