//! The lists of the history at 10 thousand and 1 million rows each, on both databases: first page and page 100 of sessions,
//! attempts and events, unfiltered and with each usual filter. `cargo bench --bench history` (some minutes: it fills the
//! tables first; `VIGIE_BENCH_SESSIONS` sets the larger number)

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use support::rows::{self, Rows, USERS, fill};
use support::{Cluster, median, microseconds, say};
use uuid::Uuid;
use vigie::model::attempt::AttemptOutcome;
use vigie::model::audit::AuditKind;
use vigie::model::filter::{
    AttemptFilter, Criterion, EventFilter, Moment, Network, SessionFilter, Sort, Text, UserSelector,
};
use vigie::model::folding::forms;
use vigie::model::id::{SessionId, UserId};
use vigie::store::{Address, Db, Page, Settings, Store, StoreError, attempts, audit, sessions};

const PAGE: i64 = 50;
const REPEATS: usize = 15;

fn main() {
    let large = std::env::var("VIGIE_BENCH_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| format!("sqlite:{}", directory.path().join(name).display());
        compare("SQLite", &file("small.db"), &file("large.db"), large).await;
        let cluster = Cluster::start();
        let schema = |name: &str| {
            let separator = if cluster.url.contains('?') { '&' } else { '?' };
            format!("{}{separator}options=-csearch_path%3D{name}", cluster.url)
        };
        for name in ["small", "large"] {
            make_schema(&cluster.url, name);
        }
        compare("PostgreSQL", &schema("small"), &schema("large"), large).await;
    });
}

fn make_schema(url: &str, name: &str) {
    use diesel::connection::SimpleConnection as _;
    use diesel::{Connection as _, PgConnection};
    let mut connection = PgConnection::establish(url).expect("the cluster answers");
    connection.batch_execute(&format!("CREATE SCHEMA {name}")).expect("a schema");
}

async fn compare(database: &str, small: &str, large: &str, rows: u64) {
    let small = filled(small, 10_000).await;
    let started = Instant::now();
    let large = filled(large, rows).await;
    say(&format!("{database}: filled {rows} rows of each table in {:.0} s", started.elapsed().as_secs_f64()));
    let both = Both { database, small: &small, large: &large };
    for (name, filter) in session_filters() {
        let now = begin() + TimeDelta::days(365);
        let list = move |db: &mut Db, after| {
            let page = sessions::list(db, &filter, now, Sort::NewestStart, after, PAGE)?;
            Ok(last(&page, |session| sessions::Position::of(session, Sort::NewestStart)))
        };
        both.measure(&format!("sessions {name}"), list).await;
    }
    for (name, filter) in attempt_filters() {
        let list = move |db: &mut Db, after| {
            let page = attempts::list(db, &filter, &forms, after, PAGE)?;
            Ok(last(&page, attempts::Position::of))
        };
        both.measure(&format!("attempts {name}"), list).await;
    }
    for (name, filter) in event_filters() {
        let list = move |db: &mut Db, after| Ok(last(&audit::list(db, &filter, after, PAGE)?, audit::Position::of));
        both.measure(&format!("events {name}"), list).await;
    }
    small.close();
    large.close();
}

fn last<Row, Place>(page: &Page<Row, Place>, place: impl Fn(&Row) -> Place) -> Option<Place> {
    page.items.last().map(place)
}

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(i64::try_from(rows::BEGIN).expect("a number")).expect("a time")
}

/// Between the beginning and the end of what the tables are filled with.
fn half() -> Moment {
    Moment(begin() + TimeDelta::days(29))
}

fn user() -> UserId {
    UserId(Uuid::from_u128(4))
}

fn text(text: &str) -> Text {
    Text(text.to_owned())
}

fn network() -> Criterion<Network> {
    Criterion::is(Network(ipnet::IpNet::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3)))))
}

/// Each filter matches more than a hundred pages of the large table.
fn session_filters() -> Vec<(&'static str, SessionFilter)> {
    const { assert!(USERS > 4, "the user and address of the filters have rows") };
    let filter = SessionFilter::default;
    vec![
        ("all", filter()),
        ("by user", SessionFilter::of_user(user())),
        ("by name", SessionFilter { user: Criterion::is(UserSelector(text("user3"))), ..filter() }),
        ("by address", SessionFilter { ip: network(), ..filter() }),
        ("by period", SessionFilter { started_to: Some(half()), ..filter() }),
    ]
}

fn attempt_filters() -> Vec<(&'static str, AttemptFilter)> {
    let filter = AttemptFilter::default;
    vec![
        ("all", filter()),
        ("by user", AttemptFilter::of_user(user())),
        ("by name", AttemptFilter { username: Criterion::is(text("user3")), ..filter() }),
        ("by address", AttemptFilter { ip: network(), ..filter() }),
        ("by outcome", AttemptFilter { outcome: Criterion::is(AttemptOutcome::WrongPassword), ..filter() }),
        ("by period", AttemptFilter { to: Some(half()), ..filter() }),
    ]
}

/// But for that by session, which is one page.
fn event_filters() -> Vec<(&'static str, EventFilter)> {
    let filter = EventFilter::default;
    let session = SessionId(Uuid::parse_str("00000003-0000-7000-8000-000000000003").expect("an id"));
    vec![
        ("all", filter()),
        ("by kind", EventFilter { kind: Criterion::is(AuditKind::SessionEnded), ..filter() }),
        ("by actor", EventFilter { actor: Criterion::is(text(&user().to_string())), ..filter() }),
        ("by subject", EventFilter { subject: Criterion::is(text(&session.to_string())), ..filter() }),
        ("by session", EventFilter { session_id: Criterion::is(session), ..filter() }),
        ("by period", EventFilter { to: Some(half()), ..filter() }),
    ]
}

/// A database with this many ended sessions, as many attempts, as many events.
async fn filled(url: &str, rows: u64) -> Store {
    let address = Address::parse(url).expect("an address");
    let store = Store::open(Settings { address, pool_size: 2, wait: Duration::from_secs(10) }).expect("a store");
    store.migrate().await.expect("migrated");
    let url = url.to_owned();
    let filling = move || fill(&url, Rows { sessions: rows, attempts: rows, events: rows }, false);
    tokio::task::spawn_blocking(filling).await.expect("it is filled");
    store
}

/// The same rows, few and many.
struct Both<'a> {
    database: &'a str,
    small: &'a Store,
    large: &'a Store,
}

impl Both<'_> {
    /// `list` reads the page after a place, and says where it ends.
    async fn measure<Place: Copy + Send + 'static>(
        &self,
        name: &str,
        list: impl Fn(&mut Db, Option<Place>) -> Result<Option<Place>, StoreError> + Clone + Send + 'static,
    ) {
        let (first_small, _) = pages(self.small, &list).await;
        let (first, hundredth) = pages(self.large, &list).await;
        say(&format!(
            "{}, {name}: first page {first:.0} us, page 100 {hundredth:.0} us (ratio {:.2}); first page at 10 000 {first_small:.0} us (ratio {:.2})",
            self.database,
            hundredth / first,
            first / first_small
        ));
    }
}

/// Median time of the first page and of the hundredth, in microseconds.
async fn pages<Place: Copy + Send + 'static>(
    store: &Store,
    list: &(impl Fn(&mut Db, Option<Place>) -> Result<Option<Place>, StoreError> + Clone + Send + 'static),
) -> (f64, f64) {
    let mut place = None;
    for _ in 0..99 {
        match page(store, list, place).await.0 {
            None => break,
            next => place = next,
        }
    }
    let mut first = Vec::new();
    let mut hundredth = Vec::new();
    for _ in 0..REPEATS {
        first.push(page(store, list, None).await.1);
        hundredth.push(page(store, list, place).await.1);
    }
    (median(first), median(hundredth))
}

async fn page<Place: Copy + Send + 'static>(
    store: &Store,
    list: &(impl Fn(&mut Db, Option<Place>) -> Result<Option<Place>, StoreError> + Clone + Send + 'static),
    after: Option<Place>,
) -> (Option<Place>, f64) {
    let list = list.clone();
    let begun = Instant::now();
    let place = store.read(move |db| list(db, after)).await;
    let place = place.unwrap_or_else(|error: StoreError| panic!("{error}"));
    (place, microseconds(begun.elapsed()))
}
