//! What is kept about oneself (PRV-04): the account, sessions with what happened in them, tries on the account, and events
//! about it. Page by page, in constant memory.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::History;
use crate::model::audit::{AuditContext, AuditEvent, Details, RecordedEvent, Subject, SubjectKind};
use crate::model::filter::{AttemptFilter, Criterion, EventFilter, SessionFilter, Sort, Text};
use crate::model::id::UserId;
use crate::model::session::{ActorKind, Session};
use crate::store::{StoreError, attempts, audit, sessions, users};
use crate::view::{AttemptObject, EventObject, SessionObject, UserObject};

/// Rows read at a time.
const PAGE: i64 = 500;
/// Events of one session at most: years of refreshing every few minutes would be more.
const MOST_OF_SESSION: i64 = 10_000;
/// A piece is at least so long, but for the last.
const PIECE: usize = 64 * 1024;

/// An export under way: [`OwnExport::next`] gives piece after piece, lines of JSON.
#[derive(Debug)]
pub struct OwnExport {
    history: History,
    user_id: UserId,
    now: DateTime<Utc>,
    context: AuditContext,
    place: Place,
}

/// How far it has come.
#[derive(Debug)]
enum Place {
    Account,
    Sessions { read: VecDeque<Session>, after: Option<sessions::Position>, has_more: bool },
    Attempts(Option<attempts::Position>),
    Events(Option<audit::Position>),
    End,
}

impl History {
    /// Begins the export of what is kept about a user, and records it.
    pub async fn export_own(&self, user_id: UserId, context: &AuditContext) -> Result<OwnExport, StoreError> {
        self.sessions.record_overdue_of(user_id).await?;
        let now = self.clock.now();
        let subject = Subject::new(SubjectKind::User, user_id);
        let event = AuditEvent::new(now, Details::OwnHistoryExported {}, context, subject);
        self.store.write(move |db| audit::record(db, &event)).await?;
        let context = context.clone();
        Ok(OwnExport { history: self.clone(), user_id, now, context, place: Place::Account })
    }
}

impl OwnExport {
    /// The next piece; `None` after the last. The user's session is looked at again for each: the export ends with it.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if !matches!(self.place, Place::End) {
            self.history.sessions.ensure_allowed(&self.context).await?;
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE && !matches!(self.place, Place::End) {
            self.step(&mut piece).await?;
        }
        Ok((!piece.is_empty()).then_some(piece))
    }

    async fn step(&mut self, piece: &mut Vec<u8>) -> Result<(), StoreError> {
        let user_id = self.user_id;
        self.place = match std::mem::replace(&mut self.place, Place::End) {
            Place::Account => {
                let user = self.history.store.read(move |db| users::find(db, user_id)).await?;
                if let Some(user) = &user {
                    line(piece, "user", &UserObject::from(user));
                }
                Place::Sessions { read: VecDeque::new(), after: None, has_more: true }
            }
            Place::Sessions { mut read, after, has_more } => match read.pop_front() {
                Some(session) => {
                    self.write_session(&session, piece).await?;
                    Place::Sessions { read, after, has_more }
                }
                None if has_more => {
                    let filter = SessionFilter::of_user(user_id);
                    let page = self.history.session_page(filter, Sort::NewestStart, after, PAGE).await?;
                    let after = page.items.last().map(|last| sessions::Position::of(last, Sort::NewestStart));
                    Place::Sessions { read: page.items.into(), after, has_more: page.has_more }
                }
                None => Place::Attempts(None),
            },
            Place::Attempts(after) => {
                let filter = AttemptFilter::of_user(user_id);
                let page = self.history.attempt_page(filter, after, PAGE).await?;
                for attempt in &page.items {
                    line(piece, "attempt", &AttemptObject::from(attempt));
                }
                match page.items.last() {
                    Some(last) if page.has_more => {
                        Place::Attempts(Some(attempts::Position { at: last.at, id: last.id }))
                    }
                    _ => Place::Events(None),
                }
            }
            Place::Events(after) => {
                let subject = Criterion::is(Text(user_id.to_string()));
                let filter = EventFilter { subject, ..EventFilter::default() };
                let page = self.history.event_page(filter, after, PAGE).await?;
                let after = page.items.last().map(audit::Position::of).filter(|_| page.has_more);
                page.items.into_iter().for_each(|event| self.write_event(event, piece));
                after.map_or(Place::End, |after| Place::Events(Some(after)))
            }
            Place::End => Place::End,
        };
        Ok(())
    }

    /// A session, and what happened in it.
    async fn write_session(&self, session: &Session, piece: &mut Vec<u8>) -> Result<(), StoreError> {
        line(piece, "session", &SessionObject::new(session, self.now));
        let id = session.id;
        let events = self.history.store.read_at_length(move |db| audit::timeline(db, id, MOST_OF_SESSION)).await?;
        let person = self.user_id.to_string();
        // Those about the user follow with the others of that kind.
        let of_session = events.into_iter().filter(|event| event.event.subject.id.as_ref() != Some(&person));
        of_session.for_each(|event| self.write_event(event, piece));
        Ok(())
    }

    /// An event about oneself; from where somebody else acted is theirs.
    fn write_event(&self, mut event: RecordedEvent, piece: &mut Vec<u8>) {
        let (context, own) = (&mut event.event.context, self.user_id.to_string());
        if context.actor.id != own && matches!(context.actor.kind, ActorKind::Admin | ActorKind::Client) {
            (context.ip, context.request_id) = (None, None);
        }
        line(piece, "event", &EventObject::from(&event));
    }
}

fn line(piece: &mut Vec<u8>, what: &str, object: &impl Serialize) {
    serde_json::to_writer(&mut *piece, &json!({ what: object })).expect("objects of the contract are JSON");
    piece.push(b'\n');
}
