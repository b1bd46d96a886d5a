//! Lists of sessions: all filters together, three orders, keyset paging.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::super::backend::{Db, MultiBackend};
use super::super::columns::{At, Id};
use super::super::criteria::{AnyOf, by_networks, by_values};
use super::super::error::StoreError;
use super::super::keyset::{self, Page, from_after, row_after, row_before, to_before};
use super::super::schema::sessions;
use super::super::{access_tokens, containing, users};
use super::Row;
use crate::model::filter::{Criterion, SessionFilter, Sort, Text, UserSelector};
use crate::model::folding::{fold, forms};
use crate::model::id::{SessionId, UserId};
use crate::model::session::{EndReason, Session, SessionState};

/// The place of a session in an order.
pub type Position = keyset::Position<SessionId>;

impl Position {
    /// The place of a session in this order.
    #[must_use]
    pub const fn of(session: &Session, sort: Sort) -> Self {
        let at = match sort {
            Sort::NewestStart | Sort::OldestStart => session.started_at,
            Sort::LastSeen => session.last_seen_at,
        };
        Self { at, id: session.id }
    }
}

type Query<'a> = sessions::BoxedQuery<'a, MultiBackend>;

/// Sessions that match, those after `after` in the order.
pub fn list(
    db: &mut Db,
    filter: &SessionFilter,
    now: DateTime<Utc>,
    sort: Sort,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<Session, Position>, StoreError> {
    let mut filter = filter.clone();
    if let Some(after) = after {
        match sort {
            Sort::NewestStart => filter.started_to = to_before(filter.started_to, after.at),
            Sort::OldestStart => filter.started_from = from_after(filter.started_from, after.at),
            Sort::LastSeen => filter.last_seen_to = to_before(filter.last_seen_to, after.at),
        }
    }
    let Some(mut query) = matching(db, &filter, now)? else {
        return Ok(Page { items: Vec::new(), next: None });
    };
    if let Some(after) = after {
        let place = (At(after.at), Id(after.id.0));
        query = match sort {
            Sort::NewestStart => query.filter(row_before((sessions::started_at, sessions::id), place)),
            Sort::OldestStart => query.filter(row_after((sessions::started_at, sessions::id), place)),
            Sort::LastSeen => query.filter(row_before((sessions::last_seen_at, sessions::id), place)),
        };
    }
    query = match sort {
        Sort::NewestStart => query.order((sessions::started_at.desc(), sessions::id.desc())),
        Sort::OldestStart => query.order((sessions::started_at.asc(), sessions::id.asc())),
        Sort::LastSeen => query.order((sessions::last_seen_at.desc(), sessions::id.desc())),
    };
    let rows: Vec<Row> = query.limit(limit + 1).load(db)?;
    let sessions = rows.into_iter().map(Row::into_session).collect::<Result<_, _>>()?;
    Ok(Page::cut(sessions, limit, |last| Position::of(last, sort)))
}

/// How many sessions match.
pub fn count(db: &mut Db, filter: &SessionFilter, now: DateTime<Utc>) -> Result<i64, StoreError> {
    let Some(query) = matching(db, filter, now)? else { return Ok(0) };
    Ok(query.count().get_result(db)?)
}

/// The ids of at most `limit` sessions that match and have no recorded end.
pub fn ids_matching(
    db: &mut Db,
    filter: &SessionFilter,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<SessionId>, StoreError> {
    let Some(query) = matching(db, filter, now)? else { return Ok(Vec::new()) };
    let ids: Vec<Id> = query.filter(sessions::ended_at.is_null()).select(sessions::id).limit(limit).load(db)?;
    Ok(ids.into_iter().map(|id| SessionId(id.0)).collect())
}

/// The query for a filter; `None` where nothing can match.
fn matching(db: &mut Db, filter: &SessionFilter, now: DateTime<Utc>) -> Result<Option<Query<'static>>, StoreError> {
    let Some(users) = ids_meant(&filter.user, |user| user_ids(db, user))? else { return Ok(None) };
    let of_token = |token: &_| Ok(access_tokens::session_of(db, *token)?.map(|id| Id(id.0)).into_iter().collect());
    let Some(tokens) = ids_meant(&filter.token, of_token)? else { return Ok(None) };
    let query = sessions::table.into_boxed::<MultiBackend>();
    let query = by_values!(query, sessions::user_id, users, |id: &Id| *id);
    let query = by_values!(query, sessions::id, tokens, |id: &Id| *id);
    let query = by_networks!(query, sessions::ip_key, filter.ip);
    let query = match (filter.allows(SessionState::Active), filter.allows(SessionState::Ended)) {
        (true, true) => query,
        (true, false) => query.filter(sessions::ended_at.is_null()).filter(sessions::idle_expires_at.gt(At(now))),
        (false, true) => query.filter(sessions::ended_at.is_not_null().or(sessions::idle_expires_at.le(At(now)))),
        (false, false) => return Ok(None),
    };
    Ok(Some(by_columns(within_periods(by_user_agent(query, &filter.user_agent), filter), filter)))
}

/// The ids that a criterion means; `None` where it asks for what there is not.
fn ids_meant<T>(
    criterion: &Criterion<T>,
    mut find: impl FnMut(&T) -> Result<Vec<Id>, StoreError>,
) -> Result<Option<Criterion<Id>>, StoreError> {
    let mut all = |values: &[T]| {
        let mut ids = Vec::new();
        for value in values {
            ids.extend(find(value)?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok::<_, StoreError>(ids)
    };
    let (include, exclude) = (all(&criterion.include)?, all(&criterion.exclude)?);
    let is_nobody = include.is_empty() && !criterion.include.is_empty();
    Ok((!is_nobody).then_some(Criterion { include, exclude }))
}

fn by_user_agent(mut query: Query<'static>, agents: &Criterion<Text>) -> Query<'static> {
    let contains = |agent: &Text| {
        // User agents are kept as visible ASCII, so both databases fold case alike.
        let folded = diesel::dsl::sql::<diesel::sql_types::Text>("lower(coalesce(sessions.user_agent, ''))");
        folded.like(containing(&agent.0.to_ascii_lowercase())).escape('\\')
    };
    if !agents.include.is_empty() {
        query = query.filter(AnyOf(agents.include.iter().map(contains).collect()));
    }
    if !agents.exclude.is_empty() {
        query = query.filter(diesel::dsl::not(AnyOf(agents.exclude.iter().map(contains).collect::<Vec<_>>())));
    }
    query
}

fn by_columns(query: Query<'static>, filter: &SessionFilter) -> Query<'static> {
    let query = by_values!(query, sessions::role, filter.role, |role: &Text| role.0.clone());
    let query = by_values!(query, nullable sessions::end_reason, filter.reason, |reason: &EndReason| {
        Some(reason.as_str())
    });
    let query = by_values!(query, nullable sessions::client_id, filter.client_id, |id: &Text| Some(id.0.clone()));
    by_values!(query, nullable sessions::ended_by_id, filter.ended_by, |by: &Text| Some(by.0.clone()))
}

fn within_periods(mut query: Query<'static>, filter: &SessionFilter) -> Query<'static> {
    if let Some(from) = filter.started_from {
        query = query.filter(sessions::started_at.ge(At(from.0)));
    }
    if let Some(to) = filter.started_to {
        query = query.filter(sessions::started_at.lt(At(to.0)));
    }
    if let Some(from) = filter.last_seen_from {
        query = query.filter(sessions::last_seen_at.ge(At(from.0)));
    }
    if let Some(to) = filter.last_seen_to {
        query = query.filter(sessions::last_seen_at.lt(At(to.0)));
    }
    if let Some(from) = filter.ended_from {
        query = query.filter(sessions::ended_at.ge(Some(At(from.0))));
    }
    if let Some(to) = filter.ended_to {
        query = query.filter(sessions::ended_at.lt(Some(At(to.0))));
    }
    query
}

/// Whether somebody has this id, or has had it at a login.
fn is_of_somebody(db: &mut Db, id: UserId) -> Result<bool, StoreError> {
    let of_user = sessions::table.filter(sessions::user_id.eq(Id(id.0))).select(sessions::user_id);
    let at_login: Option<Id> = of_user.first(db).optional()?;
    Ok(at_login.is_some() || users::find(db, id)?.is_some())
}

/// The users meant by an id, or else by a name: whoever has it, or had it at a login; case does not matter.
fn user_ids(db: &mut Db, user: &UserSelector) -> Result<Vec<Id>, StoreError> {
    if let Some(id) = user.id()
        && is_of_somebody(db, id)?
    {
        return Ok(vec![Id(id.0)]);
    }
    let name = user.name();
    let now = users::find_by_name(db, name)?;
    let is_one_of_several = now.is_none() && users::having_name(db, name)?.len() > 1;
    if is_one_of_several {
        return Ok(Vec::new());
    }
    // One look into the index for each: a name has many sessions, of few users.
    let mut ids: Vec<Id> = Vec::new();
    for form in forms(name) {
        let mut last: Option<Id> = None;
        loop {
            let mut further =
                sessions::table.filter(sessions::username_folded.eq(form.clone())).into_boxed::<MultiBackend>();
            if let Some(last) = last {
                further = further.filter(sessions::user_id.gt(last));
            }
            last = further.order(sessions::user_id.asc()).select(sessions::user_id).first(db).optional()?;
            let Some(id) = last else { break };
            ids.push(id);
        }
    }
    ids.extend(now.iter().map(|user| Id(user.id.0)));
    ids.sort_unstable();
    ids.dedup();
    if ids.len() <= 1 {
        return Ok(ids);
    }
    // Others may have a name that is the same today, and was not when they got it: who is meant is who has exactly this one.
    let mut meant = Vec::new();
    for id in ids {
        let user = users::find(db, UserId(id.0))?.filter(|user| fold(user.username.as_str()) == fold(name));
        if user.is_none() || user.map(|user| user.id) == now.as_ref().map(|now| now.id) {
            meant.push(id);
        }
    }
    Ok(meant)
}
