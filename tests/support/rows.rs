//! What the store holds, seen past the API: rows, events, and every byte of it.

use vigie::model::alert::{Alert, AlertKind, RaisedKind};
use vigie::model::attempt::Attempt;
use vigie::model::audit::{AuditKind, RecordedEvent};
use vigie::model::filter::{AlertFilter, AttemptFilter, SessionFilter};
use vigie::model::folding::forms;
use vigie::model::id::{SessionId, UserId};
use vigie::model::session::{EndReason, Session};
use vigie::model::user::User;
use vigie::store::{StoreError, alerts, attempts, audit, sessions, users};

use super::app::TestApp;
use super::dump::dump;

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
        let list = |db: &mut _| attempts::list(db, &AttemptFilter::default(), &forms, None, 1000);
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

    /// Every alert, newest first.
    pub async fn alerts(&self) -> Vec<Alert> {
        let list = |db: &mut _| alerts::list(db, &AlertFilter::everything(), None, 1000);
        self.app.store.read(list).await.expect("the store answers").items
    }

    /// The alerts of one kind, newest first.
    pub async fn alerts_of(&self, kind: AlertKind) -> Vec<Alert> {
        self.alerts().await.into_iter().filter(|alert| alert.raised.kind == RaisedKind::Known(kind)).collect()
    }

    /// How many session rows there are.
    pub async fn session_rows(&self) -> i64 {
        let now = self.now();
        let count = move |db: &mut _| sessions::count(db, &SessionFilter::default(), now);
        self.app.store.read::<i64, StoreError>(count).await.expect("the store answers")
    }

    /// The text of every row of the history: nothing but the test writes there, while nodes number changes at any time.
    pub fn dump_of_history(&self) -> Vec<String> {
        self.dump_of_tables(&[
            "access_tokens:",
            "attempts:",
            "audit_events:",
            "checkpoints:",
            "sealed_records:",
            "sessions:",
        ])
    }

    /// The text of every row of these tables, each named with a colon behind it.
    pub fn dump_of_tables(&self, tables: &[&str]) -> Vec<String> {
        let dump = self.dump();
        let rows = dump.lines().filter(|line| tables.iter().any(|table| line.starts_with(table)));
        rows.map(str::to_owned).collect()
    }

    /// The text of every row of every table.
    pub fn dump(&self) -> String {
        let tables = dump(&self.database.url).into_iter();
        tables.flat_map(|(table, rows)| rows.into_iter().map(move |row| format!("{table}: {row}\n"))).collect()
    }
}
