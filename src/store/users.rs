//! Queries on `users`.

use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::columns::{At, Id, parsed};
use super::error::StoreError;
use super::keyset::Page;
use super::schema::users;
use super::sessions::UserStanding;
use crate::model::id::UserId;
use crate::model::user::{Email, PasswordHash, Role, User, UserState, Username};
use chrono::{DateTime, Utc};

#[derive(Queryable, Insertable)]
#[diesel(table_name = users)]
struct Row {
    id: Id,
    username: String,
    username_folded: String,
    role: String,
    state: String,
    password_hash: Option<String>,
    password_scheme: Option<String>,
    created_at: At,
    password_changed_at: Option<At>,
    email: Option<String>,
}

impl Row {
    fn new(user: &User, scheme: Option<&str>) -> Self {
        Self {
            id: Id(user.id.0),
            username: user.username.as_str().to_owned(),
            username_folded: user.username.folded(),
            role: user.role.as_str().to_owned(),
            state: user.state.as_str().to_owned(),
            password_hash: user.password_hash.as_ref().map(|hash| hash.0.clone()),
            password_scheme: scheme.map(str::to_owned),
            created_at: At(user.created_at),
            password_changed_at: user.password_changed_at.map(At),
            email: user.email.as_ref().map(|email| email.as_str().to_owned()),
        }
    }

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
    users::table.find(Id(id.0)).first::<Row>(db).optional()?.map(Row::into_user).transpose()
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
    users::table.filter(users::username_folded.eq(folded)).first::<Row>(db).optional()?.map(Row::into_user).transpose()
}

/// The user with this id, held against changes by others until the end of the transaction (SQLite has one writer anyway).
pub fn lock(db: &mut Db, id: UserId) -> Result<Option<User>, StoreError> {
    match db {
        Db::Postgres(connection) => users::table
            .find(Id(id.0))
            .for_update()
            .first::<Row>(connection)
            .optional()?
            .map(Row::into_user)
            .transpose(),
        Db::Sqlite(_) => find(db, id),
    }
}

/// Users by folded name, those after `after`.
pub fn list(db: &mut Db, filter: &UserFilter, after: Option<&str>, limit: i64) -> Result<Page<User>, StoreError> {
    let mut query = users::table.into_boxed::<MultiBackend>();
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

/// Adds a user; `scheme` names the kind and cost of the password's stored form. A taken name or id is a
/// [`StoreError::Conflict`].
pub fn insert(db: &mut Db, user: &User, scheme: Option<&str>) -> Result<(), StoreError> {
    diesel::insert_into(users::table).values(Row::new(user, scheme)).execute(db)?;
    Ok(())
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
    Ok(diesel::update(users::table.find(Id(id.0))).set(set).execute(db)? == 1)
}

/// Replaces the stored form of an unchanged password, unless it was changed meanwhile.
pub fn upgrade_password(
    db: &mut Db,
    id: UserId,
    from: &PasswordHash,
    to: &PasswordHash,
    scheme: &str,
) -> Result<bool, StoreError> {
    let unchanged = users::table.find(Id(id.0)).filter(users::password_hash.eq(Some(from.0.clone())));
    let set = (users::password_hash.eq(Some(to.0.clone())), users::password_scheme.eq(Some(scheme.to_owned())));
    Ok(diesel::update(unchanged).set(set).execute(db)? == 1)
}

/// The distinct schemes of all stored passwords.
pub fn password_schemes(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let schemes: Vec<Option<String>> = users::table.select(users::password_scheme).distinct().load(db)?;
    Ok(schemes.into_iter().flatten().collect())
}

/// Gives the user another name. A taken name is a [`StoreError::Conflict`].
pub fn set_username(db: &mut Db, id: UserId, username: &Username) -> Result<bool, StoreError> {
    let set = (users::username.eq(username.as_str()), users::username_folded.eq(username.folded()));
    Ok(diesel::update(users::table.find(Id(id.0))).set(set).execute(db)? == 1)
}

/// Gives the user another role.
pub fn set_role(db: &mut Db, id: UserId, role: &Role) -> Result<bool, StoreError> {
    Ok(diesel::update(users::table.find(Id(id.0))).set(users::role.eq(role.as_str())).execute(db)? == 1)
}

/// Gives the user another e-mail address, or none.
pub fn set_email(db: &mut Db, id: UserId, email: Option<&Email>) -> Result<bool, StoreError> {
    let set = users::email.eq(email.map(|email| email.as_str().to_owned()));
    Ok(diesel::update(users::table.find(Id(id.0))).set(set).execute(db)? == 1)
}

/// Makes the password log in no more: one that is set by a one-time token will.
pub fn void_password(db: &mut Db, id: UserId) -> Result<bool, StoreError> {
    let set = (users::password_hash.eq(None::<String>), users::password_scheme.eq(None::<String>));
    Ok(diesel::update(users::table.find(Id(id.0))).set(set).execute(db)? == 1)
}

/// Enables or disables the user.
pub fn set_state(db: &mut Db, id: UserId, state: UserState) -> Result<bool, StoreError> {
    Ok(diesel::update(users::table.find(Id(id.0))).set(users::state.eq(state.as_str())).execute(db)? == 1)
}

/// Deletes the user; sessions, attempts and events keep the id and the name at the time.
pub fn delete(db: &mut Db, id: UserId) -> Result<bool, StoreError> {
    Ok(diesel::delete(users::table.find(Id(id.0))).execute(db)? == 1)
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
