//! Keeps this node's live view true: renews its lease at a steady pace, and applies what has changed as soon as it hears
//! of it. What a renewal does is in `coherence::membership`.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::App;
use crate::store::Store;
use crate::telemetry::LastLogged;

/// Renewals in the time of one lease: three may fail before it runs out.
const RENEWALS: u32 = 4;
/// How often notifications are looked for while there are other nodes. libpq does not tell when one comes, and looking costs some
/// microseconds.
const LOOK: Duration = Duration::from_micros(500);
/// How often a node does that is alone: only commands send notifications then.
const LOOK_ALONE: Duration = Duration::from_millis(20);
/// The longest pause after a renewal that failed: where the database comes back, it is noticed soon, however long leases are.
const RETRY: Duration = Duration::from_millis(500);
/// The shortest pause between renewals, however many checks wait for one.
const SHORTEST: Duration = Duration::from_millis(50);
/// How long to wait before connecting again.
const RECONNECT: Duration = Duration::from_secs(1);
/// How often the high-water mark is written.
const SAVE: Duration = Duration::from_secs(1);

/// The loop that is running. Dropping it ends it as well, without waiting.
#[derive(Debug)]
pub struct Coherence {
    stop: DropGuard,
    running: JoinHandle<()>,
}

/// Starts the loop for a node that serves at `address`. Also with `[nodes] live_view = false`: the lease then says that the
/// store is believed.
#[must_use]
pub fn start(app: &Arc<App>, address: SocketAddr) -> Coherence {
    let stop = CancellationToken::new();
    let running = tokio::spawn(keep_true(Arc::clone(app), address.to_string(), stop.clone()));
    Coherence { stop: stop.drop_guard(), running }
}

impl Coherence {
    /// Gives up the lease and takes the node's row away.
    pub async fn stop(self) {
        drop(self.stop);
        if self.running.await.is_err() {
            tracing::error!("lease loop panicked");
        }
    }
}

async fn keep_true(app: Arc<App>, address: String, stop: CancellationToken) {
    let notifications = Listener::start(app.store.clone());
    let mut member = app.coherence.member(address.clone());
    let mode = Mode::default();
    let (mut next, mut next_save) = (Instant::now(), Instant::now() + SAVE);
    loop {
        let is_due = Instant::now() >= next;
        if is_due {
            next = Instant::now() + member.lease() / RENEWALS;
        }
        let taken = AssertUnwindSafe(member.step(is_due)).catch_unwind();
        let cause = if let Ok(outcome) = taken.await {
            outcome.err().map(|error| error.to_string())
        } else {
            member = app.coherence.member(address.clone());
            Some("a panic".to_owned())
        };
        if is_due && cause.is_some() {
            next = Instant::now() + RETRY.min(member.lease() / RENEWALS);
        }
        mode.note(&app, cause);
        notifications.shared.is_alone.store(member.is_alone(), Ordering::Relaxed);
        if Instant::now() >= next_save {
            member.save_high_water();
            next_save = Instant::now() + SAVE;
        }
        if !until_next_step(&app, &notifications, &stop, &mut next).await {
            break;
        }
    }
    member.leave().await;
    app.metrics.lease(false, Duration::ZERO);
}

/// Returns when there is something to do; `false` where the node is to stop.
async fn until_next_step(app: &App, notifications: &Listener, stop: &CancellationToken, next: &mut Instant) -> bool {
    loop {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep_until(*next) => return true,
            () = notifications.heard() => return true,
            () = app.coherence.renewal_wanted() => *next = (*next).min(Instant::now() + SHORTEST),
        }
    }
}

/// How checks are answered, logged once each time it changes: whether a lease is held, and whether they are answered from memory.
#[derive(Default)]
struct Mode(LastLogged<Option<(bool, bool)>>);

impl Mode {
    fn note(&self, app: &App, cause: Option<String>) {
        let (holds_lease, is_live) = (app.coherence.holds_lease(), app.coherence.is_live());
        app.metrics.lease(is_live, app.coherence.lease_left());
        if !self.0.changes_to(Some((holds_lease, is_live))) {
            return;
        }
        match (holds_lease, is_live) {
            (true, true) => tracing::info!("lease acquired: checks are answered from memory"),
            (true, false) => tracing::info!("lease acquired: checks query the database"),
            (false, _) => {
                let cause = cause.unwrap_or_else(|| "the lease was not renewed in time".to_owned());
                tracing::warn!(%cause, "lease lost: a check queries the database once this node has renewed its row");
            }
        }
    }
}

/// A thread that listens for notifications: looking for them may block, where the connection has to be made anew.
struct Listener {
    shared: Arc<Shared>,
    thread: Option<Thread>,
}

#[derive(Default)]
struct Shared {
    heard: Notify,
    stop: AtomicBool,
    is_alone: AtomicBool,
}

impl Listener {
    /// Without a thread no notification is heard, which only costs time.
    fn start(store: Store) -> Self {
        let shared = Arc::new(Shared::default());
        let listening = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("change-notify".into()).spawn(move || listen(&store, &listening));
        let thread = match thread {
            Ok(handle) => Some(handle.thread().clone()),
            Err(error) => {
                tracing::warn!(cause = %error, "notification listener not started");
                None
            }
        };
        Self { shared, thread }
    }

    async fn heard(&self) {
        self.shared.heard.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

fn listen(store: &Store, shared: &Shared) {
    let mut notifications = store.notifications();
    while !shared.stop.load(Ordering::Acquire) {
        let pause = match notifications.came(store.server_changes()) {
            Ok(true) => {
                shared.heard.notify_one();
                LOOK
            }
            Ok(false) if shared.is_alone.load(Ordering::Relaxed) => LOOK_ALONE,
            Ok(false) => LOOK,
            Err(error) => {
                tracing::debug!(cause = %error, "notification listener failed");
                RECONNECT
            }
        };
        std::thread::park_timeout(pause);
    }
}
