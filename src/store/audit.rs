//! Queries on `audit_events`: appended, read, never changed.

use std::cmp::Reverse;
use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::chain;
use super::columns::{At, Id, Json, parsed, proofs};
use super::criteria::by_values;
use super::error::StoreError;
use super::keyset::{self, Page, row_before, to_before};
use super::rows::{Insert, PER_STATEMENT};
use super::schema::audit_events;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Outcome, Reason, RecordedEvent, Subject};
use crate::model::filter::{EventFilter, Text};
use crate::model::id::{SessionId, UserId};
use crate::model::record::Record;
use crate::model::redaction::{Group, Proofs, WithProofs};
use crate::model::session::Actor;

#[derive(Queryable)]
struct Row {
    seq: i64,
    at: At,
    kind: String,
    actor_kind: String,
    actor_id: String,
    subject_kind: String,
    subject_id: Option<String>,
    session_id: Option<Id>,
    ip: Option<String>,
    request_id: Option<String>,
    details: Json,
    outcome: String,
    reason: Option<String>,
    address_proof: Option<Vec<u8>>,
    person_proof: Option<Vec<u8>>,
}

impl Row {
    fn into_event(self) -> Result<RecordedEvent, StoreError> {
        let seq = self.seq;
        let read = || -> deserialize::Result<AuditEvent> {
            Ok(AuditEvent {
                at: self.at.0,
                kind: parsed(&self.kind)?,
                outcome: parsed(&self.outcome)?,
                reason: self.reason.map(|reason| parsed(&reason)).transpose()?,
                context: AuditContext {
                    actor: Actor { kind: parsed(&self.actor_kind)?, id: self.actor_id },
                    ip: self.ip.map(|ip| parsed(&ip)).transpose()?,
                    request_id: self.request_id,
                    acting: None,
                },
                subject: Subject { kind: parsed(&self.subject_kind)?, id: self.subject_id },
                session_id: self.session_id.map(|id| SessionId(id.0)),
                details: self.details.0,
            })
        };
        let event = read().map_err(|error| StoreError::Corrupt(format!("audit_events {seq}: {error}")))?;
        Ok(RecordedEvent { seq, event })
    }

    fn into_kept(self) -> Result<WithProofs<RecordedEvent>, StoreError> {
        let proofs = proofs(self.address_proof.as_deref(), self.person_proof.as_deref());
        let proofs = proofs.map_err(|error| StoreError::Corrupt(format!("audit_events {}: {error}", self.seq)))?;
        Ok(WithProofs { row: self.into_event()?, proofs })
    }
}

/// The place of an event in the order of lists; its id is its number.
pub type Position = keyset::Position<i64>;

impl Position {
    /// The place of this event.
    #[must_use]
    pub const fn of(event: &RecordedEvent) -> Self {
        Self { at: event.event.at, id: event.seq }
    }
}

/// Records an event, in the transaction of what it describes.
pub fn record(db: &mut Db, event: &AuditEvent) -> Result<(), StoreError> {
    record_all(db, std::slice::from_ref(event))
}

/// Records events in their order, in the transaction of what they describe.
pub fn record_all(db: &mut Db, events: &[AuditEvent]) -> Result<(), StoreError> {
    let rows: Vec<(&AuditEvent, Proofs)> = events.iter().map(|event| (event, Proofs::new())).collect();
    let numbers = Insert::into("audit_events", &rows)
        .column(audit_events::at, |(event, _)| At(event.at))
        .column(audit_events::kind, |(event, _)| event.kind.as_str())
        .column(audit_events::actor_kind, |(event, _)| event.context.actor.kind.as_str())
        .column(audit_events::actor_id, |(event, _)| event.context.actor.id.as_str())
        .column(audit_events::subject_kind, |(event, _)| event.subject.kind.as_str())
        .column(audit_events::subject_id, |(event, _)| event.subject.id.as_deref())
        .column(audit_events::session_id, |(event, _)| event.session_id.map(|id| Id(id.0)))
        .column(audit_events::ip, |(event, _)| event.context.ip.map(|ip| ip.to_string()))
        .column(audit_events::request_id, |(event, _)| event.context.request_id.as_deref())
        .column(audit_events::details, |(event, _)| Json(event.details.clone()))
        .column(audit_events::outcome, |(event, _)| event.outcome.as_str())
        .column(audit_events::reason, |(event, _)| event.reason.map(Reason::as_str))
        .column(audit_events::address_proof, |(_, proofs)| proofs.addresses.to_bytes())
        .column(audit_events::person_proof, |(_, proofs)| proofs.person.to_bytes())
        .numbered(db, audit_events::seq)?;
    // Times are kept to the microsecond, as both databases do, so that the event is read as it was digested.
    let recorded = |((event, proofs), seq): (&(&AuditEvent, Proofs), i64)| {
        Record::of_event(&RecordedEvent { seq, event: (*event).clone() }, proofs)
    };
    let records: Vec<Record> = rows.iter().zip(numbers).map(recorded).collect();
    chain::enqueue_all(db, &records)
}

/// A page of the events that match, newest first.
pub fn list(
    db: &mut Db,
    filter: &EventFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<RecordedEvent, Position>, StoreError> {
    let mut filter = filter.clone();
    if let Some(after) = after {
        filter.to = to_before(filter.to, after.at);
    }
    let mut query = matching(&filter);
    if let Some(after) = after {
        query = query.filter(row_before((audit_events::at, audit_events::seq), (At(after.at), after.id)));
    }
    let rows: Vec<Row> = query.order((audit_events::at.desc(), audit_events::seq.desc())).limit(limit + 1).load(db)?;
    let events = rows.into_iter().map(Row::into_event).collect::<Result<_, _>>()?;
    Ok(Page::cut(events, limit, Position::of))
}

/// How many events match.
pub fn count(db: &mut Db, filter: &EventFilter) -> Result<i64, StoreError> {
    Ok(matching(filter).count().get_result(db)?)
}

fn matching(filter: &EventFilter) -> audit_events::BoxedQuery<'static, MultiBackend> {
    let query = audit_events::table.into_boxed::<MultiBackend>();
    let query = by_values!(query, audit_events::kind, filter.kind, |kind: &AuditKind| kind.as_str());
    let query = by_values!(query, audit_events::outcome, filter.outcome, |outcome: &Outcome| outcome.as_str());
    let query = by_values!(query, audit_events::actor_id, filter.actor, |actor: &Text| actor.0.clone());
    let query = by_values!(query, nullable audit_events::subject_id, filter.subject, |id: &Text| Some(id.0.clone()));
    let mut query = by_values!(query, nullable audit_events::session_id, filter.session_id, |id: &SessionId| {
        Some(Id(id.0))
    });
    if let Some(from) = filter.from {
        query = query.filter(audit_events::at.ge(At(from.0)));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_events::at.lt(At(to.0)));
    }
    query
}

/// What happened in a session, oldest first, at most `limit` events.
pub fn timeline(db: &mut Db, session_id: SessionId, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows: Vec<Row> = audit_events::table
        .filter(audit_events::session_id.eq(Some(Id(session_id.0))))
        .order((audit_events::at.asc(), audit_events::seq.asc()))
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(Row::into_event).collect()
}

/// Events after number `after`, oldest first: for following them live.
pub fn following(db: &mut Db, after: i64, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows: Vec<Row> =
        audit_events::table.filter(audit_events::seq.gt(after)).order(audit_events::seq.asc()).limit(limit).load(db)?;
    rows.into_iter().map(Row::into_event).collect()
}

/// The events with these numbers.
pub fn by_numbers(db: &mut Db, numbers: Vec<i64>) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows: Vec<Row> = audit_events::table.filter(audit_events::seq.eq_any(numbers)).load(db)?;
    rows.into_iter().map(Row::into_event).collect()
}

/// When the server verified the history last, and whether it was intact.
pub fn last_verified(db: &mut Db) -> Result<Option<(DateTime<Utc>, bool)>, StoreError> {
    // One look at an index for each kind; both together would be sorted, or looked for among all events.
    let mut newest = |kind: AuditKind| -> Result<Option<(DateTime<Utc>, i64)>, StoreError> {
        let newest: Option<(At, i64)> = audit_events::table
            .filter(audit_events::kind.eq(kind.as_str()))
            .order((audit_events::at.desc(), audit_events::seq.desc()))
            .select((audit_events::at, audit_events::seq))
            .first(db)
            .optional()?;
        Ok(newest.map(|(at, seq)| (at.0, seq)))
    };
    let (verified, damaged) = (newest(AuditKind::RecordVerified)?, newest(AuditKind::RecordDamaged)?);
    Ok(verified.max(damaged).map(|(at, _)| (at, verified > damaged)))
}

/// The events of a kind that were recorded last, whatever the clock said: the last first, at most `limit`. Of a kind that
/// happens seldom.
pub fn newest_of(db: &mut Db, kind: AuditKind, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
    // Asked for the highest numbers of a kind, PostgreSQL would go back through the events of all kinds.
    let of_kind = audit_events::table.filter(audit_events::kind.eq(kind.as_str()));
    let mut numbers: Vec<i64> = of_kind.select(audit_events::seq).load(db)?;
    numbers.sort_unstable_by_key(|number| Reverse(*number));
    numbers.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut events = Vec::new();
    for numbers in numbers.chunks(PER_STATEMENT) {
        events.extend(by_numbers(db, numbers.to_vec())?);
    }
    events.sort_unstable_by_key(|event| Reverse(event.seq));
    Ok(events)
}

/// The highest number given so far, 0 when there is none.
pub fn last_number(db: &mut Db) -> Result<i64, StoreError> {
    let last: Option<i64> = audit_events::table.select(diesel::dsl::max(audit_events::seq)).first(db)?;
    Ok(last.unwrap_or(0))
}

/// Which events before a moment are old: those of erasures are kept for longer, as long as there may be what they justify.
fn old(before: DateTime<Utc>, erasures_before: DateTime<Utc>) -> audit_events::BoxedQuery<'static, MultiBackend> {
    let is_old = audit_events::kind.ne(AuditKind::UserErased.as_str()).or(audit_events::at.lt(At(erasures_before)));
    audit_events::table.filter(audit_events::at.lt(At(before))).filter(is_old).into_boxed()
}

/// Events before `before`; those of erasures only before `erasures_before`.
pub fn count_before(db: &mut Db, before: DateTime<Utc>, erasures_before: DateTime<Utc>) -> Result<i64, StoreError> {
    Ok(old(before, erasures_before).count().get_result(db)?)
}

/// Removes these, the oldest first, at most `limit`; returns how many.
pub fn remove_before(
    db: &mut Db,
    before: DateTime<Utc>,
    erasures_before: DateTime<Utc>,
    limit: i64,
) -> Result<usize, StoreError> {
    let old = old(before, erasures_before).order(audit_events::at.asc()).limit(limit);
    let numbers: Vec<i64> = old.select(audit_events::seq).load(db)?;
    Ok(diesel::delete(audit_events::table.filter(audit_events::seq.eq_any(numbers))).execute(db)?)
}

/// Events before `before` whose address is whole.
pub fn count_whole_addresses(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    let old = audit_events::table.filter(audit_events::at.lt(At(before)));
    Ok(old.filter(audit_events::ip.is_not_null()).filter(is_whole()).count().get_result(db)?)
}

/// The same as they are kept, the oldest first, at most `limit`.
pub fn whole_addresses(
    db: &mut Db,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<WithProofs<RecordedEvent>>, StoreError> {
    let old = audit_events::table.filter(audit_events::at.lt(At(before)));
    let whole = old.filter(audit_events::ip.is_not_null()).filter(is_whole());
    let rows: Vec<Row> = whole.order(audit_events::at.asc()).limit(limit).load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Events before number `before`, newest first, as they are kept.
pub fn kept_before(db: &mut Db, before: i64, limit: i64) -> Result<Vec<WithProofs<RecordedEvent>>, StoreError> {
    let rows: Vec<Row> = audit_events::table
        .filter(audit_events::seq.lt(before))
        .order(audit_events::seq.desc())
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Writes what is left of an event.
pub fn redact(db: &mut Db, left: &WithProofs<RecordedEvent>, group: Group) -> Result<(), StoreError> {
    let (WithProofs { row: RecordedEvent { seq, event }, proofs }, event_row) = (left, audit_events::table);
    let event_row = diesel::update(event_row.find(*seq));
    match group {
        Group::Addresses => event_row
            .set((
                audit_events::ip.eq(event.context.ip.map(|ip| ip.to_string())),
                audit_events::address_proof.eq(proofs.addresses.to_bytes()),
            ))
            .execute(db)?,
        Group::Person => event_row
            .set((
                audit_events::details.eq(Json(event.details.clone())),
                audit_events::person_proof.eq(proofs.person.to_bytes()),
            ))
            .execute(db)?,
    };
    Ok(())
}

/// The events about a user, oldest first, at most `limit`.
pub fn about_user(db: &mut Db, user_id: UserId, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows: Vec<Row> = audit_events::table
        .filter(audit_events::subject_id.eq(Some(user_id.to_string())))
        .order((audit_events::at.asc(), audit_events::seq.asc()))
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(Row::into_event).collect()
}

/// What is recorded of the erasure of a user, in any order.
pub fn erasures_of(db: &mut Db, user_id: UserId) -> Result<Vec<RecordedEvent>, StoreError> {
    let rows: Vec<Row> = audit_events::table
        .filter(audit_events::subject_id.eq(Some(user_id.to_string())))
        .filter(audit_events::kind.eq(AuditKind::UserErased.as_str()))
        .load(db)?;
    rows.into_iter().map(Row::into_event).collect()
}

/// Of these users, those who were erased, as far as the history holds it.
pub fn erased(db: &mut Db, users: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
    let ids: Vec<Option<String>> = users.iter().map(|id| Some(id.to_string())).collect();
    let erased: Vec<Option<String>> = audit_events::table
        .filter(audit_events::subject_id.eq_any(ids))
        .filter(audit_events::kind.eq(AuditKind::UserErased.as_str()))
        .select(audit_events::subject_id)
        .load(db)?;
    Ok(erased.into_iter().filter_map(|id| id?.parse().ok()).collect())
}

/// When the oldest event was.
pub fn oldest(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest: Option<At> = audit_events::table.select(diesel::dsl::min(audit_events::at)).first(db)?;
    Ok(oldest.map(|at| at.0))
}

/// Events with whole addresses: the condition of an index.
fn is_whole() -> diesel::expression::SqlLiteral<diesel::sql_types::Bool> {
    diesel::dsl::sql("length(audit_events.address_proof) = 16")
}
