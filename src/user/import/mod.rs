//! Imports users from CSV or NDJSON: hashes are taken as they are, each refused line is named with its reason, and either
//! all users are imported or none.

mod lines;
mod ndjson;
mod quoting;
mod read;
mod row;
mod spreadsheet;

use std::collections::HashSet;

use super::{UserError, Users, create};
use crate::credential::throttle::ThrottleDigests;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject};
use crate::model::id::UserId;
use crate::model::user::User;
use crate::store::{Db, StoreError, audit, users};

pub use read::{Format, read};

/// Lines that are looked for in the store at a time.
const AT_ONCE: usize = 500;

const NAME_TAKEN: &str = "a user of this name exists";
const ID_TAKEN: &str = "a user with this id exists";
// What is left of that person stands under the id, and is not this one's.
const ERASED: &str =
    "somebody with this id was erased, and the history still holds the id: leave the id out, or choose another";

/// A line that was refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedLine {
    /// Its number; the first line of the file is 1.
    pub line: u64,
    /// Why it was refused, in words for whoever imports.
    pub reason: String,
}

impl RefusedLine {
    fn new(line: u64, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Imported {
    /// Users imported, or that would be.
    pub users: usize,
    /// Whether this was only a trial.
    pub dry_run: bool,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Some lines were refused.
    #[error("{} line(s) refused, nothing was imported", .0.len())]
    Refused(Vec<RefusedLine>),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The store cannot be asked, or somebody took a name meanwhile.
    #[error(transparent)]
    User(#[from] UserError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::User(error.into())
    }
}

/// Users read from a file, each with its line.
pub type Lines = Vec<(u64, User)>;

/// The same users, who must choose another password at their first login, where they have one.
#[must_use]
pub fn changed_at_login(mut lines: Lines) -> Lines {
    for (_, user) in &mut lines {
        user.must_change_password_since = user.password_hash.as_ref().map(|_| user.created_at);
    }
    lines
}

impl Users {
    /// Imports every user of the file, or none. `progress` is told how many lines are looked at.
    ///
    /// All that can stand against a line is looked for before, some lines at a time: so a trial writes nothing, and nobody
    /// waits for the lock of SQLite longer than the rows take to be added.
    pub async fn import(
        &self,
        lines: Lines,
        dry_run: bool,
        context: &AuditContext,
        progress: impl Fn(usize),
    ) -> Result<Imported, ImportError> {
        let users = lines.len();
        self.try_import(lines, dry_run, context, progress).await.inspect_err(|error| {
            if let ImportError::Refused(refused) = error {
                self.refuse_import(refused, context);
            }
        })?;
        Ok(Imported { users, dry_run })
    }

    async fn try_import(
        &self,
        lines: Lines,
        dry_run: bool,
        context: &AuditContext,
        progress: impl Fn(usize),
    ) -> Result<(), ImportError> {
        let mut refused = Vec::new();
        let wanted: Vec<Wanted> = lines.iter().map(Wanted::of).collect();
        for (batch, done) in wanted.chunks(AT_ONCE).zip((AT_ONCE..).step_by(AT_ONCE)) {
            let batch = batch.to_vec();
            refused.extend(self.store().read(move |db| stand_against(db, &batch)).await?);
            progress(done.min(wanted.len()));
        }
        if !refused.is_empty() {
            return Err(ImportError::Refused(refused));
        }
        if !dry_run {
            let (throttles, context) = (self.inner.throttles.clone(), context.clone());
            self.store().write_long(move |db| insert_all(db, &throttles, &lines, &wanted, &context)).await?;
            self.refresh_schemes().await?;
        }
        Ok(())
    }

    /// Notes for the record that lines of a file were refused.
    pub fn refuse_import(&self, refused: &[RefusedLine], context: &AuditContext) {
        let details = Details::OperationRefused { operation: AuditKind::UserImported, lines: Some(refused.len()) };
        let event = AuditEvent::new(self.now(), details, context, Subject::everybody());
        self.inner.refusals.note(event.because(Reason::RefusedLines));
    }
}

/// What a line takes that others may have taken.
#[derive(Clone)]
struct Wanted {
    line: u64,
    id: UserId,
    name: String,
}

impl Wanted {
    fn of((line, user): &(u64, User)) -> Self {
        Self { line: *line, id: user.id, name: user.username.folded() }
    }
}

/// What in the store stands against lines. On PostgreSQL a conflict would end a transaction at the first fault.
fn stand_against(db: &mut Db, wanted: &[Wanted]) -> Result<Vec<RefusedLine>, StoreError> {
    let ids: Vec<UserId> = wanted.iter().map(|wanted| wanted.id).collect();
    let names = users::taken_names(db, wanted.iter().map(|wanted| wanted.name.clone()).collect())?;
    let (taken, erased) = (users::taken_ids(db, &ids)?, audit::erased(db, &ids)?);
    let reason = |wanted: &Wanted| match wanted {
        Wanted { name, .. } if names.contains(name) => Some(NAME_TAKEN),
        Wanted { id, .. } if taken.contains(id) => Some(ID_TAKEN),
        Wanted { id, .. } if erased.contains(id) => Some(ERASED),
        _ => None,
    };
    Ok(wanted.iter().filter_map(|wanted| Some(RefusedLine::new(wanted.line, reason(wanted)?))).collect())
}

/// Adds all of them. A name or id that was taken meanwhile is a conflict, and undoes everything; an erasure is none, so that
/// is looked for once more.
fn insert_all(
    db: &mut Db,
    throttles: &ThrottleDigests,
    lines: &Lines,
    wanted: &[Wanted],
    context: &AuditContext,
) -> Result<(), ImportError> {
    let mut erased = HashSet::new();
    for batch in wanted.chunks(AT_ONCE) {
        erased.extend(audit::erased(db, &batch.iter().map(|wanted| wanted.id).collect::<Vec<_>>())?);
    }
    let refused = wanted.iter().filter(|wanted| erased.contains(&wanted.id));
    let refused: Vec<RefusedLine> = refused.map(|wanted| RefusedLine::new(wanted.line, ERASED)).collect();
    if !refused.is_empty() {
        return Err(ImportError::Refused(refused));
    }
    let users: Vec<&User> = lines.iter().map(|(_, user)| user).collect();
    let imported =
        |user: &User| Details::UserImported { username: user.username.as_str().to_owned(), role: user.role.clone() };
    Ok(create::insert_all(db, throttles, &users, imported, context)?)
}
