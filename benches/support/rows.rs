//! Millions of rows of history, put there by the database itself: as the server would have left them over two months, without
//! the time it takes to log in a million times.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};

/// Who logs in; each from an address of their own.
pub const USERS: u64 = 20;
/// The first session begins here, in microseconds since 1970.
pub const BEGIN: u64 = 1_800_000_000_000_000;
/// Between the first row and the last.
const SPAN: u64 = 5_000_000_000_000;
/// From the beginning of a session to its end.
const LENGTH: u64 = 1_800_000_000;

/// How many rows of each table.
#[derive(Clone, Copy)]
pub struct Rows {
    pub sessions: u64,
    pub attempts: u64,
    pub events: u64,
}

/// Puts the rows there. They wait to be sealed in the order in which they happened, if `waiting`.
pub fn fill(url: &str, rows: Rows, waiting: bool) {
    let mut database = Database::connect(url);
    let words = database.words();
    database.run(&words.sessions(rows));
    database.run(&words.attempts(rows));
    database.run(&words.events(rows));
    if waiting {
        database.run(&Words::waiting());
    }
    // As its own housekeeping would have done; SQLite has none.
    if let Database::Postgres(_) = database {
        database.run("ANALYZE sessions; ANALYZE attempts; ANALYZE audit_events; ANALYZE unsealed_records");
    }
}

enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Database {
    fn connect(url: &str) -> Self {
        let mut database = match url.strip_prefix("sqlite:") {
            Some(path) => Self::Sqlite(SqliteConnection::establish(path).expect("the file opens")),
            None => Self::Postgres(PgConnection::establish(url).expect("the cluster answers")),
        };
        database.run(match &database {
            Self::Sqlite(_) => "PRAGMA busy_timeout = 10000; PRAGMA synchronous = off; PRAGMA cache_size = -500000",
            Self::Postgres(_) => "SET TIME ZONE 'UTC'; SET synchronous_commit = off",
        });
        database
    }

    fn run(&mut self, statements: &str) {
        let done = match self {
            Self::Sqlite(connection) => connection.batch_execute(statements),
            Self::Postgres(connection) => connection.batch_execute(statements),
        };
        done.unwrap_or_else(|error| panic!("{error}: {statements}"));
    }

    fn words(&self) -> Words {
        match self {
            Self::Sqlite(_) => Words {
                numbers: |count| {
                    format!(
                        "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {count})"
                    )
                },
                hex: |number, width| format!("printf('%0{width}x', {number})"),
                id: str::to_owned,
                time: str::to_owned,
                bytes: |hex| format!("unhex({hex})"),
                json: str::to_owned,
            },
            Self::Postgres(_) => Words {
                numbers: |count| {
                    format!("WITH numbers (n) AS (SELECT generate_series(0::bigint, {count}::bigint - 1))")
                },
                hex: |number, width| format!("lpad(to_hex({number}), {width}, '0')"),
                id: |text| format!("({text})::uuid"),
                time: |micros| format!("(timestamptz 'epoch' + ({micros}) * interval '1 microsecond')"),
                bytes: |hex| format!("decode({hex}, 'hex')"),
                json: |text| format!("({text})::jsonb"),
            },
        }
    }
}

/// How each database says it.
struct Words {
    numbers: fn(u64) -> String,
    hex: fn(&str, usize) -> String,
    id: fn(&str) -> String,
    time: fn(&str) -> String,
    bytes: fn(&str) -> String,
    json: fn(&str) -> String,
}

impl Words {
    /// The moment of the nth of so many rows, in microseconds.
    fn moment(count: u64) -> String {
        format!("{BEGIN} + n * {}", SPAN / count.max(1))
    }

    /// The text of the id of a row, in the order of the numbers as version 7 is in that of time.
    fn row_id(&self, number: &str) -> String {
        format!("{} || '-0000-7000-8000-' || {}", (self.hex)(number, 8), (self.hex)(number, 12))
    }

    /// The text of the id of the user of a session.
    fn user_id(&self, session: &str) -> String {
        format!("'00000000-0000-0000-0000-' || {}", (self.hex)(&format!("({session}) % {USERS} + 1"), 12))
    }

    fn address_key(&self, session: &str) -> String {
        let last = (self.hex)(&format!("({session}) % {USERS}"), 2);
        (self.bytes)(&format!("'00000000000000000000ffffc00002' || {last}"))
    }

    fn sessions(&self, rows: Rows) -> String {
        let Self { numbers, id, time, bytes, .. } = self;
        let (numbers, moment) = (numbers(rows.sessions), Self::moment(rows.sessions));
        let at = |after: u64| time(&format!("{moment} + {after}"));
        let (own, user, key) = (self.row_id("n"), self.user_id("n"), self.address_key("n"));
        let (own, user_id, refresh_seed) = (id(&own), id(&user), bytes(&format!("'{}'", "07".repeat(32))));
        let hour = 3_600_000_000;
        let (begin, seen, end) = (at(0), at(LENGTH - 60_000_000), at(LENGTH));
        let (expires, idle, token) = (at(12 * hour), at(LENGTH + hour / 2), at(LENGTH + hour / 6));
        format!(
            "{numbers} INSERT INTO sessions (id, user_id, username, username_folded, role, ip, ip_key, user_agent, browser,
               os, device_kind, methods, started_at, last_seen_at, last_ip, expires_at, idle_expires_at, token_id,
               token_issued_at, token_expires_at, refresh_generation, refresh_seed, refresh_spent_at, ended_at, end_reason,
               ended_by_kind, ended_by_id)
             SELECT {own}, {user_id}, 'user' || (n % {USERS}), 'user' || (n % {USERS}), 'agent', '192.0.2.' || (n % {USERS}), {key},
               {AGENT}, 'Firefox', 'Linux', 'pc', 'pwd', {begin}, {seen}, '192.0.2.' || (n % {USERS}), {expires}, {idle}, {own},
               {seen}, {token}, 3, {refresh_seed}, {seen}, {end}, 'logout', 'user', {user}
             FROM numbers"
        )
    }

    /// Each sixth fails.
    fn attempts(&self, rows: Rows) -> String {
        let Self { numbers, id, time, .. } = self;
        let (numbers, at) = (numbers(rows.attempts), time(&Self::moment(rows.attempts)));
        let session = format!("n * {} / {}", rows.sessions, rows.attempts);
        let (own, request) = (id(&self.row_id("n")), self.row_id("n + 1"));
        let (user, key) = (id(&self.user_id(&session)), self.address_key(&session));
        let session_id = id(&self.row_id(&session));
        format!(
            "{numbers} INSERT INTO attempts (id, at, username, username_folded, user_id, outcome, ip, ip_key, user_agent,
               session_id, request_id)
             SELECT {own}, {at}, 'user' || (({session}) % {USERS}), 'user' || (({session}) % {USERS}), {user},
               CASE WHEN n % 6 = 5 THEN 'wrong_password' ELSE 'success' END, '192.0.2.' || (({session}) % {USERS}), {key},
               {AGENT}, CASE WHEN n % 6 = 5 THEN NULL ELSE {session_id} END, {request}
             FROM numbers"
        )
    }

    /// Of five, one begins a session, three refresh it, one ends it.
    fn events(&self, rows: Rows) -> String {
        let Self { numbers, id, time, json, .. } = self;
        let (numbers, at) = (numbers(rows.events), time(&Self::moment(rows.events)));
        let session = format!("n * {} / {}", rows.sessions, rows.events);
        let (user, request, sid) = (self.user_id(&session), self.row_id("n + 1"), self.row_id(&session));
        let session_id = id(&sid);
        let details = json(&format!(
            "CASE n % 5
               WHEN 0 THEN '{{\"client_id\":null,\"methods\":[\"pwd\"],\"new_device\":false,\"token\":\"' || {sid} || '\"}}'
               WHEN 4 THEN '{{\"reason\":\"logout\"}}'
               ELSE '{{\"generation\":' || (n % 5) || ',\"token\":\"' || {sid} || '\"}}' END"
        ));
        format!(
            "{numbers} INSERT INTO audit_events (at, kind, actor_kind, actor_id, subject_kind, subject_id, session_id, ip,
               request_id, details, outcome)
             SELECT {at}, CASE n % 5 WHEN 0 THEN 'session.started' WHEN 4 THEN 'session.ended' ELSE 'session.refreshed' END,
               'user', {user}, CASE n % 5 WHEN 0 THEN 'user' ELSE 'session' END, {sid}, {session_id}, '192.0.2.' || (({session}) % {USERS}), {request}, {details},
               'success'
             FROM numbers"
        )
    }

    /// As the migration that begins the chain leaves what was there before; without what waits already or is sealed.
    fn waiting() -> String {
        "INSERT INTO unsealed_records (kind, subject, at, form)
         SELECT kind, subject, at, 1 FROM (
           SELECT 'event' AS kind, CAST(seq AS TEXT) AS subject, at FROM audit_events
           UNION ALL SELECT 'attempt', CAST(id AS TEXT), at FROM attempts
           UNION ALL SELECT 'session_started', CAST(id AS TEXT), started_at FROM sessions
           UNION ALL SELECT 'session_ended', CAST(id AS TEXT), ended_at FROM sessions WHERE ended_at IS NOT NULL
         ) AS history
         WHERE (kind, subject) NOT IN (SELECT kind, subject FROM unsealed_records)
           AND NOT EXISTS (SELECT 1 FROM sealed_records s WHERE s.subject = history.subject AND s.kind = history.kind)
         ORDER BY at, kind"
            .to_owned()
    }
}

const AGENT: &str = "'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'";
