//! Queries on `users`.

use std::collections::HashSet;

use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::columns::{At, Id, parsed};
use super::error::StoreError;
use super::keyset::Page;
use super::rows::Insert;
use super::schema::users;
use super::sessions::UserStanding;
use super::states::{self, Thing};
use crate::model::id::UserId;
use crate::model::record::RecordKind;
use crate::model::user::{Email, PasswordHash, Role, User, UserState, Username};
use chrono::{DateTime, Utc};

/// Rows of one statement.
const BATCH: usize = 500;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Row {
    id: Id,
    username: String,
    role: String,
    state: String,
    password_hash: Option<String>,
    created_at: At,
    password_changed_at: Option<At>,
    email: Option<String>,
}

impl Row {
    fn into_user(self) -> Result<User, StoreError> {
        let read = || -> deserialize::Result<User> {
            Ok(User {
                id: UserId(self.id.0),
                username: Username::parse(&self.username)?,
                role: Role::parse(&self.role)?,
                state: parsed(&self.state)?,
                password_hash: self.password_hash.map(PasswordHash),
                created_at: self.created_at.0,
                password_changed_at: self.password_changed_at.map(|at| at.0),
                email: self.email.map(|email| Email::parse(&email)).transpose()?,
            })
        };
        read().map_err(|error| StoreError::Corrupt(format!("users: {error}")))
    }
}

/// Which users a list shows.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Those with this role.
    pub role: Option<String>,
    /// Those in this state.
    pub state: Option<UserState>,
    /// Those whose folded name contains this (folded).
    pub name_contains: Option<String>,
}

/// The user with this id.
pub fn find(db: &mut Db, id: UserId) -> Result<Option<User>, StoreError> {
    users::table.find(Id(id.0)).select(Row::as_select()).first(db).optional()?.map(Row::into_user).transpose()
}

/// What the check needs of the user with this id.
pub fn standing(db: &mut Db, id: UserId) -> Result<Option<UserStanding>, StoreError> {
    let found: Option<(String, String, String)> =
        users::table.find(Id(id.0)).select((users::username, users::role, users::state)).first(db).optional()?;
    let Some((username, role, state)) = found else { return Ok(None) };
    let read = || -> deserialize::Result<UserStanding> {
        Ok(UserStanding { username: Username::parse(&username)?, role: Role::parse(&role)?, state: parsed(&state)? })
    };
    read().map(Some).map_err(|error| StoreError::Corrupt(format!("users {id}: {error}")))
}

/// The user with this folded name. A name that holds a NUL is nobody's, and PostgreSQL could not even be asked for it.
pub fn find_by_name(db: &mut Db, folded: &str) -> Result<Option<User>, StoreError> {
    if folded.contains('\0') {
        return Ok(None);
    }
    users::table
        .filter(users::username_folded.eq(folded))
        .select(Row::as_select())
        .first(db)
        .optional()?
        .map(Row::into_user)
        .transpose()
}

/// Of these folded names, those that users have.
pub fn taken_names(db: &mut Db, folded: Vec<String>) -> Result<HashSet<String>, StoreError> {
    let taken: Vec<String> =
        users::table.filter(users::username_folded.eq_any(folded)).select(users::username_folded).load(db)?;
    Ok(taken.into_iter().collect())
}

/// Of these ids, those that users have.
pub fn taken_ids(db: &mut Db, ids: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
    let ids: Vec<Id> = ids.iter().map(|id| Id(id.0)).collect();
    let taken: Vec<Id> = users::table.filter(users::id.eq_any(ids)).select(users::id).load(db)?;
    Ok(taken.into_iter().map(|id| UserId(id.0)).collect())
}

/// The user with this id, held against changes by others until the end of the transaction (SQLite has one writer anyway).
pub fn lock(db: &mut Db, id: UserId) -> Result<Option<User>, StoreError> {
    match db {
        Db::Postgres(connection) => users::table
            .find(Id(id.0))
            .select(Row::as_select())
            .for_update()
            .first(connection)
            .optional()?
            .map(Row::into_user)
            .transpose(),
        Db::Sqlite(_) => find(db, id),
    }
}

/// Users by folded name, those after `after`.
pub fn list(db: &mut Db, filter: &UserFilter, after: Option<&str>, limit: i64) -> Result<Page<User>, StoreError> {
    let mut query = users::table.select(Row::as_select()).into_boxed::<MultiBackend>();
    if let Some(role) = &filter.role {
        query = query.filter(users::role.eq(role.clone()));
    }
    if let Some(state) = filter.state {
        query = query.filter(users::state.eq(state.as_str()));
    }
    if let Some(part) = &filter.name_contains {
        query = query.filter(users::username_folded.like(super::containing(part)).escape('\\'));
    }
    if let Some(after) = after {
        query = query.filter(users::username_folded.gt(after.to_owned()));
    }
    let rows: Vec<Row> = query.order(users::username_folded.asc()).limit(limit + 1).load(db)?;
    let users = rows.into_iter().map(Row::into_user).collect::<Result<_, _>>()?;
    Ok(Page::cut(users, limit))
}

/// A user to be added; `scheme` names the kind and cost of the password's stored form.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// Missing without a password.
    pub scheme: Option<String>,
}

/// Adds a user. A taken name or id is a [`StoreError::Conflict`].
pub fn insert(db: &mut Db, user: &User, scheme: Option<&str>) -> Result<(), StoreError> {
    insert_all(db, &[NewUser { user: user.clone(), scheme: scheme.map(str::to_owned) }])
}

/// The same for many.
pub fn insert_all(db: &mut Db, new: &[NewUser]) -> Result<(), StoreError> {
    // All of them before the first is added: what waits to be sealed is looked through for each.
    let things: Vec<Thing> = new.iter().map(|new| Thing::User(new.user.id)).collect();
    let versions = states::first_versions(db, &things)?;
    let rows: Vec<(&NewUser, Option<i64>)> = new.iter().zip(versions).collect();
    for rows in rows.chunks(BATCH) {
        insert_rows(db, rows)?;
        let recorded =
            rows.iter().filter_map(|(new, version)| Some((new.user.id.to_string(), (*version)?, new.user.created_at)));
        states::record_added(db, RecordKind::User, &recorded.collect::<Vec<_>>())?;
    }
    Ok(())
}

fn insert_rows(db: &mut Db, rows: &[(&NewUser, Option<i64>)]) -> Result<(), StoreError> {
    Insert::into("users", rows)
        .column(users::id, |(new, _)| Id(new.user.id.0))
        .column(users::username, |(new, _)| new.user.username.as_str())
        .column(users::username_folded, |(new, _)| new.user.username.folded())
        .column(users::role, |(new, _)| new.user.role.as_str())
        .column(users::state, |(new, _)| new.user.state.as_str())
        .column(users::password_hash, |(new, _)| new.user.password_hash.as_ref().map(|hash| hash.0.as_str()))
        .column(users::password_scheme, |(new, _)| new.scheme.as_deref())
        .column(users::created_at, |(new, _)| At(new.user.created_at))
        .column(users::password_changed_at, |(new, _)| new.user.password_changed_at.map(At))
        .column(users::email, |(new, _)| new.user.email.as_ref().map(Email::as_str))
        .column(users::version, |(_, version)| version.unwrap_or(0))
        .column(users::salt, |_| Some(states::salt().to_vec()))
        .execute(db)
}

/// Holds these users against changes by others, as [`lock`] does; all before any of them is changed.
pub(super) fn lock_all(db: &mut Db, ids: impl Iterator<Item = UserId>) -> Result<(), StoreError> {
    if let Db::Postgres(connection) = db {
        let ids: Vec<Id> = ids.map(|id| Id(id.0)).collect();
        let locked = users::table.filter(users::id.eq_any(ids)).order(users::id.asc()).select(users::id).for_update();
        locked.load::<Id>(connection)?;
    }
    Ok(())
}

/// Changes a user at `at`; false where there is none such.
fn change(
    db: &mut Db,
    id: UserId,
    at: DateTime<Utc>,
    update: impl FnOnce(&mut Db) -> QueryResult<usize>,
) -> Result<bool, StoreError> {
    states::change(db, &Thing::User(id), at, |db| Ok(update(db)? == 1))
}

/// Sets the password that the user chose at `at`.
pub fn set_password(
    db: &mut Db,
    id: UserId,
    hash: &PasswordHash,
    scheme: &str,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let set = (
        users::password_hash.eq(Some(hash.0.clone())),
        users::password_scheme.eq(Some(scheme.to_owned())),
        users::password_changed_at.eq(Some(At(at))),
    );
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Replaces the stored form of an unchanged password, unless it was changed meanwhile.
pub fn upgrade_password(
    db: &mut Db,
    id: UserId,
    from: &PasswordHash,
    (to, scheme): (&PasswordHash, &str),
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let unchanged = users::table.find(Id(id.0)).filter(users::password_hash.eq(Some(from.0.clone())));
    let set = (users::password_hash.eq(Some(to.0.clone())), users::password_scheme.eq(Some(scheme.to_owned())));
    change(db, id, at, |db| diesel::update(unchanged).set(set).execute(db))
}

/// The distinct schemes of all stored passwords.
pub fn password_schemes(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let schemes: Vec<Option<String>> = users::table.select(users::password_scheme).distinct().load(db)?;
    Ok(schemes.into_iter().flatten().collect())
}

/// Gives the user another name. A taken name is a [`StoreError::Conflict`].
pub fn set_username(db: &mut Db, id: UserId, username: &Username, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = (users::username.eq(username.as_str()), users::username_folded.eq(username.folded()));
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Gives the user another role.
pub fn set_role(db: &mut Db, id: UserId, role: &Role, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = users::role.eq(role.as_str());
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Gives the user another e-mail address, or none.
pub fn set_email(db: &mut Db, id: UserId, email: Option<&Email>, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = users::email.eq(email.map(|email| email.as_str().to_owned()));
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Makes the password log in no more: one that is set by a one-time token will.
pub fn void_password(db: &mut Db, id: UserId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = (users::password_hash.eq(None::<String>), users::password_scheme.eq(None::<String>));
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Enables or disables the user.
pub fn set_state(db: &mut Db, id: UserId, state: UserState, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = users::state.eq(state.as_str());
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Deletes the user; sessions, attempts and events keep the id and the name at the time.
pub fn delete(db: &mut Db, id: UserId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    change(db, id, at, |db| diesel::delete(users::table.find(Id(id.0))).execute(db))
}

/// Whether there is any user.
pub fn any(db: &mut Db) -> Result<bool, StoreError> {
    let one: Option<Id> = users::table.select(users::id).limit(1).first(db).optional()?;
    Ok(one.is_some())
}

/// How many active users have one of these roles. Until the end of the transaction no other can change that: on
/// PostgreSQL two administrators who demote each other at once would otherwise both succeed.
pub fn count_active_with_roles(db: &mut Db, roles: &[String]) -> Result<i64, StoreError> {
    if let Db::Postgres(connection) = db {
        diesel::sql_query("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").execute(connection)?;
    }
    let active =
        users::table.filter(users::state.eq(UserState::Active.as_str())).filter(users::role.eq_any(roles.to_vec()));
    Ok(active.count().get_result(db)?)
}
