//! Queries on `alerts`.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend, Portable};
use super::columns::{At, Id, Json, parsed};
use super::error::StoreError;
use super::keyset::{self, Page, row_before};
use super::schema::{alerts, users};
use crate::model::alert::{Acknowledged, Alert, AlertKind, NewAlert, RaisedKind};
use crate::model::audit::{Subject, SubjectKind};
use crate::model::details::erased_details;
use crate::model::filter::{AlertFilter, Text};
use crate::model::id::{AlertId, SessionId, UserId};

#[derive(Queryable, Selectable)]
#[diesel(table_name = alerts, check_for_backend(MultiBackend))]
struct Row {
    id: Id,
    kind: String,
    subject_kind: String,
    subject_id: Option<String>,
    user_id: Option<Id>,
    session_id: Option<Id>,
    ip: Option<String>,
    raised_at: At,
    last_at: At,
    occurrences: i32,
    details: Json,
    disowned_at: Option<At>,
    acknowledged_at: Option<At>,
    acknowledged_by: Option<String>,
    note: Option<String>,
}

impl Row {
    fn into_alert(self, username: Option<String>) -> Result<Alert, StoreError> {
        let id = self.id.0;
        self.read(username).map_err(|error| StoreError::Corrupt(format!("alerts {id}: {error}")))
    }

    fn read(self, username: Option<String>) -> deserialize::Result<Alert> {
        let acknowledged = self.acknowledged_at.zip(self.acknowledged_by);
        Ok(Alert {
            id: AlertId(self.id.0),
            raised: NewAlert {
                at: self.raised_at.0,
                kind: RaisedKind::of(self.kind),
                // A newer version may have raised it: it is shown all the same.
                subject: Subject {
                    kind: self.subject_kind.parse().unwrap_or(SubjectKind::Unknown),
                    id: self.subject_id,
                },
                user_id: self.user_id.map(|id| UserId(id.0)),
                session_id: self.session_id.map(|id| SessionId(id.0)),
                ip: self.ip.map(|ip| parsed(&ip)).transpose()?,
                details: self.details.0,
            },
            username,
            last_at: self.last_at.0,
            count: self.occurrences,
            disowned_at: self.disowned_at.map(|at| at.0),
            acknowledged: acknowledged.map(|(at, by)| Acknowledged { at: at.0, by, note: self.note }),
        })
    }
}

/// How many alerts there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long further occurrences are counted with the first.
    pub window: TimeDelta,
    /// Alerts of one kind in such a time; what goes beyond is counted with one about everybody.
    pub of_kind: i64,
}

/// An alert that was raised, or counted with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// The id of the alert, new or not.
    pub id: AlertId,
    /// Whether it is a new one.
    pub is_new: bool,
}

/// Raises an alert, or counts it with the one of its kind and subject that is open.
pub fn raise(db: &mut Db, new: &NewAlert, bounds: Bounds) -> Result<Raised, StoreError> {
    let since = At(new.at - bounds.window);
    let mut subject = &new.subject;
    let everybody = Subject::everybody();
    close_window(db, &open_key(new.kind, subject), since)?;
    if !is_open(db, &open_key(new.kind, subject))? && raised_since(db, new.kind, since)? >= bounds.of_kind {
        subject = &everybody;
        close_window(db, &open_key(new.kind, subject), since)?;
    }
    let row = (
        alerts::id.eq(Id(AlertId::new(new.at).0)),
        alerts::kind.eq(new.kind.as_str()),
        alerts::subject_kind.eq(subject.kind.as_str()),
        alerts::subject_id.eq(subject.id.clone()),
        alerts::user_id.eq(new.user_id.map(|id| Id(id.0))),
        alerts::session_id.eq(new.session_id.map(|id| Id(id.0))),
        alerts::ip.eq(new.ip.map(|ip| ip.to_string())),
        alerts::raised_at.eq(At(new.at)),
        alerts::last_at.eq(At(new.at)),
        alerts::occurrences.eq(1),
        alerts::details.eq(Json(new.details.clone())),
        alerts::open_key.eq(Some(open_key(new.kind, subject))),
    );
    let raised = diesel::insert_into(alerts::table)
        .values(row)
        .on_conflict(alerts::open_key)
        .do_update()
        .set((alerts::occurrences.eq(alerts::occurrences + 1), alerts::last_at.eq(At(new.at))))
        .returning((alerts::id, alerts::occurrences));
    let (id, occurrences): (Id, i32) = Portable(raised).get_result(db)?;
    Ok(Raised { id: AlertId(id.0), is_new: occurrences == 1 })
}

fn open_key(kind: AlertKind, subject: &Subject) -> String {
    format!("{kind} {} {}", subject.kind, subject.id.as_deref().unwrap_or_default())
}

/// Lets a new alert be raised beside one whose window has passed.
fn close_window(db: &mut Db, open_key: &str, since: At) -> Result<(), StoreError> {
    diesel::update(
        alerts::table.filter(alerts::open_key.eq(Some(open_key.to_owned()))).filter(alerts::raised_at.le(since)),
    )
    .set(alerts::open_key.eq(None::<String>))
    .execute(db)?;
    Ok(())
}

fn is_open(db: &mut Db, open_key: &str) -> Result<bool, StoreError> {
    let open: Option<Id> =
        alerts::table.filter(alerts::open_key.eq(Some(open_key.to_owned()))).select(alerts::id).first(db).optional()?;
    Ok(open.is_some())
}

fn raised_since(db: &mut Db, kind: AlertKind, since: At) -> Result<i64, StoreError> {
    let of_kind = alerts::table.filter(alerts::kind.eq(kind.as_str())).filter(alerts::raised_at.gt(since));
    Ok(of_kind.count().get_result(db)?)
}

/// The place of an alert in the order of lists, which goes by when it was raised.
pub type Position = keyset::Position<AlertId>;

impl Position {
    /// The place of this alert.
    #[must_use]
    pub const fn of(alert: &Alert) -> Self {
        Self { at: alert.raised.at, id: alert.id }
    }
}

/// Alerts, newest first, those after `after` in that order.
pub fn list(
    db: &mut Db,
    filter: &AlertFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<Alert, Position>, StoreError> {
    let joined = alerts::table.left_join(users::table.on(alerts::user_id.eq(users::id.nullable())));
    let mut query = joined.select((Row::as_select(), users::username.nullable())).into_boxed::<MultiBackend>();
    query = match filter.acknowledged() {
        Some(true) => query.filter(alerts::acknowledged_at.is_not_null()),
        Some(false) => query.filter(alerts::acknowledged_at.is_null()),
        None => query,
    };
    if let Some(kind) = filter.kind {
        query = query.filter(alerts::kind.eq(kind.as_str()));
    }
    if let Some(Text(subject)) = &filter.subject {
        let by_id = alerts::subject_id.eq(Some(subject.clone()));
        query = match subject.parse().map(Id) {
            Ok(id) => query.filter(by_id.or(alerts::user_id.eq(Some(id))).or(alerts::session_id.eq(Some(id)))),
            Err(_) => query.filter(by_id),
        };
    }
    if let Some(after) = after {
        let place = (At(after.at), Id(after.id.0));
        query = query.filter(row_before((alerts::raised_at, alerts::id), place));
    }
    let order = (alerts::raised_at.desc(), alerts::id.desc());
    let rows: Vec<(Row, Option<String>)> = query.order(order).limit(limit + 1).load(db)?;
    let alerts = rows.into_iter().map(|(row, username)| row.into_alert(username)).collect::<Result<_, _>>()?;
    Ok(Page::cut(alerts, limit, Position::of))
}

/// The alert with this id.
pub fn find(db: &mut Db, id: AlertId) -> Result<Option<Alert>, StoreError> {
    let found: Option<(Row, Option<String>)> = alerts::table
        .left_join(users::table.on(alerts::user_id.eq(users::id.nullable())))
        .filter(alerts::id.eq(Id(id.0)))
        .select((Row::as_select(), users::username.nullable()))
        .first(db)
        .optional()?;
    found.map(|(row, username)| row.into_alert(username)).transpose()
}

/// Acknowledges an alert. `false` where that was done before: the first stays.
pub fn acknowledge(db: &mut Db, id: AlertId, acknowledged: &Acknowledged) -> Result<bool, StoreError> {
    let open = alerts::table.find(Id(id.0)).filter(alerts::acknowledged_at.is_null());
    let set = (
        alerts::acknowledged_at.eq(Some(At(acknowledged.at))),
        alerts::acknowledged_by.eq(Some(acknowledged.by.clone())),
        alerts::note.eq(acknowledged.note.clone()),
        alerts::open_key.eq(None::<String>),
    );
    Ok(diesel::update(open).set(set).execute(db)? == 1)
}

/// Notes that the user has reported a session, and opens its alert again: what was looked at is worth another look. `None`
/// where no alert is about this session.
pub fn report_unrecognised_login(
    db: &mut Db,
    session_id: SessionId,
    at: DateTime<Utc>,
) -> Result<Option<AlertId>, StoreError> {
    let of_session = alerts::table
        .filter(alerts::session_id.eq(Some(Id(session_id.0))))
        .filter(alerts::kind.eq(AlertKind::NewDevice.as_str()));
    let set = (
        alerts::disowned_at.eq(Some(At(at))),
        alerts::acknowledged_at.eq(None::<At>),
        alerts::acknowledged_by.eq(None::<String>),
        alerts::note.eq(None::<String>),
    );
    let reported: Option<Id> = diesel::update(of_session).set(set).returning(alerts::id).get_result(db).optional()?;
    Ok(reported.map(|id| AlertId(id.0)))
}

/// How many alerts of each kind are open; kinds without any are left out, and so are those of a newer version.
pub fn open_by_kind(db: &mut Db) -> Result<Vec<(AlertKind, i64)>, StoreError> {
    let rows: Vec<(String, i64)> = alerts::table
        .filter(alerts::acknowledged_at.is_null())
        .group_by(alerts::kind)
        .select((alerts::kind, diesel::dsl::count_star()))
        .load(db)?;
    Ok(rows.into_iter().filter_map(|(kind, count)| Some((kind.parse().ok()?, count))).collect())
}

/// When the oldest open alert was raised.
pub fn oldest_open(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest: Option<At> = alerts::table
        .filter(alerts::acknowledged_at.is_null())
        .select(alerts::raised_at)
        .order((alerts::raised_at.asc(), alerts::id.asc()))
        .first(db)
        .optional()?;
    Ok(oldest.map(|at| at.0))
}

/// Removes alerts raised and acknowledged before `before`, at most `limit`; returns how many. An alert stays as long as the
/// event that says what was noted on it: it tells whom that is about.
pub fn remove_acknowledged_before(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let old =
        alerts::table.filter(alerts::raised_at.lt(At(before))).filter(alerts::acknowledged_at.lt(Some(At(before))));
    let ids: Vec<Id> = old.order(alerts::raised_at.asc()).limit(limit).select(alerts::id).load(db)?;
    Ok(diesel::delete(alerts::table.filter(alerts::id.eq_any(ids))).execute(db)?)
}

/// Removes the addresses of alerts raised before `before`.
pub fn remove_addresses_before(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let old = alerts::table.filter(alerts::raised_at.lt(At(before))).filter(alerts::ip.is_not_null());
    Ok(diesel::update(old).set(alerts::ip.eq(None::<String>)).execute(db)?)
}

/// The users that these alerts are about; those about none are left out.
pub fn users_of(db: &mut Db, ids: impl Iterator<Item = AlertId>) -> Result<HashMap<AlertId, UserId>, StoreError> {
    let ids: Vec<Id> = ids.map(|id| Id(id.0)).collect();
    let about = alerts::table.filter(alerts::id.eq_any(ids)).filter(alerts::user_id.is_not_null());
    let rows: Vec<(Id, Option<Id>)> = about.select((alerts::id, alerts::user_id)).load(db)?;
    Ok(rows.into_iter().filter_map(|(id, user)| Some((AlertId(id.0), UserId(user?.0)))).collect())
}

/// Removes what a reviewer noted on an alert.
pub fn remove_note(db: &mut Db, id: AlertId) -> Result<(), StoreError> {
    diesel::update(alerts::table.find(Id(id.0))).set(alerts::note.eq(None::<String>)).execute(db)?;
    Ok(())
}

/// Leaves of the details of an alert what is left of those of an event when the person they name is erased.
pub fn remove_details(db: &mut Db, id: AlertId) -> Result<(), StoreError> {
    let left = Json(erased_details().clone());
    diesel::update(alerts::table.find(Id(id.0))).set(alerts::details.eq(left)).execute(db)?;
    Ok(())
}
