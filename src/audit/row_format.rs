//! How each kind of row is written: its object in the API, its columns, its OCSF event.
//!
//! Which columns there are, and what stands in them, follows from what the columns of the tables are (`model::record::tables`).
//! The objects of the API are types of the contract, with a documentation of each member, and follow from nothing; a test holds
//! them and the columns to the same content.

use std::borrow::Cow;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::attempt::Attempt;
use crate::model::audit::RecordedEvent;
use crate::model::client::{ClientId, LoginClient};
use crate::model::record::tables::{self, ATTEMPTS as ATTEMPT_TABLE, AUDIT_EVENTS, SESSIONS as SESSION_TABLE};
use crate::model::record::{Column, Table, Value};
use crate::model::session::Session;
use crate::view::{self, AttemptObject, EventObject, SessionObject, ocsf};

/// How the rows of one list are written in each format, as of a moment.
pub(super) struct RowFormat<Row> {
    /// Adds the object of the API.
    pub object: fn(&Row, DateTime<Utc>, &mut Vec<u8>),
    /// The names of the columns.
    pub columns: fn() -> &'static [&'static str],
    /// The cells under them.
    pub cells: fn(&Row, DateTime<Utc>) -> Vec<String>,
    /// Adds the OCSF event.
    pub ocsf: fn(&Row, DateTime<Utc>, &mut Vec<u8>),
}

pub(super) const SESSIONS: RowFormat<Session> = RowFormat {
    object: |session, now, to| json(&SessionObject::new(session, now), to),
    columns: || &SESSION_COLUMNS.header,
    cells: session_cells,
    ocsf: |session, now, to| json(&ocsf::session(session, now), to),
};

pub(super) const ATTEMPTS: RowFormat<Attempt> = RowFormat {
    object: |attempt, _, to| json(&AttemptObject::from(attempt), to),
    columns: || &ATTEMPT_COLUMNS.header,
    cells: |attempt, _| {
        ATTEMPT_COLUMNS.row(|cells| {
            tables::attempt(attempt, &mut |column, value| cells.add(column, value));
            cells.set_client(&attempt.client);
        })
    },
    ocsf: |attempt, _, to| json(&ocsf::attempt(attempt), to),
};

pub(super) const EVENTS: RowFormat<RecordedEvent> = RowFormat {
    object: |event, _, to| json(&EventObject::from(event), to),
    columns: || &EVENT_COLUMNS.header,
    cells: |event, _| EVENT_COLUMNS.row(|cells| tables::event(event, &mut |column, value| cells.add(column, value))),
    ocsf: |event, _, to| json(&ocsf::event(event), to),
};

fn json(object: &impl Serialize, to: &mut Vec<u8>) {
    serde_json::to_writer(to, object).expect("objects of the contract are JSON, memory takes them");
}

static ATTEMPT_COLUMNS: LazyLock<CsvColumns> =
    LazyLock::new(|| CsvColumns::of(&ATTEMPT_TABLE, ATTEMPT_HEADER.split(',').collect()));
static EVENT_COLUMNS: LazyLock<CsvColumns> = LazyLock::new(|| CsvColumns::of(&AUDIT_EVENTS, Vec::new()));
static SESSION_COLUMNS: LazyLock<CsvColumns> =
    LazyLock::new(|| CsvColumns::of(&SESSION_TABLE, SESSION_HEADER.split(',').collect()));

/// What follows from the time as well, and is in no table.
const STATE: &str = "state";
/// In the table both are one column, beside whether the client authenticated.
const CLIENT_ID: &str = "client_id";
const CLAIMED_CLIENT_ID: &str = "claimed_client_id";

/// Of the access token: empty where none was issued, since a cookie continues the session.
const OF_TOKEN: [&str; 4] = ["jti", "token_issued_at", "token_expires_at", "refreshes"];

/// The header that readers of attempts know.
const ATTEMPT_HEADER: &str =
    "id,at,username,user_id,outcome,ip,user_agent,client_id,session_id,request_id,claimed_client_id";

/// The header that readers of sessions know; whatever is exported besides comes after these.
const SESSION_HEADER: &str = "id,user_id,username,role,state,started_at,last_seen_at,expires_at,idle_expires_at,ended_at,\
    end_reason,ended_by_kind,ended_by_id,note,ip,last_ip,user_agent,browser,os,device_kind,device_name,client_id,amr,jti,\
    token_issued_at,token_expires_at,refreshes,claimed_client_id,name";

/// A session as it stands at `now`: its time may have come before anybody recorded its end.
fn session_cells(session: &Session, now: DateTime<Utc>) -> Vec<String> {
    let session = match session.expired(now).filter(|_| session.end.is_none()) {
        Some(end) => Cow::Owned(Session { end: Some(end), ..session.clone() }),
        None => Cow::Borrowed(session),
    };
    SESSION_COLUMNS.row(|cells| {
        tables::session_start(&session, &mut |column, value| cells.add(column, value));
        tables::session_end(&session, &mut |column, value| cells.add(column, value));
        cells.set(STATE, session.state(now).as_str());
        cells.set_client(&session.client);
        if session.issued_token().is_none() {
            for name in OF_TOKEN {
                cells.set(name, "");
            }
        }
    })
}

/// The columns of a sheet.
struct CsvColumns {
    header: Vec<&'static str>,
    /// Where each column of the table that is exported stands, in the order of the table.
    places: Vec<usize>,
}

/// A row of a sheet that is being filled.
struct Cells<'a> {
    header: &'a [&'static str],
    places: std::slice::Iter<'a, usize>,
    texts: Vec<String>,
}

impl CsvColumns {
    /// What is exported of a table: these first.
    fn of(table: &Table, first: Vec<&'static str>) -> Self {
        let exported: Vec<&str> = table.covered().filter_map(|column| column.exported_as).collect();
        let others: Vec<&str> = exported.iter().copied().filter(|name| !first.contains(name)).collect();
        let header = [first, others].concat();
        let places = exported.iter().filter_map(|name| header.iter().position(|column| column == name)).collect();
        Self { header, places }
    }

    fn row(&self, fill: impl FnOnce(&mut Cells<'_>)) -> Vec<String> {
        let texts = vec![String::new(); self.header.len()];
        let mut cells = Cells { header: &self.header, places: self.places.iter(), texts };
        fill(&mut cells);
        cells.texts
    }
}

impl Cells<'_> {
    /// Fills the cell of the next column of the table.
    fn add(&mut self, column: &Column, value: Value<'_>) {
        if column.exported_as.is_some()
            && let Some(place) = self.places.next()
        {
            self.texts[*place] = text(column, value);
        }
    }

    /// Fills the cells of the client, apart where it was only named.
    fn set_client(&mut self, client: &LoginClient) {
        let text = |id: Option<&ClientId>| id.map(ToString::to_string).unwrap_or_default();
        self.set(CLIENT_ID, &text(client.authenticated()));
        self.set(CLAIMED_CLIENT_ID, &text(client.claimed()));
    }

    /// Fills a cell by the name of its column.
    fn set(&mut self, name: &str, text: &str) {
        if let Some(place) = self.header.iter().position(|column| *column == name) {
            text.clone_into(&mut self.texts[place]);
        }
    }
}

/// What a cell says: times as in the API.
fn text(column: &Column, value: Value<'_>) -> String {
    match value {
        Value::Text(text) | Value::Address(_, text) => text.to_owned(),
        Value::Id(id) => id.to_string(),
        Value::Number(micros) if column.shape.is_time() => {
            DateTime::from_timestamp_micros(micros).map(|at| view::time(at).to_string()).unwrap_or_default()
        }
        Value::Number(number) => number.to_string(),
        Value::Missing | Value::Bytes(_) | Value::Impossible => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value as Json;

    use super::*;
    use crate::model::record::samples;
    use crate::model::session::{Device, End};

    /// The members of an object that say something, as texts, by their names; those of objects in it by both names.
    fn members(object: &[u8]) -> BTreeMap<String, String> {
        let mut members = BTreeMap::new();
        let Json::Object(object) = serde_json::from_slice(object).unwrap() else { panic!("no object") };
        for (name, value) in object {
            match value {
                Json::Object(inner) if name != "details" => {
                    members
                        .extend(inner.into_iter().map(|(inner, value)| (format!("{name}_{inner}"), as_cell(&value))));
                }
                value => drop(members.insert(name, as_cell(&value))),
            }
        }
        members.retain(|_, text| !text.is_empty());
        members
    }

    fn as_cell(value: &Json) -> String {
        match value {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            Json::Array(words) => words.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" "),
            value => value.to_string(),
        }
    }

    /// The cells of a row that say something, by their columns.
    fn cells<Row>(shape: &RowFormat<Row>, row: &Row, now: DateTime<Utc>) -> BTreeMap<String, String> {
        let columns = (shape.columns)().iter().map(|column| (*column).to_owned());
        columns.zip((shape.cells)(row, now)).filter(|(_, text)| !text.is_empty()).collect()
    }

    /// A column is named as the member of the API, or as it and the object that it is in.
    fn say_the_same<Row>(shape: &RowFormat<Row>, row: &Row, now: DateTime<Utc>) {
        let mut object = Vec::new();
        (shape.object)(row, now, &mut object);
        let mut members = members(&object);
        let count = members.len();
        for (column, text) in cells(shape, row, now) {
            let member = [column.as_str(), "user", "device", "token"].into_iter().find_map(|outer| {
                let name = if outer == column { column.clone() } else { format!("{outer}_{column}") };
                (members.get(&name) == Some(&text)).then_some(name)
            });
            let member = member.unwrap_or_else(|| panic!("no member says {column}: {text}"));
            members.remove(&member);
        }
        assert!(count > 0 && members.is_empty(), "no column says {members:?}");
    }

    #[test]
    fn a_sheet_says_what_the_objects_of_the_api_say() {
        let now = samples::at(0);
        say_the_same(&ATTEMPTS, &samples::attempt(), now);
        let claimed = LoginClient::Claimed(ClientId::parse("erp").unwrap());
        say_the_same(&ATTEMPTS, &Attempt { client: claimed.clone(), ..samples::attempt() }, now);
        say_the_same(&SESSIONS, &Session { client: claimed, ..samples::session() }, now);
        say_the_same(&EVENTS, &samples::event(), now);
        let session = samples::session();
        let device = Device { browser: Some("B".to_owned()), os: Some("O".to_owned()), kind: Some("K".to_owned()) };
        let end = session.end.clone().map(|end| End { note: Some("N".to_owned()), ..end });
        let full = Session { device, end, ..session.clone() };
        say_the_same(&SESSIONS, &full, now);
        let lives = Session { end: None, ..full };
        say_the_same(&SESSIONS, &lives, samples::at(-1));
        // Its time has come, and nobody has recorded it.
        say_the_same(&SESSIONS, &lives, samples::at(1_000_000));
    }

    #[test]
    fn the_columns_of_sheets_are_what_readers_know() {
        assert_eq!((SESSIONS.columns)().join(","), SESSION_HEADER);
        assert_eq!((ATTEMPTS.columns)().join(","), ATTEMPT_HEADER);
        let events =
            "seq,at,kind,outcome,reason,actor_kind,actor_id,subject_kind,subject_id,session_id,ip,request_id,details";
        assert_eq!((EVENTS.columns)().join(","), events);
    }
}
