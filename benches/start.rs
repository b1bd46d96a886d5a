//! Time from the start of the release binary until it answers checks from memory, with millions of sessions in the history
//! of its SQLite file. `cargo bench --bench start` (some minutes and gigabytes: it fills the file first;
//! `VIGIE_BENCH_SESSIONS` sets another number)

mod support;

use std::path::Path;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use support::node::Node;
use support::people::sessions_of_many;
use support::{median, milliseconds, on_one_thread, open, say};

const STARTS: usize = 5;
/// Rows of one statement.
const BATCH: usize = 500_000;

fn main() {
    let rows = std::env::var("VIGIE_BENCH_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    on_one_thread(async {
        let data = tempfile::tempdir().expect("a directory");
        let file = data.path().join("vigie.db");
        let url = format!("sqlite:{}", file.display());
        let app = open(&url, data.path(), &[]).await;
        sessions_of_many(&app, 1).await;
        app.close().await;
        let empty = starts(&url, data.path()).await;
        let began = Instant::now();
        multiply(&file, rows);
        let size = std::fs::metadata(&file).expect("the file").len() / 1_000_000;
        say(&format!("filled {rows} sessions in {:.0} s: {size} MB", began.elapsed().as_secs_f64()));
        let full = starts(&url, data.path()).await;
        say(&format!(
            "ready after {full:.0} ms with {rows} sessions, {empty:.0} ms without (medians of {STARTS}; aim: 1000 at most)"
        ));
    });
}

/// The median time of some starts, in milliseconds.
async fn starts(url: &str, data: &Path) -> f64 {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        // Killed when dropped: the next start finds a file that nobody closed.
        drop(Node::start(url, data, &[]).await);
        took.push(milliseconds(began.elapsed()));
    }
    median(took)
}

#[derive(diesel::QueryableByName)]
struct Index {
    #[diesel(sql_type = diesel::sql_types::Text)]
    name: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    sql: String,
}

/// Copies the one session again and again, one each half minute back into the past, of a hundred thousand users, all logged
/// out. The indexes are made anew afterwards, as they were: rows come in faster without them.
fn multiply(file: &Path, rows: u64) {
    let mut database = SqliteConnection::establish(file.to_str().expect("a path")).expect("the file opens");
    let indexes: Vec<Index> = diesel::sql_query(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'sessions' AND sql IS NOT NULL",
    )
    .load(&mut database)
    .expect("the indexes");
    let mut run = |statement: &str| database.batch_execute(statement).unwrap_or_else(|error| panic!("{error}"));
    run("PRAGMA synchronous = off; PRAGMA cache_size = -500000; PRAGMA threads = 2");
    run("CREATE TEMPORARY TABLE one AS SELECT * FROM sessions LIMIT 1");
    for index in &indexes {
        run(&format!("DROP INDEX {}", index.name));
    }
    for first in (1..=rows).step_by(BATCH) {
        let last = rows.min(first + BATCH as u64 - 1);
        run(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) {COPY}"
        ));
    }
    for index in &indexes {
        run(&index.sql);
    }
    run("PRAGMA wal_checkpoint(truncate)");
}

const COPY: &str = "
    INSERT INTO sessions SELECT
      printf('%08x-0000-7000-8000-%012x', n, n), printf('00000000-0000-7000-8000-%012x', n % 100000),
      printf('person-%d', n % 100000), printf('person-%d', n % 100000), role, client_id, device_name, ip, ip_key,
      user_agent, browser, os, device_kind, methods, started_at - n * 30000000, last_seen_at - n * 30000000, last_ip,
      expires_at - n * 30000000, idle_expires_at - n * 30000000, token_id, token_issued_at - n * 30000000,
      token_expires_at - n * 30000000, refresh_generation, refresh_seed, refresh_spent_at,
      started_at - n * 30000000 + 1000000, 'logout', 'user', user_id, NULL
    FROM numbers, one";
