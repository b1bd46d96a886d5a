//! Imports users from CSV or NDJSON: hashes are taken as they are, each refused line is named with its reason, and either
//! all users are imported or none.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

use super::{UserError, Users, create};
use crate::credential::scheme::Scheme;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject};
use crate::model::id::UserId;
use crate::model::user::{Email, PasswordHash, Role, User, UserState, Username};
use crate::store::{Db, StoreError, audit, users};

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header line naming the columns, then one user a line (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// A line that was refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedLine {
    /// Its number; the first line of the file is 1.
    pub line: u64,
    /// Why.
    pub reason: String,
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

/// One line, as written. An unknown member is refused, so that a typo is not silently ignored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<String>,
    username: String,
    role: String,
    #[serde(default)]
    password_hash: Option<String>,
    #[serde(default)]
    disabled: Option<Flag>,
    #[serde(default)]
    email: Option<String>,
}

/// A flag, as JSON or as text in CSV.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Flag {
    Json(bool),
    Text(String),
}

/// Users read from a file, each with its line.
pub type Lines = Vec<(u64, User)>;

impl Users {
    /// Imports every user of the file, or none. `progress` is told how many lines are done.
    pub async fn import(
        &self,
        lines: Lines,
        dry_run: bool,
        cause: &Cause,
        progress: impl Fn(usize) + Send + 'static,
    ) -> Result<Imported, ImportError> {
        let (asked_by, cause, users) = (cause, cause.clone(), lines.len());
        let outcome = self
            .store()
            .write_at_length(move |db| {
                let refused = insert_all(db, &lines, &cause, progress)?;
                match (refused.is_empty(), dry_run) {
                    (false, _) => Err(Stop::Refused(refused)),
                    // An error is what undoes a transaction.
                    (true, true) => Err(Stop::Tried),
                    (true, false) => Ok(()),
                }
            })
            .await;
        match outcome {
            Ok(()) => self.refresh_schemes().await?,
            Err(Stop::Tried) => {}
            Err(Stop::Refused(refused)) => {
                self.refuse_import(&refused, asked_by);
                return Err(ImportError::Refused(refused));
            }
            Err(Stop::Store(error)) => return Err(error.into()),
        }
        Ok(Imported { users, dry_run })
    }

    /// Notes for the record that lines of a file were refused.
    pub fn refuse_import(&self, refused: &[RefusedLine], cause: &Cause) {
        let event = AuditEvent::new(self.now(), AuditKind::OperationRefused, cause, Subject::everybody());
        let details = json!({ "operation": AuditKind::UserImported, "lines": refused.len() });
        self.inner.sessions.refuse(event.because(Reason::RefusedLines).with(details));
    }
}

/// Why the transaction of an import is undone.
enum Stop {
    Tried,
    Refused(Vec<RefusedLine>),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Looks before it inserts: on PostgreSQL a conflict would end the transaction at the first fault.
fn insert_all(
    db: &mut Db,
    lines: &Lines,
    cause: &Cause,
    progress: impl Fn(usize),
) -> Result<Vec<RefusedLine>, StoreError> {
    let (mut refused, mut accepted) = (Vec::new(), Vec::new());
    for (done, (line, user)) in lines.iter().enumerate() {
        let reason = if users::find_by_name(db, &user.username.folded())?.is_some() {
            Some("a user of this name exists")
        } else if users::find(db, user.id)?.is_some() {
            Some("a user with this id exists")
        } else if !audit::erasures_of(db, user.id)?.is_empty() {
            // What is left of that person stands under the id, and is not this one's.
            Some(
                "somebody with this id was erased, and the history still holds the id: leave the id out, or choose another",
            )
        } else {
            None
        };
        match reason {
            Some(reason) => refused.push(RefusedLine { line: *line, reason: reason.to_owned() }),
            None => accepted.push(user),
        }
        progress(done + 1);
    }
    if refused.is_empty() {
        create::insert_all(db, &accepted, AuditKind::UserImported, cause)?;
    }
    Ok(refused)
}

/// Reads a file of users. Every faulty line is reported, also names and ids that stand in it twice.
pub fn read(source: impl Read, format: Format, now: DateTime<Utc>) -> Result<Lines, ImportError> {
    let parsed = match format {
        Format::Csv => read_csv(source),
        Format::Ndjson => read_ndjson(source)?,
    };
    let mut lines = Vec::new();
    let mut refused = Vec::new();
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (number, line) in parsed {
        match line.and_then(|line| to_user(line, now)) {
            Err(reason) => refused.push(RefusedLine { line: number, reason }),
            Ok(user) => {
                let keys = [format!("name {}", user.username.folded()), format!("id {}", user.id)];
                let earlier = keys.iter().find_map(|key| seen.get(key).copied());
                if let Some(earlier) = earlier {
                    refused.push(RefusedLine {
                        line: number,
                        reason: format!("the same name or id stands in line {earlier}"),
                    });
                    continue;
                }
                seen.extend(keys.map(|key| (key, number)));
                lines.push((number, user));
            }
        }
    }
    if refused.is_empty() { Ok(lines) } else { Err(ImportError::Refused(refused)) }
}

type Parsed = Vec<(u64, Result<Line, String>)>;

fn read_csv(source: impl Read) -> Parsed {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(source);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return vec![(1, Err(csv_reason(&error)))],
    };
    let mut parsed = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let number = record.position().map_or(0, csv::Position::line);
                parsed.push((number, record.deserialize(Some(&headers)).map_err(|error| csv_reason(&error))));
            }
            Err(error) => {
                let number = error.position().map_or(0, csv::Position::line);
                parsed.push((number, Err(csv_reason(&error))));
            }
        }
    }
    parsed
}

/// The reason without the content of the line: it may hold a hash.
fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} columns instead of {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => "not CSV".to_owned(),
    }
}

fn read_ndjson(source: impl Read) -> Result<Parsed, std::io::Error> {
    let mut parsed = Vec::new();
    for (index, line) in BufReader::new(source).split(b'\n').enumerate() {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        parsed.push((number, serde_json::from_slice(&line).map_err(|error| error.to_string())));
    }
    Ok(parsed)
}

fn to_user(line: Line, now: DateTime<Utc>) -> Result<User, String> {
    let id = match line.id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => id.parse().map_err(|_| "id is not a UUID".to_owned())?,
        None => UserId::new(now),
    };
    let username = Username::parse(&line.username).map_err(|error| format!("username: {error}"))?;
    let role = Role::parse(&line.role).map_err(|error| format!("role: {error}"))?;
    let password_hash = line.password_hash.filter(|hash| !hash.is_empty()).map(PasswordHash);
    if let Some(hash) = &password_hash {
        Scheme::of(hash).map_err(|error| format!("password_hash: {error}"))?;
    }
    let state = if is_disabled(line.disabled)? { UserState::Disabled } else { UserState::Active };
    let email = line.email.filter(|email| !email.is_empty()).map(|email| Email::parse(&email)).transpose();
    let email = email.map_err(|error| format!("email: {error}"))?;
    Ok(User { id, username, role, state, password_hash, created_at: now, password_changed_at: None, email })
}

fn is_disabled(flag: Option<Flag>) -> Result<bool, String> {
    match flag {
        None => Ok(false),
        Some(Flag::Json(disabled)) => Ok(disabled),
        Some(Flag::Text(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "" | "false" | "0" | "no" => Ok(false),
            "true" | "1" | "yes" => Ok(true),
            _ => Err("disabled is neither true nor false".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn refused(text: &str, format: Format) -> Vec<u64> {
        match read(text.as_bytes(), format, now()) {
            Err(ImportError::Refused(lines)) => lines.iter().map(|line| line.line).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_may_come_in_any_order_and_be_left_out() {
        let text = "role,username,disabled\nagent,Zoé,true\nadmin,bob,\n";
        let users = read(text.as_bytes(), Format::Csv, now()).unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!((users[0].0, users[0].1.state), (2, UserState::Disabled));
        assert_eq!((users[1].0, users[1].1.state), (3, UserState::Active));
    }

    #[test]
    fn every_faulty_line_is_named() {
        let text = "username,role,password_hash\nalice,agent,\nalice,agent,\n,agent,\nbob,agent,md5:123\ncarol,agent\n";
        assert_eq!(refused(text, Format::Csv), [3, 4, 5, 6]);
        let text =
            "{\"username\":\"a\",\"role\":\"b\"}\n\n{\"username\":\"A\",\"role\":\"b\"}\n{\"name\":\"x\"}\nnonsense\n";
        assert_eq!(refused(text, Format::Ndjson), [3, 4, 5]);
    }

    #[test]
    fn an_unknown_column_is_refused_and_no_reason_repeats_a_hash() {
        let text = "username,role,pasword_hash\nalice,agent,$2b$10$secretsecretsecret\n";
        let Err(ImportError::Refused(lines)) = read(text.as_bytes(), Format::Csv, now()) else { panic!() };
        assert!(lines[0].reason.contains("pasword_hash") && !lines[0].reason.contains("secret"), "{lines:?}");
    }
}
