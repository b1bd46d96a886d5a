//! Queries on `users`.

use std::collections::HashSet;

use diesel::deserialize;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::backend::{Db, MultiBackend};
use super::columns::{At, Id, parsed};
use super::devices;
use super::error::StoreError;
use super::keyset::Page;
use super::rows::{Insert, PER_STATEMENT};
use super::schema::users;
use super::versioned_rows::{self, VersionedRow};
use crate::model::filter::{Text, UserFilter};
use crate::model::folding::{fold, forms};
use crate::model::id::UserId;
use crate::model::record::RecordKind;
use crate::model::user::{Email, PasswordHash, Role, User, UserState, UserStatus, Username};
use chrono::{DateTime, Utc};

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
    must_change_password_since: Option<At>,
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
                must_change_password_since: self.must_change_password_since.map(|at| at.0),
                email: self.email.map(|email| Email::parse(&email)).transpose()?,
            })
        };
        read().map_err(|error| StoreError::Corrupt(format!("users: {error}")))
    }
}

/// The user with this id.
pub fn find(db: &mut Db, id: UserId) -> Result<Option<User>, StoreError> {
    users::table.find(Id(id.0)).select(Row::as_select()).first(db).optional()?.map(Row::into_user).transpose()
}

/// What the check needs of the user with this id.
pub fn status(db: &mut Db, id: UserId) -> Result<Option<UserStatus>, StoreError> {
    let columns = (users::username, users::role, users::state, users::must_change_password_since);
    let found: Option<(String, String, String, Option<At>)> =
        users::table.find(Id(id.0)).select(columns).first(db).optional()?;
    let Some((username, role, state, must_change_since)) = found else { return Ok(None) };
    let read = || -> deserialize::Result<UserStatus> {
        Ok(UserStatus {
            username: Username::parse(&username)?,
            role: Role::parse(&role)?,
            state: parsed(&state)?,
            must_change_password: must_change_since.is_some(),
        })
    };
    read().map(Some).map_err(|error| StoreError::Corrupt(format!("users {id}: {error}")))
}

/// The user with this name; case does not matter. Of several, who were told apart by how names were compared before, it is the
/// one who has it exactly. A name that holds a NUL is nobody's, and PostgreSQL could not even be asked for it.
pub fn find_by_name(db: &mut Db, name: &str) -> Result<Option<User>, StoreError> {
    let mut named = having_name(db, name)?;
    if named.len() > 1 {
        let exact = Username::parse(name).ok();
        named.retain(|user| Some(&user.username) == exact.as_ref());
    }
    Ok(named.pop())
}

/// All users with this name, as names are compared today and as they were.
pub fn having_name(db: &mut Db, name: &str) -> Result<Vec<User>, StoreError> {
    if name.contains('\0') {
        return Ok(Vec::new());
    }
    let named = users::table.filter(users::username_folded.eq_any(forms(name))).select(Row::as_select());
    let rows: Vec<Row> = named.load(db)?;
    rows.into_iter().map(Row::into_user).collect()
}

/// Writes the form of names in which they are compared today, where they have another; returns those whose form is taken: they
/// are found by their exact name.
pub fn refold_usernames(db: &mut Db) -> Result<Vec<Username>, StoreError> {
    let mut colliding = Vec::new();
    for (id, name) in case_folded_otherwise(db)? {
        let form = fold(&name);
        if taken_names(db, vec![form.clone()])?.is_empty() {
            diesel::update(users::table.find(id)).set(users::username_folded.eq(form)).execute(db)?;
        } else {
            colliding.extend(Username::parse(&name));
        }
    }
    Ok(colliding)
}

/// The names that are found only as they are, because another's is the same but for its case.
pub fn colliding_names(db: &mut Db) -> Result<Vec<String>, StoreError> {
    Ok(case_folded_otherwise(db)?.into_iter().map(|(_, name)| name).collect())
}

/// Names that are found under another form than that of today, the oldest user's first. Those in ASCII never are.
fn case_folded_otherwise(db: &mut Db) -> Result<Vec<(Id, String)>, StoreError> {
    let is_more_than_ascii = diesel::dsl::sql::<Bool>("octet_length(username) <> length(username)");
    let names: Vec<(Id, String, String)> = users::table
        .filter(is_more_than_ascii)
        .select((users::id, users::username, users::username_folded))
        .order((users::created_at.asc(), users::id.asc()))
        .load(db)?;
    let otherwise = names.into_iter().filter(|(_, name, folded)| fold(name) != *folded);
    Ok(otherwise.map(|(id, name, _)| (id, name)).collect())
}

/// The form under which the name of this user is found.
pub fn kept_form(db: &mut Db, id: UserId) -> Result<Option<String>, StoreError> {
    Ok(users::table.find(Id(id.0)).select(users::username_folded).first(db).optional()?)
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

/// The place of a user in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The name as it is compared.
    pub folded: String,
    /// The user, who may be found under a form of the name from before.
    pub id: UserId,
}

impl Position {
    /// The place of this user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self { folded: user.username.folded(), id: user.id }
    }
}

/// Users by folded name, those after `after`.
pub fn list(
    db: &mut Db,
    filter: &UserFilter,
    after: Option<&Position>,
    limit: i64,
) -> Result<Page<User, Position>, StoreError> {
    let mut query = users::table.select(Row::as_select()).into_boxed::<MultiBackend>();
    if let Some(Text(role)) = &filter.role {
        query = query.filter(users::role.eq(role.clone()));
    }
    if let Some(state) = filter.state {
        query = query.filter(users::state.eq(state.as_str()));
    }
    if let Some(Text(part)) = &filter.name {
        query = query.filter(users::username_folded.like(super::containing(&fold(part))).escape('\\'));
    }
    if let Some(Position { folded, id }) = after {
        let kept = kept_form(db, *id)?.unwrap_or_else(|| folded.clone());
        query = query.filter(users::username_folded.gt(kept));
    }
    let rows: Vec<Row> = query.order(users::username_folded.asc()).limit(limit + 1).load(db)?;
    let users = rows.into_iter().map(Row::into_user).collect::<Result<_, _>>()?;
    Ok(Page::cut(users, limit, Position::of))
}

/// A user to be added; `scheme` names the kind and cost of the password's stored form.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The user, with name, role and password hash.
    pub user: User,
    /// Missing without a password.
    pub scheme: Option<String>,
}

/// Adds a user. A taken name or id is a [`StoreError::Conflict`].
pub fn insert(db: &mut Db, user: &User, scheme: Option<&str>) -> Result<(), StoreError> {
    insert_all(db, &[NewUser { user: user.clone(), scheme: scheme.map(str::to_owned) }])
}

/// Adds many users.
pub fn insert_all(db: &mut Db, new: &[NewUser]) -> Result<(), StoreError> {
    // All of them before the first is added: what waits to be sealed is looked through for each.
    let rows: Vec<VersionedRow> = new.iter().map(|new| VersionedRow::User(new.user.id)).collect();
    let versions = versioned_rows::first_versions(db, &rows)?;
    let rows: Vec<(&NewUser, Option<i64>)> = new.iter().zip(versions).collect();
    for rows in rows.chunks(PER_STATEMENT) {
        insert_rows(db, rows)?;
        let recorded =
            rows.iter().filter_map(|(new, version)| Some((new.user.id.to_string(), (*version)?, new.user.created_at)));
        versioned_rows::record_added(db, RecordKind::User, &recorded.collect::<Vec<_>>())?;
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
        .column(users::must_change_password_since, |(new, _)| new.user.must_change_password_since.map(At))
        .column(users::email, |(new, _)| new.user.email.as_ref().map(Email::as_str))
        .column(users::version, |(_, version)| version.unwrap_or(0))
        .column(users::salt, |_| Some(versioned_rows::salt().to_vec()))
        .execute(db)
}

/// Changes a user at `at`; false where there is none such.
fn change(
    db: &mut Db,
    id: UserId,
    at: DateTime<Utc>,
    update: impl FnOnce(&mut Db) -> QueryResult<usize>,
) -> Result<bool, StoreError> {
    versioned_rows::change(db, &VersionedRow::User(id), at, |db| Ok(update(db)? == 1))
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
        users::must_change_password_since.eq(None::<At>),
    );
    // What made a device known may be in the hands of who knew the password before.
    devices::remove_of_user(db, id)?;
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
    let is_changed = change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))?;
    // Whose name was the same has it alone now.
    refold_usernames(db)?;
    Ok(is_changed)
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

/// Makes the password log in no more: one that is set by a one-time token will. Until then the sessions of one that somebody else
/// chose are good for no more than before.
pub fn void_password(db: &mut Db, id: UserId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = (users::password_hash.eq(None::<String>), users::password_scheme.eq(None::<String>));
    devices::remove_of_user(db, id)?;
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Enables or disables the user.
pub fn set_state(db: &mut Db, id: UserId, state: UserState, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = users::state.eq(state.as_str());
    change(db, id, at, |db| diesel::update(users::table.find(Id(id.0))).set(set).execute(db))
}

/// Deletes the user; sessions, attempts and events keep the id and the name at the time.
pub fn delete(db: &mut Db, id: UserId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let is_deleted = change(db, id, at, |db| diesel::delete(users::table.find(Id(id.0))).execute(db))?;
    refold_usernames(db)?;
    Ok(is_deleted)
}

/// Whether there is any user.
pub fn any(db: &mut Db) -> Result<bool, StoreError> {
    let one: Option<Id> = users::table.select(users::id).limit(1).first(db).optional()?;
    Ok(one.is_some())
}

/// How many active users have one of these roles. Until the end of the transaction no other can change that: on
/// PostgreSQL two administrators who demote each other at once would otherwise both succeed.
pub fn count_active_with_roles(db: &mut Db, roles: &[Role]) -> Result<i64, StoreError> {
    if let Db::Postgres(connection) = db {
        diesel::sql_query("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE").execute(connection)?;
    }
    let roles: Vec<&str> = roles.iter().map(Role::as_str).collect();
    let active = users::table.filter(users::state.eq(UserState::Active.as_str())).filter(users::role.eq_any(roles));
    Ok(active.count().get_result(db)?)
}
