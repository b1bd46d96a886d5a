//! `vigie session watch`: logins and ends as they happen, read from the record twice a second.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::device;
use crate::app::App;
use crate::cli::outcome::Outcome;
use crate::cli::output::{Output, one_line};
use crate::cli::table::moment;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, HistoryPart, RecordedEvent, Subject};
use crate::model::id::SessionId;
use crate::model::session::Session;
use crate::store::{StoreError, audit, sessions};
use crate::view::{EventObject, SessionObject};

/// How often the record is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// Events read at a time.
const PAGE: i64 = 1000;
/// How far back each look begins: PostgreSQL numbers events before they are committed, so a lower number may appear later.
const OVERLAP: i64 = 200;

/// How to watch.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Stop after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Write one JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let mut feed = Feed::begin(app).await?;
    let until = arguments.seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            stopped = tokio::signal::ctrl_c() => return Ok(stopped?),
        }
        let is_last = until.is_some_and(|until| Instant::now() >= until);
        for event in feed.next(app).await? {
            event.write(app.clock.now(), arguments.json, output)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// How far the record has been read.
struct Feed {
    /// The number of the newest event when watching began.
    start: i64,
    newest: i64,
    /// Numbers within the overlap that have been shown.
    seen: BTreeSet<i64>,
}

/// A login or an end, with its session.
struct WatchedEvent {
    event: RecordedEvent,
    session: Session,
}

impl Feed {
    /// Begins at the present end of the record; that somebody watches is an event itself (ADM-06).
    async fn begin(app: &App) -> Outcome<Self> {
        // Before the event below: whatever follows what the record says of this feed is shown.
        let start = app.history.last_number().await?;
        let filter = Some(json!({ "watch": true }));
        let details = Details::HistoryRead { what: HistoryPart::Sessions, filter, count: None, dry_run: None };
        let event = AuditEvent::new(app.clock.now(), details, &AuditContext::command_line(), Subject::everybody());
        app.store.write(move |db| audit::record(db, &event)).await?;
        Ok(Self { start, newest: start, seen: BTreeSet::new() })
    }

    /// Log-ins and ends recorded since.
    async fn next(&mut self, app: &App) -> Outcome<Vec<WatchedEvent>> {
        let mut fresh = Vec::new();
        loop {
            let after = self.start.max(self.newest - OVERLAP);
            let events = app.history.following(after, PAGE).await?;
            let is_last = i64::try_from(events.len()).unwrap_or(PAGE) < PAGE;
            fresh.extend(events.into_iter().filter(|event| self.seen.insert(event.seq)));
            self.newest = self.seen.last().copied().unwrap_or(self.newest);
            self.seen = self.seen.split_off(&(self.newest - OVERLAP));
            if is_last {
                break;
            }
        }
        fresh.retain(|event| matches!(event.event.kind, AuditKind::SessionStarted | AuditKind::SessionEnded));
        with_sessions(app, fresh).await
    }
}

/// The events with their sessions, all read at once: a bulk end brings many.
async fn with_sessions(app: &App, events: Vec<RecordedEvent>) -> Outcome<Vec<WatchedEvent>> {
    let ids: BTreeSet<SessionId> = events.iter().filter_map(|event| event.event.session_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let read = app.store.read(move |db| {
        let found = ids.into_iter().map(|id| Ok(sessions::find(db, id)?.map(|session| (id, session))));
        found.filter_map(Result::transpose).collect::<Result<HashMap<_, _>, StoreError>>()
    });
    let found = read.await?;
    let watched = events.into_iter().filter_map(|event| {
        let session = found.get(&event.event.session_id?)?.clone();
        Some(WatchedEvent { event, session })
    });
    Ok(watched.collect())
}

impl WatchedEvent {
    fn write(&self, now: DateTime<Utc>, as_json: bool, output: &mut Output) -> Outcome {
        let (event, session) = (EventObject::from(&self.event), SessionObject::new(&self.session, now));
        if as_json {
            return output.json_line(&json!({ "event": event.kind, "at": event.at, "session": session }));
        }
        let what = if event.kind == AuditKind::SessionStarted.as_str() {
            format!("started  {}  {}", session.ip, device(&session))
        } else {
            let reason = session.end_reason.unwrap_or_default();
            format!("ended    {reason} by {} {}", event.actor.kind, event.actor.id)
        };
        let who = format!("{} ({})", session.user.username, session.user.role);
        output.line(one_line(&format!("{}  {who:<32}  {what}  {}", moment(&event.at), session.id)))
    }
}
