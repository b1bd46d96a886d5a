//! The history page at 10 thousand and 1 million sessions, on both databases: first page and page 100, unfiltered and
//! filtered by user, by address and by period. `cargo bench --bench history` (some minutes: it fills the tables first;
//! `VIGIE_BENCH_SESSIONS` sets the larger number).

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use support::{Cluster, median, microseconds, say};
use uuid::Uuid;
use vigie::model::id::{SessionId, TokenId, UserId};
use vigie::model::session::{Actor, CurrentToken, Device, End, EndReason, Origin, RefreshTokens, Session};
use vigie::model::user::{Role, Username};
use vigie::store::sessions::{self, Position, SessionFilter, Sort, UserSelector};
use vigie::store::{Address, Settings, Store, StoreError};

const PAGE: i64 = 50;
const REPEATS: usize = 15;
const USERS: u64 = 20;

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
    say(&format!("{database}: filled {rows} sessions in {:.0} s", started.elapsed().as_secs_f64()));
    for (name, filter) in filters(rows) {
        let (first_small, _) = pages(&small, &filter).await;
        let (first, hundredth) = pages(&large, &filter).await;
        say(&format!(
            "{database}, {name}: first page {first:.0} us, page 100 {hundredth:.0} us (ratio {:.2}); first page at 10 000 {first_small:.0} us (ratio {:.2})",
            hundredth / first,
            first / first_small
        ));
    }
    small.close();
    large.close();
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

/// Each filter matches more than a hundred pages of the large table.
fn filters(rows: u64) -> Vec<(&'static str, SessionFilter)> {
    let user = SessionFilter { user: Some(UserSelector::Id(user(3).0)), ..SessionFilter::default() };
    let network = SessionFilter { network: Some(ipnet::IpNet::from(address(3))), ..SessionFilter::default() };
    let half = start() + TimeDelta::seconds(i64::try_from(rows / 2).expect("a number"));
    let period = SessionFilter { started: (None, Some(half)), ..SessionFilter::default() };
    vec![("all", SessionFilter::default()), ("by user", user), ("by address", network), ("by period", period)]
}

fn user(number: u64) -> (UserId, Username) {
    let id = UserId(Uuid::from_u128(u128::from(number % USERS) + 1));
    (id, Username::parse(&format!("user{}", number % USERS)).expect("a name"))
}

fn address(number: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(number % USERS).expect("small")))
}

/// A database with this many ended sessions, one a second.
async fn filled(url: &str, rows: u64) -> Store {
    let address = Address::parse(url).expect("an address");
    let store = Store::open(Settings { address, pool_size: 2, wait: Duration::from_secs(10) }).expect("a store");
    store.migrate().await.expect("migrated");
    for batch in (0..rows).collect::<Vec<_>>().chunks(5_000) {
        let numbers = batch.to_vec();
        store
            .write(move |db| numbers.into_iter().try_for_each(|number| sessions::insert(db, &session(number))))
            .await
            .unwrap_or_else(|error: StoreError| panic!("{error}"));
    }
    store
}

fn session(number: u64) -> Session {
    let started_at = start() + TimeDelta::seconds(i64::try_from(number).expect("a number"));
    let expires_at = started_at + TimeDelta::hours(12);
    let (user_id, username) = user(number);
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let ip = address(number);
    Session {
        id: SessionId::new(started_at),
        user_id,
        username,
        role: Role::parse("agent").expect("a role"),
        client_id: None,
        device_name: None,
        origin: Origin { ip, user_agent: Some(agent.to_owned()) },
        device: Device { browser: Some("Firefox".into()), os: Some("Linux".into()), kind: Some("pc".into()) },
        methods: vec!["pwd".to_owned()],
        started_at,
        last_seen_at: started_at,
        last_ip: ip,
        expires_at,
        idle_expires_at: started_at + TimeDelta::minutes(30),
        token: CurrentToken { id: TokenId::new(started_at), issued_at: started_at, expires_at },
        refresh: RefreshTokens::first([7; 32]),
        end: Some(End { at: started_at, reason: EndReason::Logout, by: Actor::user(user_id), note: None }),
    }
}

/// Median time of the first page and of the hundredth, in microseconds.
async fn pages(store: &Store, filter: &SessionFilter) -> (f64, f64) {
    let mut place = None;
    for _ in 0..99 {
        let (items, _) = page(store, filter, place).await;
        let Some(last) = items.last() else { break };
        place = Some(Position::of(last, Sort::NewestStart));
    }
    let mut first = Vec::new();
    let mut hundredth = Vec::new();
    for _ in 0..REPEATS {
        first.push(page(store, filter, None).await.1);
        hundredth.push(page(store, filter, place).await.1);
    }
    (median(first), median(hundredth))
}

async fn page(store: &Store, filter: &SessionFilter, after: Option<Position>) -> (Vec<Session>, f64) {
    let filter = filter.clone();
    let now = start() + TimeDelta::days(365);
    let begun = Instant::now();
    let page = store.read(move |db| sessions::list(db, &filter, now, Sort::NewestStart, after, PAGE)).await;
    let page = page.unwrap_or_else(|error: StoreError| panic!("{error}"));
    (page.items, microseconds(begun.elapsed()))
}
