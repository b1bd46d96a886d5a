//! Lists of sessions: all filters together, three orders, keyset paging.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use ipnet::IpNet;

use super::super::backend::{Db, MultiBackend};
use super::super::columns::{At, Id};
use super::super::error::StoreError;
use super::super::keyset::{Page, from_after, row_after, row_before, to_before};
use super::super::schema::sessions;
use super::super::{access_tokens, containing, users};
use super::Row;
use crate::model::address::key_range;
use crate::model::folding::{fold, forms};
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::session::{EndReason, Session, SessionState};

/// Whose sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSelector {
    /// The user with this id; where there is none, who has it as a name.
    Id(UserId),
    /// Everybody who has this name, or had it at a login; case does not matter.
    Name(String),
}

/// Which sessions a list shows; all members together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Of this user.
    pub user: Option<UserSelector>,
    /// Of users who had this role at login.
    pub role: Option<String>,
    /// In this state at `now`.
    pub state: Option<SessionState>,
    /// Ended for this reason.
    pub reason: Option<EndReason>,
    /// Whose login came from this network.
    pub network: Option<IpNet>,
    /// Through this client.
    pub client_id: Option<String>,
    /// Whose user agent contains this, whatever the case.
    pub user_agent: Option<String>,
    /// Started in this period: not before, before.
    pub started: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Last seen in this period.
    pub last_seen: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Ended in this period.
    pub ended: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// Ended by the party with this id.
    pub ended_by: Option<String>,
    /// For which this access token was issued.
    pub token: Option<TokenId>,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// `-started_at`: newest login first.
    #[default]
    NewestStart,
    /// `started_at`: oldest login first.
    OldestStart,
    /// `-last_seen_at`: last used first.
    LastSeen,
}

/// The place of a session in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The time that the order goes by.
    pub at: DateTime<Utc>,
    /// The session.
    pub id: SessionId,
}

impl Position {
    /// Where a session stands.
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
) -> Result<Page<Session>, StoreError> {
    let mut filter = filter.clone();
    if let Some(after) = after {
        match sort {
            Sort::NewestStart => filter.started.1 = to_before(filter.started.1, after.at),
            Sort::OldestStart => filter.started.0 = from_after(filter.started.0, after.at),
            Sort::LastSeen => filter.last_seen.1 = to_before(filter.last_seen.1, after.at),
        }
    }
    let Some(mut query) = matching(db, &filter, now)? else { return Ok(Page::cut(Vec::new(), limit)) };
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
    Ok(Page::cut(sessions, limit))
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
    let mut query = sessions::table.into_boxed::<MultiBackend>();
    if let Some(user) = &filter.user {
        let ids = user_ids(db, user)?;
        // One id keeps the order of the index; several do not, but are rare.
        query = match ids.as_slice() {
            [] => return Ok(None),
            [one] => query.filter(sessions::user_id.eq(*one)),
            _ => query.filter(sessions::user_id.eq_any(ids)),
        };
    }
    if let Some(token) = filter.token {
        let Some(id) = access_tokens::session_of(db, token)? else { return Ok(None) };
        query = query.filter(sessions::id.eq(Id(id.0)));
    }
    if let Some(network) = filter.network {
        let (first, last) = key_range(network);
        query = if first == last {
            query.filter(sessions::ip_key.eq(first.to_vec()))
        } else {
            query.filter(sessions::ip_key.between(first.to_vec(), last.to_vec()))
        };
    }
    query = match filter.state {
        Some(SessionState::Active) => {
            query.filter(sessions::ended_at.is_null()).filter(sessions::idle_expires_at.gt(At(now)))
        }
        Some(SessionState::Ended) => {
            query.filter(sessions::ended_at.is_not_null().or(sessions::idle_expires_at.le(At(now))))
        }
        None => query,
    };
    if let Some(agent) = &filter.user_agent {
        // User agents are kept as visible ASCII, so both databases fold case alike.
        let folded = diesel::dsl::sql::<diesel::sql_types::Text>("lower(coalesce(sessions.user_agent, ''))");
        query = query.filter(folded.like(containing(&agent.to_ascii_lowercase())).escape('\\'));
    }
    Ok(Some(by_columns(within_periods(query, filter), filter)))
}

fn by_columns(mut query: Query<'static>, filter: &SessionFilter) -> Query<'static> {
    if let Some(role) = &filter.role {
        query = query.filter(sessions::role.eq(role.clone()));
    }
    if let Some(reason) = filter.reason {
        query = query.filter(sessions::end_reason.eq(Some(reason.as_str())));
    }
    if let Some(client_id) = &filter.client_id {
        query = query.filter(sessions::client_id.eq(Some(client_id.clone())));
    }
    if let Some(by) = &filter.ended_by {
        query = query.filter(sessions::ended_by_id.eq(Some(by.clone())));
    }
    query
}

fn within_periods(mut query: Query<'static>, filter: &SessionFilter) -> Query<'static> {
    if let Some(from) = filter.started.0 {
        query = query.filter(sessions::started_at.ge(At(from)));
    }
    if let Some(to) = filter.started.1 {
        query = query.filter(sessions::started_at.lt(At(to)));
    }
    if let Some(from) = filter.last_seen.0 {
        query = query.filter(sessions::last_seen_at.ge(At(from)));
    }
    if let Some(to) = filter.last_seen.1 {
        query = query.filter(sessions::last_seen_at.lt(At(to)));
    }
    if let Some(from) = filter.ended.0 {
        query = query.filter(sessions::ended_at.ge(Some(At(from))));
    }
    if let Some(to) = filter.ended.1 {
        query = query.filter(sessions::ended_at.lt(Some(At(to))));
    }
    query
}

/// Whether somebody has this id, or has had it at a login.
fn is_of_somebody(db: &mut Db, id: UserId) -> Result<bool, StoreError> {
    let of_user = sessions::table.filter(sessions::user_id.eq(Id(id.0))).select(sessions::user_id);
    let at_login: Option<Id> = of_user.first(db).optional()?;
    Ok(at_login.is_some() || users::find(db, id)?.is_some())
}

fn user_ids(db: &mut Db, user: &UserSelector) -> Result<Vec<Id>, StoreError> {
    let name = match user {
        UserSelector::Id(id) if is_of_somebody(db, *id)? => return Ok(vec![Id(id.0)]),
        UserSelector::Id(id) => &id.to_string(),
        UserSelector::Name(name) => name,
    };
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
