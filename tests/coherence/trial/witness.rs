//! Who looks whether the database itself is there, past all nodes: on a machine whose disk stands still for seconds nobody can
//! commit, and a node that then answers 503 is right.

use std::time::{Duration, Instant};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

use super::record::Standstill;
use super::{Trial, pause};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Commits a row of its own, again and again, as durably as nodes commit their renewals.
pub struct Witness<'a> {
    trial: &'a Trial,
    /// Names every server that may take writes.
    url: String,
    /// A commit that takes longer is a standstill.
    limit: Duration,
    connection: Option<PgConnection>,
}

impl<'a> Witness<'a> {
    pub fn new(trial: &'a Trial, url: &str, limit: Duration) -> Self {
        let url = format!("{url}?target_session_attrs=read-write&connect_timeout=2");
        Self { trial, url, limit, connection: None }
    }

    pub fn run(mut self) {
        let mut since = None;
        while self.trial.goes_on() {
            let begun = *since.get_or_insert_with(Instant::now);
            if self.commits() {
                let over = Instant::now();
                if over - begun > self.limit {
                    self.trial.record.standstill(Standstill { begun, over });
                }
                since = None;
            }
            pause(PAUSE);
        }
        if let Some(begun) = since {
            self.trial.record.standstill(Standstill { begun, over: Instant::now() });
        }
    }

    fn commits(&mut self) -> bool {
        let kept = self.connection.take().or_else(|| PgConnection::establish(&self.url).ok());
        let Some(mut connection) = kept else { return false };
        let statements = [
            "CREATE TABLE IF NOT EXISTS witness (one INTEGER PRIMARY KEY, looks BIGINT NOT NULL)",
            "INSERT INTO witness VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET looks = witness.looks + 1",
        ];
        let committed = statements
            .into_iter()
            .try_for_each(|statement| diesel::sql_query(statement).execute(&mut connection).map(drop));
        if committed.is_ok() {
            self.connection = Some(connection);
        }
        committed.is_ok()
    }
}
