//! What the store holds, seen past the API: rows, events, and every byte of it.

use std::fmt::Write as _;

use diesel::sql_types::{Nullable, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection};
use vigie::model::attempt::Attempt;
use vigie::model::audit::{AuditKind, RecordedEvent};
use vigie::model::id::{SessionId, UserId};
use vigie::model::session::{EndReason, Session};
use vigie::model::user::User;
use vigie::store::attempts::{self, AttemptFilter};
use vigie::store::{StoreError, audit, sessions, users};

use super::app::TestApp;

impl TestApp {
    /// The row of a session.
    pub async fn session_row(&self, id: &str) -> Session {
        let id: SessionId = id.parse().expect("an id");
        let found = self.app.store.read(move |db| sessions::find(db, id)).await.expect("the store answers");
        found.expect("the session has a row")
    }

    /// How the session ended, if that is recorded.
    pub async fn end_reason(&self, id: &str) -> Option<EndReason> {
        self.session_row(id).await.end.map(|end| end.reason)
    }

    /// The row of a user.
    pub async fn user_row(&self, id: UserId) -> User {
        let found = self.app.store.read(move |db| users::find(db, id)).await.expect("the store answers");
        found.expect("the user has a row")
    }

    /// Every attempt, newest first.
    pub async fn attempts(&self) -> Vec<Attempt> {
        let list = |db: &mut _| attempts::list(db, &AttemptFilter::default(), None, 1000);
        self.app.store.read(list).await.expect("the store answers").items
    }

    /// Every audit event, oldest first.
    pub async fn events(&self) -> Vec<RecordedEvent> {
        self.app.store.read(|db| audit::following(db, 0, 10_000)).await.expect("the store answers")
    }

    /// The events of one kind about one session.
    pub async fn events_of(&self, kind: AuditKind, session_id: &str) -> Vec<RecordedEvent> {
        let is_one = |event: &RecordedEvent| {
            event.event.kind == kind && event.event.session_id.is_some_and(|id| id.to_string() == session_id)
        };
        self.events().await.into_iter().filter(is_one).collect()
    }

    /// How many session rows there are.
    pub async fn session_rows(&self) -> i64 {
        let now = self.now();
        let count = move |db: &mut _| sessions::count(db, &sessions::SessionFilter::default(), now);
        self.app.store.read::<i64, StoreError>(count).await.expect("the store answers")
    }

    /// The text of every row of every table.
    pub fn dump(&self) -> String {
        match self.database.url.strip_prefix("sqlite:") {
            Some(path) => dump_sqlite(path),
            None => dump_postgres(&self.database.url),
        }
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Nullable<Text>)]
    line: Option<String>,
}

fn dump_sqlite(path: &str) -> String {
    let mut connection = SqliteConnection::establish(path).expect("the file opens");
    let mut lines = |query: &str| -> Vec<String> {
        let rows: Vec<Line> = diesel::sql_query(query).load(&mut connection).expect("the file is read");
        rows.into_iter().filter_map(|row| row.line).collect()
    };
    let mut text = String::new();
    for table in lines("SELECT name AS line FROM sqlite_schema WHERE type = 'table'") {
        let columns = lines(&format!("SELECT name AS line FROM pragma_table_info('{table}')"));
        let shown = columns.iter().map(|column| format!("quote(\"{column}\")")).collect::<Vec<_>>();
        for line in lines(&format!("SELECT {} AS line FROM \"{table}\"", shown.join(" || ' | ' || "))) {
            let _ = writeln!(text, "{table}: {line}");
        }
    }
    text
}

fn dump_postgres(url: &str) -> String {
    let mut connection = PgConnection::establish(url).expect("the database is reached");
    let mut lines = |query: &str| -> Vec<String> {
        let rows: Vec<Line> = diesel::sql_query(query).load(&mut connection).expect("the database is read");
        rows.into_iter().filter_map(|row| row.line).collect()
    };
    let mut text = String::new();
    for table in
        lines("SELECT table_name::text AS line FROM information_schema.tables WHERE table_schema = current_schema()")
    {
        for line in lines(&format!("SELECT t::text AS line FROM \"{table}\" AS t")) {
            let _ = writeln!(text, "{table}: {line}");
        }
    }
    text
}
