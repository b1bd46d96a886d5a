//! Exports of the history: CSV, NDJSON or OCSF, piece by piece in constant memory; of what matches a filter, and of what is one's
//! own.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::History;
use super::csv_dialect::{Dialect, Separator};
use super::own_data::OwnData;
use super::row_format::{ATTEMPTS, EVENTS, RowFormat, SESSIONS};
use crate::model::audit::{AuditContext, AuditEvent, Details, HistoryPart, Subject, SubjectKind};
use crate::model::filter::{AttemptFilter, EventFilter, Filter as _, SessionFilter, Sort};
use crate::model::id::UserId;
use crate::model::words::words;
use crate::store::{StoreError, attempts, audit, sessions};

words! {
    /// How an export is written.
    pub enum ExportFormat {
        /// RFC 4180, with a header line; no cell is a formula.
        Csv = "csv",
        /// One JSON object a line, as in the API.
        Ndjson = "ndjson",
        /// One event of the Open Cybersecurity Schema Framework a line (LOG-09).
        Ocsf = "ocsf",
    }
}

impl ExportFormat {
    /// The ending of a file's name.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Ocsf => "ocsf.ndjson",
        }
    }
}

/// A format, and how CSV is written in it.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    format: ExportFormat,
    dialect: Dialect,
}

impl Form {
    /// The form that was asked for; without a separator it is the comma.
    pub fn new(format: ExportFormat, separator: Option<Separator>, bom: bool) -> Result<Self, OnlyForCsv> {
        match format {
            ExportFormat::Csv => {}
            _ if separator.is_some() => return Err(OnlyForCsv("separator")),
            _ if bom => return Err(OnlyForCsv("bom")),
            _ => {}
        }
        Ok(Self { format, dialect: Dialect { separator: separator.unwrap_or_default(), bom } })
    }
}

impl From<ExportFormat> for Form {
    fn from(format: ExportFormat) -> Self {
        Self { format, dialect: Dialect::default() }
    }
}

/// What was said of a format that has no such thing: the name of the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}: only CSV has it")]
pub struct OnlyForCsv(pub &'static str);

/// What an export is for, as whoever asks for it says (PRV-05): 1 to 200 characters in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ExportPurpose(String);

/// The text says no purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a purpose has 1 to 200 characters in one line, and no white space at its ends")]
pub struct InvalidExportPurpose;

impl FromStr for ExportPurpose {
    type Err = InvalidExportPurpose;

    fn from_str(text: &str) -> Result<Self, InvalidExportPurpose> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for ExportPurpose {
    type Error = InvalidExportPurpose;

    fn try_from(text: String) -> Result<Self, InvalidExportPurpose> {
        let fits =
            (1..=200).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(InvalidExportPurpose) }
    }
}

/// Why an export did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It must be said what it is for.
    #[error("say what the export is for: [audit] purpose_required asks for that")]
    PurposeMissing,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which rows of the history are exported.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Sessions, in this order.
    Sessions(Box<SessionFilter>, Sort),
    /// Login attempts that match, newest first.
    Attempts(AttemptFilter),
    /// Audit events that match, newest first.
    Events(EventFilter),
}

/// An export under way: [`Export::next`] gives piece after piece.
#[derive(Debug)]
pub struct Export {
    history: History,
    form: Form,
    now: DateTime<Utc>,
    context: AuditContext,
    left: Remaining,
}

/// What is left to be written: with a place, what comes after it.
#[derive(Debug)]
enum Remaining {
    Sessions(Box<SessionFilter>, Sort, Option<sessions::Position>),
    Attempts(AttemptFilter, Option<attempts::Position>),
    Events(EventFilter, Option<audit::Position>),
    Own(OwnData),
    Nothing,
}

impl From<Selection> for Remaining {
    fn from(selection: Selection) -> Self {
        match selection {
            Selection::Sessions(filter, sort) => Self::Sessions(filter, sort, None),
            Selection::Attempts(filter) => Self::Attempts(filter, None),
            Selection::Events(filter) => Self::Events(filter, None),
        }
    }
}

impl History {
    /// Begins an export, and records that it was asked for: by whom, with which filter, what for, and how many rows match
    /// (ADM-06, PRV-05).
    pub async fn export(
        &self,
        selection: Selection,
        form: Form,
        purpose: Option<ExportPurpose>,
        context: &AuditContext,
    ) -> Result<Export, ExportError> {
        if purpose.is_none() && self.purpose_required {
            return Err(ExportError::PurposeMissing);
        }
        self.sessions.record_expired().await?;
        let now = self.clock.now();
        let count = self.count(selection.clone(), now).await?;
        let (what, filter) = selection.asked();
        let (format, purpose) = (form.format.to_string(), purpose.map(|purpose| purpose.0));
        let details = Details::HistoryExported { what, filter, format, count, purpose };
        let event = AuditEvent::new(now, details, context, Subject::everybody());
        self.store.write::<_, StoreError>(move |db| audit::record(db, &event)).await?;
        Ok(Export { history: self.clone(), form, now, context: context.clone(), left: selection.into() })
    }

    /// Begins the export of what is kept about a user (PRV-04), and records it.
    pub async fn export_own(&self, user_id: UserId, context: &AuditContext) -> Result<Export, StoreError> {
        self.sessions.record_overdue_of(user_id).await?;
        let now = self.clock.now();
        let subject = Subject::new(SubjectKind::User, user_id);
        let event = AuditEvent::new(now, Details::OwnHistoryExported {}, context, subject);
        self.store.write(move |db| audit::record(db, &event)).await?;
        let (form, left) = (ExportFormat::Ndjson.into(), Remaining::Own(OwnData::new(self, user_id, now)));
        Ok(Export { history: self.clone(), form, now, context: context.clone(), left })
    }

    async fn count(&self, selection: Selection, now: DateTime<Utc>) -> Result<i64, StoreError> {
        let forms = self.attempt_names();
        let count = self.store.read(move |db| match &selection {
            Selection::Sessions(filter, _) => sessions::count(db, filter, now),
            Selection::Attempts(filter) => attempts::count(db, filter, &forms),
            Selection::Events(filter) => audit::count(db, filter),
        });
        count.await
    }
}

impl Selection {
    /// What was asked for, as the record keeps it.
    fn asked(&self) -> (HistoryPart, Value) {
        match self {
            Self::Sessions(filter, _) => (HistoryPart::Sessions, filter.to_value()),
            Self::Attempts(filter) => (HistoryPart::Attempts, filter.to_value()),
            Self::Events(filter) => (HistoryPart::Events, filter.to_value()),
        }
    }
}

impl Export {
    /// The format of the file.
    #[must_use]
    pub const fn format(&self) -> ExportFormat {
        self.form.format
    }

    /// The next piece; `None` after the last. Whoever asked is looked at again for each: the export ends with their session.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        if matches!(self.left, Remaining::Nothing) {
            return Ok(None);
        }
        self.history.sessions.ensure_allowed(&self.context).await?;
        let mut piece = Vec::new();
        self.left = match std::mem::replace(&mut self.left, Remaining::Nothing) {
            Remaining::Sessions(filter, sort, after) => {
                let page = self.history.session_page(SessionFilter::clone(&filter), sort, after).await?;
                self.write(&page.items, &SESSIONS, after.is_none(), &mut piece);
                page.next.map_or(Remaining::Nothing, |next| Remaining::Sessions(filter, sort, Some(next)))
            }
            Remaining::Attempts(filter, after) => {
                let page = self.history.attempt_page(filter.clone(), after).await?;
                self.write(&page.items, &ATTEMPTS, after.is_none(), &mut piece);
                page.next.map_or(Remaining::Nothing, |next| Remaining::Attempts(filter, Some(next)))
            }
            Remaining::Events(filter, after) => {
                let page = self.history.event_page(filter.clone(), after).await?;
                self.write(&page.items, &EVENTS, after.is_none(), &mut piece);
                page.next.map_or(Remaining::Nothing, |next| Remaining::Events(filter, Some(next)))
            }
            Remaining::Own(rows) => rows.write(&mut piece).await?.map_or(Remaining::Nothing, Remaining::Own),
            Remaining::Nothing => Remaining::Nothing,
        };
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn write<Row>(&self, rows: &[Row], shape: &RowFormat<Row>, is_first: bool, piece: &mut Vec<u8>) {
        match self.form.format {
            ExportFormat::Ndjson => self.write_lines(rows, shape.object, piece),
            ExportFormat::Ocsf => self.write_lines(rows, shape.ocsf, piece),
            ExportFormat::Csv => piece.extend_from_slice(self.sheet(rows, shape, is_first).as_bytes()),
        }
    }

    fn sheet<Row>(&self, rows: &[Row], shape: &RowFormat<Row>, is_first: bool) -> String {
        let mut sheet = String::new();
        let dialect = self.form.dialect;
        if is_first {
            dialect.begin((shape.columns)(), &mut sheet);
        }
        for row in rows {
            dialect.add_row(&(shape.cells)(row, self.now), &mut sheet);
        }
        sheet
    }

    fn write_lines<Row>(&self, rows: &[Row], json: fn(&Row, DateTime<Utc>, &mut Vec<u8>), piece: &mut Vec<u8>) {
        for row in rows {
            json(row, self.now, piece);
            piece.push(b'\n');
        }
    }
}
