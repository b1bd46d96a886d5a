//! Exports of the history: CSV or NDJSON, page by page in constant memory, safe against formula injection.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::History;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject};
use crate::model::words::words;
use crate::store::attempts::{self, AttemptFilter};
use crate::store::audit::AuditFilter;
use crate::store::sessions::{self, SessionFilter, Sort};
use crate::store::{Db, StoreError, audit};
use crate::view::{AttemptObject, EventObject, SessionObject};

/// Rows read at a time.
const PAGE: i64 = 500;

words! {
    /// How an export is written.
    pub enum ExportFormat {
        /// RFC 4180, with a header line.
        Csv = "csv",
        /// One JSON object a line, as in the API.
        Ndjson = "ndjson",
    }
}

/// What is exported.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Sessions, in this order.
    Sessions(SessionFilter, Sort),
    /// Attempts, newest first.
    Attempts(AttemptFilter),
    /// Events, newest first.
    Events(AuditFilter),
}

/// An export under way: [`Export::next`] gives piece after piece.
#[derive(Debug)]
pub struct Export {
    history: History,
    selection: Selection,
    format: ExportFormat,
    now: DateTime<Utc>,
    place: Place,
}

/// How far an export has come.
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    AfterSession(sessions::Position),
    AfterAttempt(attempts::Position),
    BeforeEvent(i64),
    End,
}

impl History {
    /// Begins an export, and records that it was asked for: by whom, with which filter, and how many rows match (ADM-06).
    pub async fn export(
        &self,
        selection: Selection,
        format: ExportFormat,
        described: Value,
        cause: &Cause,
    ) -> Result<Export, StoreError> {
        self.sessions.record_overdue().await?;
        let now = self.clock.now();
        let asked = selection.clone();
        let count = self.store.read(move |db| asked.count(db, now)).await?;
        let details = json!({ "what": selection.word(), "filter": described, "format": format, "count": count });
        let event = AuditEvent::new(now, AuditKind::HistoryExported, cause, Subject::everybody()).with(details);
        self.store.write(move |db| audit::record(db, &event)).await?;
        Ok(Export { history: self.clone(), selection, format, now, place: Place::Start })
    }
}

impl Selection {
    const fn word(&self) -> &'static str {
        match self {
            Self::Sessions(..) => "sessions",
            Self::Attempts(_) => "attempts",
            Self::Events(_) => "audit",
        }
    }

    fn count(&self, db: &mut Db, now: DateTime<Utc>) -> Result<i64, StoreError> {
        match self {
            Self::Sessions(filter, _) => sessions::count(db, filter, now),
            Self::Attempts(filter) => attempts::count(db, filter),
            Self::Events(filter) => audit::count(db, filter),
        }
    }
}

impl Export {
    /// The next piece; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let is_first = matches!(self.place, Place::Start);
        if matches!(self.place, Place::End) {
            return Ok(None);
        }
        let mut piece = Vec::new();
        match self.selection.clone() {
            Selection::Sessions(filter, sort) => self.next_sessions(filter, sort, is_first, &mut piece).await?,
            Selection::Attempts(filter) => self.next_attempts(filter, is_first, &mut piece).await?,
            Selection::Events(filter) => self.next_events(filter, is_first, &mut piece).await?,
        }
        Ok(Some(piece))
    }

    async fn next_sessions(
        &mut self,
        filter: SessionFilter,
        sort: Sort,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let after = if let Place::AfterSession(position) = self.place { Some(position) } else { None };
        let page = self.history.session_page(filter, sort, after, PAGE).await?;
        let objects: Vec<SessionObject> =
            page.items.iter().map(|session| SessionObject::new(session, self.now)).collect();
        self.write(&objects, SESSION_COLUMNS, session_row, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::AfterSession(sessions::Position::of(last, sort)),
            _ => Place::End,
        };
        Ok(())
    }

    async fn next_attempts(
        &mut self,
        filter: AttemptFilter,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let after = if let Place::AfterAttempt(position) = self.place { Some(position) } else { None };
        let page = self.history.attempt_page(filter, after, PAGE).await?;
        let objects: Vec<AttemptObject> = page.items.iter().map(AttemptObject::from).collect();
        self.write(&objects, ATTEMPT_COLUMNS, attempt_row, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::AfterAttempt(attempts::Position { at: last.at, id: last.id }),
            _ => Place::End,
        };
        Ok(())
    }

    async fn next_events(
        &mut self,
        filter: AuditFilter,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let before = if let Place::BeforeEvent(seq) = self.place { Some(seq) } else { None };
        let page = self.history.event_page(filter, before, PAGE).await?;
        let objects: Vec<EventObject> = page.items.iter().map(EventObject::from).collect();
        self.write(&objects, EVENT_COLUMNS, event_row, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::BeforeEvent(last.seq),
            _ => Place::End,
        };
        Ok(())
    }

    fn write<T: Serialize>(
        &self,
        objects: &[T],
        columns: &[&str],
        row: impl Fn(&T) -> Vec<String>,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) {
        match self.format {
            ExportFormat::Ndjson => {
                for object in objects {
                    serde_json::to_writer(&mut *piece, object)
                        .expect("objects of the contract are JSON, memory takes them");
                    piece.push(b'\n');
                }
            }
            ExportFormat::Csv => {
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(piece);
                let header = is_first.then(|| columns.iter().map(|name| (*name).to_owned()).collect());
                for cells in header.into_iter().chain(objects.iter().map(row)) {
                    let cells = cells.into_iter().map(harmless);
                    writer.write_record(cells).expect("every row has the columns of the header, memory takes them");
                }
            }
        }
    }
}

/// A cell that no spreadsheet takes for a formula (ADM-11): what begins like one gets an apostrophe before it.
fn harmless(cell: String) -> String {
    let begins_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if begins_formula { format!("'{cell}") } else { cell }
}

const SESSION_COLUMNS: &[&str] = &[
    "id",
    "user_id",
    "username",
    "role",
    "state",
    "started_at",
    "last_seen_at",
    "expires_at",
    "idle_expires_at",
    "ended_at",
    "end_reason",
    "ended_by_kind",
    "ended_by_id",
    "note",
    "ip",
    "last_ip",
    "user_agent",
    "browser",
    "os",
    "device_kind",
    "device_name",
    "client_id",
    "amr",
    "jti",
    "token_issued_at",
    "token_expires_at",
    "refreshes",
];

fn session_row(session: &SessionObject) -> Vec<String> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let by = session.ended_by.as_ref();
    vec![
        session.id.to_string(),
        session.user.id.to_string(),
        session.user.username.to_owned(),
        session.user.role.to_owned(),
        session.state.to_owned(),
        session.started_at.to_string(),
        session.last_seen_at.to_string(),
        session.expires_at.to_string(),
        session.idle_expires_at.to_string(),
        text(session.ended_at.as_deref()),
        session.end_reason.unwrap_or_default().to_owned(),
        by.map(|by| by.kind.to_owned()).unwrap_or_default(),
        by.map(|by| by.id.clone()).unwrap_or_default(),
        text(session.note.as_deref()),
        session.ip.to_string(),
        session.last_ip.to_string(),
        text(session.user_agent),
        text(session.device.browser),
        text(session.device.os),
        text(session.device.kind),
        text(session.device_name),
        text(session.client_id),
        session.amr.join(" "),
        session.token.jti.to_string(),
        session.token.issued_at.to_string(),
        session.token.expires_at.to_string(),
        session.token.refreshes.to_string(),
    ]
}

const ATTEMPT_COLUMNS: &[&str] =
    &["id", "at", "username", "user_id", "outcome", "ip", "user_agent", "client_id", "session_id", "request_id"];

fn attempt_row(attempt: &AttemptObject) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        attempt.id.clone(),
        attempt.at.to_string(),
        attempt.username.clone(),
        text(&attempt.user_id),
        attempt.outcome.to_owned(),
        attempt.ip.clone(),
        text(&attempt.user_agent),
        text(&attempt.client_id),
        text(&attempt.session_id),
        attempt.request_id.clone(),
    ]
}

const EVENT_COLUMNS: &[&str] = &[
    "seq",
    "at",
    "kind",
    "actor_kind",
    "actor_id",
    "subject_kind",
    "subject_id",
    "session_id",
    "ip",
    "request_id",
    "details",
];

fn event_row(event: &EventObject) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        event.seq.to_string(),
        event.at.to_string(),
        event.kind.to_owned(),
        event.actor.kind.to_owned(),
        event.actor.id.clone(),
        event.subject.kind.to_owned(),
        text(&event.subject.id),
        text(&event.session_id),
        text(&event.ip),
        text(&event.request_id),
        event.details.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adm_11_no_cell_is_a_formula() {
        for cell in ["=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            assert_eq!(harmless(cell.to_owned()), format!("'{cell}"));
        }
        assert_eq!(harmless("Mozilla/5.0".to_owned()), "Mozilla/5.0");
    }
}
