//! Exports of the history: CSV, NDJSON or OCSF, page by page in constant memory.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::History;
use super::shape::{ATTEMPTS, EVENTS, SESSIONS, Shape};
use super::sheet::{Dialect, Separator};
use crate::model::audit::{AuditContext, AuditEvent, Details, HistoryPart, Subject};
use crate::model::filter::{AttemptFilter, EventFilter, Filter as _, SessionFilter, Sort};
use crate::model::words::words;
use crate::store::{StoreError, attempts, audit, sessions};

/// Rows read at a time.
const PAGE: i64 = 500;

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

    /// Its format.
    #[must_use]
    pub const fn format(self) -> ExportFormat {
        self.format
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
pub struct Purpose(String);

/// The text says no purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a purpose has 1 to 200 characters in one line, and no white space at its ends")]
pub struct InvalidPurpose;

impl FromStr for Purpose {
    type Err = InvalidPurpose;

    fn from_str(text: &str) -> Result<Self, InvalidPurpose> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Purpose {
    type Error = InvalidPurpose;

    fn try_from(text: String) -> Result<Self, InvalidPurpose> {
        let fits =
            (1..=200).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(InvalidPurpose) }
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

/// What is exported.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Sessions, in this order.
    Sessions(Box<SessionFilter>, Sort),
    /// Attempts, newest first.
    Attempts(AttemptFilter),
    /// Events, newest first.
    Events(EventFilter),
}

/// An export under way: [`Export::next`] gives piece after piece.
#[derive(Debug)]
pub struct Export {
    history: History,
    selection: Selection,
    form: Form,
    now: DateTime<Utc>,
    context: AuditContext,
    place: Place,
}

/// How far an export has come.
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    AfterSession(sessions::Position),
    AfterAttempt(attempts::Position),
    AfterEvent(audit::Position),
    End,
}

impl History {
    /// Begins an export, and records that it was asked for: by whom, with which filter, what for, and how many rows match
    /// (ADM-06, PRV-05).
    pub async fn export(
        &self,
        selection: Selection,
        form: Form,
        purpose: Option<Purpose>,
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
        let context = context.clone();
        Ok(Export { history: self.clone(), selection, form, now, context, place: Place::Start })
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
    /// The next piece; `None` after the last. Whoever asked is looked at again for each: the export ends with their session.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let is_first = matches!(self.place, Place::Start);
        if matches!(self.place, Place::End) {
            return Ok(None);
        }
        self.history.sessions.ensure_allowed(&self.context).await?;
        let mut piece = Vec::new();
        match self.selection.clone() {
            Selection::Sessions(filter, sort) => self.next_sessions(*filter, sort, is_first, &mut piece).await?,
            Selection::Attempts(filter) => self.next_attempts(filter, is_first, &mut piece).await?,
            Selection::Events(filter) => self.next_events(filter, is_first, &mut piece).await?,
        }
        Ok(Some(piece))
    }

    async fn next_sessions(
        &mut self,
        filter: SessionFilter,
        sort: Sort,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let after = if let Place::AfterSession(position) = self.place { Some(position) } else { None };
        let page = self.history.session_page(filter, sort, after, PAGE).await?;
        self.write(&page.items, &SESSIONS, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::AfterSession(sessions::Position::of(last, sort)),
            _ => Place::End,
        };
        Ok(())
    }

    async fn next_attempts(
        &mut self,
        filter: AttemptFilter,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let after = if let Place::AfterAttempt(position) = self.place { Some(position) } else { None };
        let page = self.history.attempt_page(filter, after, PAGE).await?;
        self.write(&page.items, &ATTEMPTS, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::AfterAttempt(attempts::Position { at: last.at, id: last.id }),
            _ => Place::End,
        };
        Ok(())
    }

    async fn next_events(
        &mut self,
        filter: EventFilter,
        is_first: bool,
        piece: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let after = if let Place::AfterEvent(position) = self.place { Some(position) } else { None };
        let page = self.history.event_page(filter, after, PAGE).await?;
        self.write(&page.items, &EVENTS, is_first, piece);
        self.place = match page.items.last() {
            Some(last) if page.has_more => Place::AfterEvent(audit::Position::of(last)),
            _ => Place::End,
        };
        Ok(())
    }

    fn write<Row>(&self, rows: &[Row], shape: &Shape<Row>, is_first: bool, piece: &mut Vec<u8>) {
        match self.form.format {
            ExportFormat::Ndjson => self.write_lines(rows, shape.object, piece),
            ExportFormat::Ocsf => self.write_lines(rows, shape.ocsf, piece),
            ExportFormat::Csv => piece.extend_from_slice(self.sheet(rows, shape, is_first).as_bytes()),
        }
    }

    fn sheet<Row>(&self, rows: &[Row], shape: &Shape<Row>, is_first: bool) -> String {
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
