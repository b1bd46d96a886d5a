//! Work that no request waits for. A job is a plain step (`jobs.rs`); the loop around it is here: it runs each step at its
//! pace, survives its panics, reports its failures, and stops when told. What keeps this node's live view true
//! (`coherence.rs`) and what ships events (`shipping.rs`) have loops of their own.

pub mod coherence;
mod jobs;
pub mod shipping;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
pub use jobs::{JOBS, Job};

/// The jobs that are running.
#[derive(Debug)]
pub struct Jobs {
    stop: CancellationToken,
    loops: Vec<(&'static str, JoinHandle<()>)>,
    coherence: coherence::Coherence,
    shipping: shipping::Shipping,
}

/// Starts every job of a node that serves at `address`.
#[must_use]
pub fn start(app: &Arc<App>, address: SocketAddr) -> Jobs {
    let stop = CancellationToken::new();
    let start = |job: &Job| (job.name, tokio::spawn(repeat(*job, Arc::clone(app), stop.clone())));
    let coherence = coherence::start(app, address);
    Jobs { loops: JOBS.iter().map(start).collect(), stop, coherence, shipping: shipping::start(app) }
}

impl Jobs {
    /// Lets each job finish the step it is in, then ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.coherence.stop().await;
        self.shipping.stop().await;
        for (name, job) in self.loops {
            if job.await.is_err() {
                tracing::error!(job = name, "job panicked");
            }
        }
    }
}

async fn repeat(job: Job, app: Arc<App>, stop: CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(job.period) => {}
        }
        // In a task of its own, so that a panic ends the step and not the loop.
        let outcome = match tokio::spawn((job.step)(Arc::clone(&app))).await {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        };
        match outcome {
            Ok(()) if failing => {
                tracing::info!(job = job.name, "job recovered");
                failing = false;
            }
            Ok(()) => {}
            Err(cause) if failing => tracing::debug!(job = job.name, %cause, "job still fails"),
            Err(cause) => {
                tracing::error!(job = job.name, %cause, "job failed; it is retried");
                failing = true;
            }
        }
    }
}
