//! Poolers between Vigie and PostgreSQL: one that shares sessions is refused and leaves nothing behind, one that keeps them
//! changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use rstest::rstest;
use vigie::store::{Address, OpenError, Settings, Store};

use crate::support::app::TestApp;
use crate::support::backend::TestDatabase;
use crate::support::dump::Beside;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::OwnDatabase;
use crate::support::program::Program;
use crate::support::until::until;

const BY_SESSION: &str = "pool_mode = session";

fn open(url: &str, wait: Duration) -> Result<Store, OpenError> {
    Store::open(Settings { address: Address::parse(url).expect("an address"), pool_size: 4, wait })
}

/// What a client before left on the sessions of this database.
fn left_behind(database: &OwnDatabase) -> Vec<String> {
    Beside::connect(&database.url).lines(
        "SELECT 'lock ' || pid AS line FROM pg_locks
         WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
         UNION ALL SELECT 'transaction ' || pid FROM pg_stat_activity
         WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()",
    )
}

/// Other people's transactions, through the same pool, until this is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<u64>>,
}

impl Load {
    fn of(clients: usize, url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients).map(|_| {
            let (stop, mut client) = (Arc::clone(&stop), PgConnection::establish(url).expect("the pooler answers"));
            std::thread::spawn(move || {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    client.batch_execute("SELECT pg_sleep(0.001)").expect("the pooler passes it on");
                    done += 1;
                }
                done
            })
        });
        Self { clients: clients.collect(), stop }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert!(client.join().expect("it ends") > 0, "there was no load");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn a_pooler_that_shares_sessions_is_refused_and_leaves_no_lock_behind(
    #[values("transaction", "statement")] mode: &str,
    #[values(1, 2, 20)] size: u32,
    #[values("server_round_robin = 0", "server_round_robin = 1")] order: &str,
) {
    let database = OwnDatabase::create();
    let (mode, size) = (format!("pool_mode = {mode}"), format!("default_pool_size = {size}"));
    let pooler = PgBouncer::start(&database.url, &[&mode, &size, order]);
    for _ in 0..3 {
        let refused = open(&pooler.url, Duration::from_secs(2)).map(drop);
        assert!(matches!(refused, Err(OpenError::SharedSessions)), "{refused:?}");
    }
    // A pooler takes a moment to end the transactions of clients that have gone.
    until("nothing is left behind", async || left_behind(&database).is_empty()).await;
    let store = open(&database.url, Duration::from_secs(2)).expect("past the pooler");
    assert!(!store.migrate().await.expect("nobody holds the lock").applied.is_empty());
}

#[rstest]
#[actix_web::test]
async fn a_busy_pooler_that_shares_sessions_is_refused_as_well(
    #[values("server_round_robin = 0", "server_round_robin = 1")] order: &str,
) {
    let database = OwnDatabase::create();
    let pooler = PgBouncer::start(&database.url, &["pool_mode = transaction", "default_pool_size = 8", order]);
    let load = Load::of(6, &pooler.url);
    for _ in 0..20 {
        let refused = open(&pooler.url, Duration::from_secs(2)).map(drop);
        assert!(matches!(refused, Err(OpenError::SharedSessions)), "{refused:?}");
    }
    load.end();
}

/// In the words that the operator reads, of the server and of the doctor.
#[test]
fn whoever_starts_behind_such_a_pooler_is_told_what_to_do_in_one_sentence() {
    let database = OwnDatabase::create();
    let pooler = PgBouncer::start(&database.url, &["pool_mode = transaction"]);
    let program = Program::on(TestDatabase::at(&pooler.url));
    for command in ["serve", "migrate"] {
        let refused = program.run(&[command]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.remarks.contains("pool_mode = session") && refused.remarks.lines().count() == 1, "{refused:?}");
    }
    let told = program.run(&["doctor"]).expect(1);
    let line = told.lines().find(|line| line.starts_with("fail  database: ")).expect("a line about the database");
    assert!(line.contains("pool_mode = session") && !line.contains("check `[database] url`"), "{line}");
    assert_eq!(left_behind(&database), Vec::<String>::new());
}

#[rstest]
#[actix_web::test]
async fn through_a_pooler_by_sessions_logged_out_means_logged_out_on_every_node(
    #[values("server_round_robin = 0", "server_round_robin = 1")] order: &str,
) {
    let database = OwnDatabase::create();
    let pooler = PgBouncer::start(&database.url, &[BY_SESSION, order]);
    let one = TestApp::start_at(&pooler.url, &[]).await;
    let other = one.another_node().await;
    for _ in 0..3 {
        let alice = if one.app.users.find_by_id_or_name("alice").await.unwrap().is_some() {
            one.log_in("alice").await
        } else {
            one.signed_in("alice").await
        };
        let elsewhere = other.nobody().with_token(alice.token());
        elsewhere.get("/auth/verify").await.expect(200);
        let next = one.client(&alice.refresh().await.expect(200));
        elsewhere.with_token(next.token()).get("/auth/me").await.expect(200);
        next.post_empty("/auth/logout").await.expect(204);
        for token in [alice.token(), next.token()] {
            elsewhere.with_token(token).get("/auth/verify").await.problem(401, "session_ended");
        }
    }
    assert_eq!(left_behind(&database), Vec::<String>::new());
}

/// Nodes would still agree without notifications, only later: so they are looked at by themselves.
#[actix_web::test]
async fn through_a_pooler_by_sessions_notifications_are_heard() {
    let database = OwnDatabase::create();
    let pooler = PgBouncer::start(&database.url, &[BY_SESSION]);
    let store = open(&pooler.url, Duration::from_secs(2)).expect("sessions are kept");
    let mut notifications = store.notifications();
    assert!(notifications.came(store.server_changes()).expect("it listens"), "connecting counts as one");
    assert!(!notifications.came(store.server_changes()).expect("it listens"));
    store.notify().await.expect("it is sent");
    until("a notification has come", async || notifications.came(store.server_changes()).expect("it listens")).await;
}

/// A pool by sessions that has only one to give would keep the second connection waiting for two minutes.
#[test]
fn a_pool_that_is_too_small_is_not_waited_for() {
    let database = OwnDatabase::create();
    let pooler = PgBouncer::start(&database.url, &[BY_SESSION, "default_pool_size = 1"]);
    let begun = Instant::now();
    let refused = open(&pooler.url, Duration::from_millis(300)).map(drop).expect_err("there is no second").to_string();
    assert!(refused.contains("too small"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
