//! Queries on `not_befores`: one row refuses every token issued earlier, however many there are.

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::advisory::{self, Lock};
use super::backend::{Db, Portable};
use super::columns::{At, parsed};
use super::error::StoreError;
use super::schema::not_befores;
use super::versioned_rows::{self, VersionedRow};
use crate::model::client::ClientId;
use crate::model::id::UserId;
use crate::model::not_before::{NotBefore, Scope};
use crate::model::session::Actor;

/// Lets no not-before be set until the transaction is over. Logins hold it, so that each comes before a not-before, which then
/// sees its session, or after it, and sees the not-before. SQLite has one writer at a time.
pub fn lock_shared(db: &mut Db) -> Result<(), StoreError> {
    advisory::lock_shared(db, Lock::NotBefores)
}

/// Waits until nobody holds them, and lets nobody until the transaction is over.
pub fn lock_exclusive(db: &mut Db) -> Result<(), StoreError> {
    advisory::lock_exclusive(db, Lock::NotBefores)
}

/// Sets a not-before; an earlier one than what is set changes nothing.
pub fn raise(
    db: &mut Db,
    scope: &Scope,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    by: &Actor,
    note: Option<&str>,
) -> Result<(), StoreError> {
    // The condition on an update belongs to this trait; for the whole file it would clash with `QueryDsl`.
    use diesel::query_dsl::methods::FilterDsl as _;
    let (word, subject) = scope.words();
    let row = (
        not_befores::scope.eq(word),
        not_befores::subject.eq(subject),
        not_befores::at.eq(At(at)),
        not_befores::set_at.eq(At(now)),
        not_befores::set_by_kind.eq(by.kind.as_str()),
        not_befores::set_by.eq(&by.id),
        not_befores::note.eq(note),
        not_befores::version.eq(0),
        not_befores::salt.eq(versioned_rows::salt().to_vec()),
    );
    let raised = diesel::insert_into(not_befores::table)
        .values(row)
        .on_conflict((not_befores::scope, not_befores::subject))
        .do_update()
        .set((
            not_befores::at.eq(excluded(not_befores::at)),
            not_befores::set_at.eq(excluded(not_befores::set_at)),
            not_befores::set_by_kind.eq(excluded(not_befores::set_by_kind)),
            not_befores::set_by.eq(excluded(not_befores::set_by)),
            not_befores::note.eq(excluded(not_befores::note)),
        ))
        .filter(not_befores::at.lt(excluded(not_befores::at)));
    versioned_rows::change(db, &VersionedRow::NotBefore(scope.clone()), now, |db| {
        Ok(Portable(raised).execute(db)? == 1)
    })?;
    Ok(())
}

/// The latest not-before that covers a user's session through a client: the highest of the user's, the client's and
/// everybody's counts, never just one of them.
pub fn newest_of(
    db: &mut Db,
    user_id: UserId,
    client_id: Option<&ClientId>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let of = |scope: &Scope| {
        let (word, subject) = scope.words();
        not_befores::scope.eq(word).and(not_befores::subject.eq(subject))
    };
    let user = of(&Scope::User(user_id));
    let everybody = of(&Scope::Everybody);
    let moments: Vec<At> = match client_id {
        Some(client) => not_befores::table
            .filter(user.or(everybody).or(of(&Scope::Client(client.clone()))))
            .select(not_befores::at)
            .load(db)?,
        None => not_befores::table.filter(user.or(everybody)).select(not_befores::at).load(db)?,
    };
    Ok(moments.into_iter().map(|at| at.0).max())
}

/// The not-before of exactly this scope.
pub fn of(db: &mut Db, scope: &Scope) -> Result<Option<DateTime<Utc>>, StoreError> {
    let (word, subject) = scope.words();
    let moment: Option<At> = not_befores::table
        .filter(not_befores::scope.eq(word).and(not_befores::subject.eq(subject)))
        .select(not_befores::at)
        .first(db)
        .optional()?;
    Ok(moment.map(|at| at.0))
}

/// Removes what was noted on a not-before.
pub fn remove_note(db: &mut Db, scope: &Scope, now: DateTime<Utc>) -> Result<(), StoreError> {
    let set = diesel::update(not_befores::table.find(scope.words())).set(not_befores::note.eq(None::<String>));
    versioned_rows::change(db, &VersionedRow::NotBefore(scope.clone()), now, |db| Ok(set.execute(db)? == 1))?;
    Ok(())
}

/// Every not-before that was set, of users, clients and everybody.
pub fn list(db: &mut Db) -> Result<Vec<NotBefore>, StoreError> {
    type Row = (String, String, At, At, String, String, Option<String>);
    let columns = (
        not_befores::scope,
        not_befores::subject,
        not_befores::at,
        not_befores::set_at,
        not_befores::set_by_kind,
        not_befores::set_by,
        not_befores::note,
    );
    let query = not_befores::table.order((not_befores::scope, not_befores::subject)).select(columns);
    let read = |(word, subject, at, set_at, by_kind, by, note): Row| -> deserialize::Result<NotBefore> {
        let set_by = Actor { kind: parsed(&by_kind)?, id: by };
        Ok(NotBefore { scope: Scope::of_words(&word, &subject)?, at: at.0, set_at: set_at.0, set_by, note })
    };
    let corrupt = |error| StoreError::Corrupt(format!("not_befores: {error}"));
    query.load::<Row>(db)?.into_iter().map(read).collect::<Result<_, _>>().map_err(corrupt)
}
