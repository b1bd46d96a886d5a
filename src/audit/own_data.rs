//! What is kept about oneself (PRV-04): the account, sessions with what happened in them, tries on the account, and events
//! about it. Page by page, in constant memory.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::History;
use crate::model::audit::RecordedEvent;
use crate::model::filter::{AttemptFilter, Criterion, EventFilter, SessionFilter, Sort, Text};
use crate::model::id::UserId;
use crate::model::session::{ActorKind, Session};
use crate::store::{StoreError, attempts, audit, sessions, users};
use crate::view::{AttemptObject, EventObject, SessionObject, UserObject};

/// Events of one session at most: years of refreshing every few minutes would be more.
const MOST_OF_SESSION: i64 = 10_000;
/// A piece is at least so long, but for the last.
const PIECE: usize = 64 * 1024;

/// The rows about a user that are left to be written, as of a moment.
#[derive(Debug)]
pub(super) struct OwnData {
    history: History,
    user_id: UserId,
    now: DateTime<Utc>,
    place: Place,
}

/// Which rows are written next.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Account,
    SessionsAfter(Option<sessions::Position>),
    /// Sessions that were read, and after which place there are more.
    EachOf(VecDeque<Session>, Option<sessions::Position>),
    AttemptsAfter(Option<attempts::Position>),
    EventsAfter(Option<audit::Position>),
}

impl OwnData {
    /// All rows about this user, as of `now`.
    pub fn new(history: &History, user_id: UserId, now: DateTime<Utc>) -> Self {
        Self { history: history.clone(), user_id, now, place: Place::default() }
    }

    /// Writes the next ones as lines of JSON; what is left then.
    pub async fn write(mut self, piece: &mut Vec<u8>) -> Result<Option<Self>, StoreError> {
        while piece.len() < PIECE {
            let place = std::mem::take(&mut self.place);
            match self.step(place, piece).await? {
                Some(place) => self.place = place,
                None => return Ok(None),
            }
        }
        Ok(Some(self))
    }

    async fn step(&self, place: Place, piece: &mut Vec<u8>) -> Result<Option<Place>, StoreError> {
        let (history, user_id) = (&self.history, self.user_id);
        Ok(Some(match place {
            Place::Account => {
                let user = history.store.read(move |db| users::find(db, user_id)).await?;
                if let Some(user) = &user {
                    line(piece, "user", &UserObject::from(user));
                }
                Place::SessionsAfter(None)
            }
            Place::SessionsAfter(after) => {
                let page = history.session_page(SessionFilter::of_user(user_id), Sort::NewestStart, after).await?;
                Place::EachOf(page.items.into(), page.next)
            }
            Place::EachOf(mut sessions, next) => match sessions.pop_front() {
                Some(session) => {
                    self.write_session(&session, piece).await?;
                    Place::EachOf(sessions, next)
                }
                None => next.map_or(Place::AttemptsAfter(None), |next| Place::SessionsAfter(Some(next))),
            },
            Place::AttemptsAfter(after) => {
                let page = history.attempt_page(AttemptFilter::of_user(user_id), after).await?;
                page.items.iter().for_each(|attempt| line(piece, "attempt", &AttemptObject::from(attempt)));
                page.next.map_or(Place::EventsAfter(None), |next| Place::AttemptsAfter(Some(next)))
            }
            Place::EventsAfter(after) => {
                let subject = Criterion::is(Text(user_id.to_string()));
                let page = history.event_page(EventFilter { subject, ..EventFilter::default() }, after).await?;
                page.items.into_iter().for_each(|event| self.write_event(event, piece));
                return Ok(page.next.map(|next| Place::EventsAfter(Some(next))));
            }
        }))
    }

    /// A session, and what happened in it.
    async fn write_session(&self, session: &Session, piece: &mut Vec<u8>) -> Result<(), StoreError> {
        line(piece, "session", &SessionObject::new(session, self.now));
        let id = session.id;
        let events = self.history.store.read_long(move |db| audit::timeline(db, id, MOST_OF_SESSION)).await?;
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
