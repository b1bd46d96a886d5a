//! Queries on `attempts`.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::chain;
use super::columns::{At, Id, address, parsed, proofs};
use super::criteria::{by_networks, by_values};
use super::error::StoreError;
use super::keyset::{self, Page, row_after, row_before, to_before};
use super::schema::attempts;
use crate::model::address::key;
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::client::{ClientId, LoginClient};
use crate::model::filter::{AttemptFilter, Criterion, Text, UserSelector};
use crate::model::folding::fold;
use crate::model::id::{AttemptId, SessionId, UserId};
use crate::model::redaction::{Group, WithProofs};

#[derive(Queryable, Insertable)]
#[diesel(table_name = attempts)]
struct Row {
    id: Id,
    at: At,
    username: String,
    username_folded: String,
    user_id: Option<Id>,
    outcome: String,
    ip: String,
    ip_key: Vec<u8>,
    user_agent: Option<String>,
    client_id: Option<String>,
    session_id: Option<Id>,
    request_id: String,
    address_proof: Option<Vec<u8>>,
    person_proof: Option<Vec<u8>>,
    client_authentication: Option<String>,
}

impl Row {
    fn new(WithProofs { row: attempt, proofs }: &WithProofs<Attempt>) -> Self {
        Self {
            id: Id(attempt.id.0),
            at: At(attempt.at),
            username: attempt.username.clone(),
            username_folded: fold(&attempt.username),
            user_id: attempt.user_id.map(|id| Id(id.0)),
            outcome: attempt.outcome.as_str().to_owned(),
            ip: attempt.ip.to_string(),
            ip_key: key(attempt.ip).to_vec(),
            user_agent: attempt.user_agent.clone(),
            client_id: attempt.client.id().map(|id| id.as_str().to_owned()),
            session_id: attempt.session_id.map(|id| Id(id.0)),
            request_id: attempt.request_id.clone(),
            address_proof: proofs.addresses.to_bytes(),
            person_proof: proofs.person.to_bytes(),
            client_authentication: attempt.client.authentication().map(str::to_owned),
        }
    }

    fn into_kept(self) -> Result<WithProofs<Attempt>, StoreError> {
        let proofs = proofs(self.address_proof.as_deref(), self.person_proof.as_deref());
        let proofs = proofs.map_err(|error| StoreError::Corrupt(format!("attempts: {error}")))?;
        Ok(WithProofs { row: self.into_attempt()?, proofs })
    }

    fn into_attempt(self) -> Result<Attempt, StoreError> {
        let read = || -> deserialize::Result<Attempt> {
            Ok(Attempt {
                id: AttemptId(self.id.0),
                at: self.at.0,
                username: self.username,
                user_id: self.user_id.map(|id| UserId(id.0)),
                outcome: parsed(&self.outcome)?,
                ip: address(&self.ip)?,
                user_agent: self.user_agent,
                client: LoginClient::of(
                    self.client_id.map(|id| ClientId::parse(&id)).transpose()?,
                    self.client_authentication.is_some(),
                ),
                session_id: self.session_id.map(|id| SessionId(id.0)),
                request_id: self.request_id,
            })
        };
        read().map_err(|error| StoreError::Corrupt(format!("attempts: {error}")))
    }
}

/// The forms under which attempts with a name are kept, folded. Which masks a name has, the store cannot know.
pub type NameForms<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// The place of an attempt in the order of lists.
pub type Position = keyset::Position<AttemptId>;

impl Position {
    /// The place of this attempt.
    #[must_use]
    pub const fn of(attempt: &Attempt) -> Self {
        Self { at: attempt.at, id: attempt.id }
    }
}

/// Adds an attempt, and its record to those that wait to be sealed.
pub fn insert(db: &mut Db, attempt: &Attempt) -> Result<(), StoreError> {
    let kept = WithProofs::new(attempt.clone());
    diesel::insert_into(attempts::table).values(Row::new(&kept)).execute(db)?;
    chain::enqueue(db, &kept.record())
}

/// Attempts, newest first, those after `after` in that order.
pub fn list(
    db: &mut Db,
    filter: &AttemptFilter,
    forms: NameForms<'_>,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<Attempt, Position>, StoreError> {
    let mut filter = filter.clone();
    if let Some(after) = after {
        filter.to = to_before(filter.to, after.at);
    }
    let mut query = matching(&filter, forms);
    if let Some(after) = after {
        query = query.filter(row_before((attempts::at, attempts::id), (At(after.at), Id(after.id.0))));
    }
    let rows: Vec<Row> = query.order((attempts::at.desc(), attempts::id.desc())).limit(limit + 1).load(db)?;
    let attempts = rows.into_iter().map(Row::into_attempt).collect::<Result<_, _>>()?;
    Ok(Page::cut(attempts, limit, Position::of))
}

/// How many attempts match.
pub fn count(db: &mut Db, filter: &AttemptFilter, forms: NameForms<'_>) -> Result<i64, StoreError> {
    Ok(matching(filter, forms).count().get_result(db)?)
}

type Query = attempts::BoxedQuery<'static, MultiBackend>;

fn matching(filter: &AttemptFilter, forms: NameForms<'_>) -> Query {
    let mut query = by_users(attempts::table.into_boxed(), &filter.user, forms);
    let names = |names: &[Text]| names.iter().flat_map(|name| forms(&name.0)).collect::<Vec<_>>();
    if !filter.username.include.is_empty() {
        query = query.filter(attempts::username_folded.eq_any(names(&filter.username.include)));
    }
    if !filter.username.exclude.is_empty() {
        query = query.filter(attempts::username_folded.ne_all(names(&filter.username.exclude)));
    }
    query = by_networks!(query, attempts::ip_key, filter.ip);
    query = by_values!(query, attempts::outcome, filter.outcome, |outcome: &AttemptOutcome| outcome.as_str());
    if let Some(from) = filter.from {
        query = query.filter(attempts::at.ge(At(from.0)));
    }
    if let Some(to) = filter.to {
        query = query.filter(attempts::at.lt(At(to.0)));
    }
    query
}

/// Those on users, each meant by the id or by the name.
fn by_users(mut query: Query, users: &Criterion<UserSelector>, forms: NameForms<'_>) -> Query {
    let meant = |users: &[UserSelector]| {
        let ids: Vec<_> = users.iter().filter_map(UserSelector::id).map(|id| Some(Id(id.0))).collect();
        let named = users.iter().filter(|user| user.id().is_none());
        (ids, named.flat_map(|user| forms(user.name())).collect::<Vec<_>>())
    };
    let (ids, names) = meant(&users.include);
    query = match (ids.as_slice(), names.is_empty()) {
        ([], true) => query,
        ([], false) => query.filter(attempts::username_folded.eq_any(names)),
        ([one], true) => query.filter(attempts::user_id.eq(*one)),
        (_, true) => query.filter(attempts::user_id.eq_any(ids)),
        (_, false) => query.filter(attempts::user_id.eq_any(ids).or(attempts::username_folded.eq_any(names))),
    };
    let (ids, names) = meant(&users.exclude);
    if !ids.is_empty() {
        query = query.filter(attempts::user_id.is_null().or(attempts::user_id.ne_all(ids)));
    }
    if names.is_empty() { query } else { query.filter(attempts::username_folded.ne_all(names)) }
}

/// Attempts after `after`, oldest first: for following them live.
pub fn following(db: &mut Db, after: Position, limit: i64) -> Result<Vec<Attempt>, StoreError> {
    let rows: Vec<Row> = attempts::table
        .filter(row_after((attempts::at, attempts::id), (At(after.at), Id(after.id.0))))
        .order((attempts::at.asc(), attempts::id.asc()))
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(Row::into_attempt).collect()
}

/// A try that failed, as far as patterns are seen in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The name, folded; masked where no user has it.
    pub name: String,
    /// The address from which somebody tried.
    pub ip: IpAddr,
    /// Whether a user has the name.
    pub is_user: bool,
}

/// Failures since `since`, the newest `limit`.
pub fn failed_since(db: &mut Db, since: DateTime<Utc>, limit: i64) -> Result<Vec<Failed>, StoreError> {
    let rows: Vec<(String, String, Option<Id>)> = attempts::table
        .filter(attempts::at.gt(At(since)))
        .filter(attempts::outcome.ne(AttemptOutcome::Success.as_str()))
        .select((attempts::username_folded, attempts::ip, attempts::user_id))
        .order((attempts::at.desc(), attempts::id.desc()))
        .limit(limit)
        .load(db)?;
    let read = |(name, ip, user_id): (String, String, Option<Id>)| match address(&ip) {
        Ok(ip) => Ok(Failed { name, ip, is_user: user_id.is_some() }),
        Err(error) => Err(StoreError::Corrupt(format!("attempts: {error}"))),
    };
    rows.into_iter().map(read).collect()
}

/// How many attempts are older than `before`.
pub fn count_before(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    Ok(attempts::table.filter(attempts::at.lt(At(before))).count().get_result(db)?)
}

/// Removes attempts before `before`, the oldest first, at most `limit`; returns how many.
pub fn remove_before(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let old = attempts::table.filter(attempts::at.lt(At(before))).order(attempts::at.asc()).limit(limit);
    let ids: Vec<Id> = old.select(attempts::id).load(db)?;
    Ok(diesel::delete(attempts::table.filter(attempts::id.eq_any(ids))).execute(db)?)
}

/// Attempts before `before` whose address is whole.
pub fn count_whole_addresses(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    Ok(attempts::table.filter(attempts::at.lt(At(before))).filter(is_whole()).count().get_result(db)?)
}

/// The same as they are kept, the oldest first, at most `limit`.
pub fn whole_addresses(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<Vec<WithProofs<Attempt>>, StoreError> {
    let old = attempts::table.filter(attempts::at.lt(At(before))).filter(is_whole());
    let rows: Vec<Row> = old.order(attempts::at.asc()).limit(limit).load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Attempts on this user after `after`, oldest first, as they are kept.
pub fn kept_of_user(
    db: &mut Db,
    user_id: UserId,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<WithProofs<Attempt>>, StoreError> {
    let mut query = attempts::table.filter(attempts::user_id.eq(Some(Id(user_id.0)))).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query.filter(row_after((attempts::at, attempts::id), (At(after.at), Id(after.id.0))));
    }
    let rows: Vec<Row> = query.order((attempts::at.asc(), attempts::id.asc())).limit(limit).load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Writes what is left of an attempt.
pub fn redact(db: &mut Db, left: &WithProofs<Attempt>, group: Group) -> Result<(), StoreError> {
    let row = Row::new(left);
    let attempt = diesel::update(attempts::table.find(row.id));
    match group {
        Group::Addresses => attempt
            .set((
                attempts::ip.eq(row.ip),
                attempts::ip_key.eq(row.ip_key),
                attempts::address_proof.eq(row.address_proof),
            ))
            .execute(db)?,
        Group::Person => attempt
            .set((
                attempts::username.eq(row.username),
                attempts::username_folded.eq(row.username_folded),
                attempts::user_agent.eq(row.user_agent),
                attempts::person_proof.eq(row.person_proof),
            ))
            .execute(db)?,
    };
    Ok(())
}

/// The names, folded, under which this user was tried, each with its attempt.
pub fn names_of_user(db: &mut Db, user_id: UserId) -> Result<Vec<(AttemptId, String)>, StoreError> {
    let of_user = attempts::table.filter(attempts::user_id.eq(Some(Id(user_id.0))));
    let rows: Vec<(Id, String)> = of_user.select((attempts::id, attempts::username_folded)).load(db)?;
    Ok(rows.into_iter().map(|(id, name)| (AttemptId(id.0), fold(&name))).collect())
}

/// When the oldest attempt was.
pub fn oldest(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest: Option<At> = attempts::table.select(diesel::dsl::min(attempts::at)).first(db)?;
    Ok(oldest.map(|at| at.0))
}

/// Attempts with whole addresses: the condition of an index.
fn is_whole() -> diesel::expression::SqlLiteral<diesel::sql_types::Bool> {
    diesel::dsl::sql("length(attempts.address_proof) = 16")
}
