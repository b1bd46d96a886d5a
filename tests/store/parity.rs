//! Where the same query could mean two things on two databases: one test for each such point.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::clock::{Clock as _, ManualClock, SystemClock};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use vigie::model::client::{Client, ClientId, LoginClient};
use vigie::model::filter::{Criterion, EventFilter, SessionFilter, Text, UserFilter};
use vigie::model::id::{SessionId, UserId};
use vigie::model::retention::{Counts, RetentionCutoffs};
use vigie::model::secret::Secret;
use vigie::model::session::{Actor, CurrentToken, End, EndReason};
use vigie::model::user::{Role, User, UserState, Username};
use vigie::store::one_time_tokens::{self, TokenPurpose};
use vigie::store::sessions::{self, Closing, SessionUse};
use vigie::store::signing_keys::{self, StoredKey};
use vigie::store::{Constraint, Store, StoreError, audit, clients, users};

use super::migrated;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::{Beside, dump};
use crate::support::until::until;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 123_456_789).unwrap()
}

fn user(name: &str) -> User {
    User {
        id: UserId::new(now()),
        username: Username::parse(name).unwrap(),
        role: Role::parse("agent").unwrap(),
        state: UserState::Active,
        password_hash: None,
        created_at: now(),
        password_changed_at: None,
        must_change_password_since: None,
        email: None,
    }
}

async fn add(store: &Store, user: User) -> Result<(), StoreError> {
    store.write(move |db| users::insert(db, &user, None)).await
}

async fn names_like(store: &Store, part: &str) -> Vec<String> {
    let filter = UserFilter { name: Some(Text(part.to_owned())), ..UserFilter::default() };
    let page = store.read(move |db| users::list(db, &filter, None, 100)).await.unwrap();
    page.items.iter().map(|user| user.username.as_str().to_owned()).collect()
}

#[rstest]
#[actix_web::test]
async fn times_are_kept_to_the_microsecond(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, _database) = migrated(backend).await;
    for (name, at) in [
        ("noon", now()),
        ("before-1970", DateTime::from_timestamp(-86_400, 1_000).unwrap()),
        ("far", DateTime::from_timestamp(32_503_680_000, 999_999_000).unwrap()),
    ] {
        let written = User { created_at: at, password_changed_at: Some(at), ..user(name) };
        let id = written.id;
        add(&store, written).await.unwrap();
        let read = store.read(move |db| users::find(db, id)).await.unwrap().unwrap();
        assert_eq!((read.created_at, read.password_changed_at), (at.trunc_subsecs(6), Some(at.trunc_subsecs(6))));
    }
}

#[test]
fn the_clocks_are_cut_to_the_microsecond() {
    assert_eq!(ManualClock::at(now()).now().timestamp_subsec_nanos(), 123_456_000);
    assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000, 0);
}

#[rstest]
#[actix_web::test]
async fn names_are_found_in_any_case_and_the_signs_of_patterns_stand_for_themselves(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (store, _database) = migrated(backend).await;
    for name in ["Zoé", "ALICE", "50%", "50x", "a_b", "axb", r"back\slash"] {
        add(&store, user(name)).await.unwrap();
    }
    // The column is folded, and so is what callers look for.
    for (part, found) in [
        ("alice", vec!["ALICE"]),
        ("zoé", vec!["Zoé"]),
        ("50%", vec!["50%"]),
        ("_", vec!["a_b"]),
        (r"\", vec![r"back\slash"]),
        (r"k\s", vec![r"back\slash"]),
        ("%", vec!["50%"]),
    ] {
        assert_eq!(names_like(&store, part).await, found, "{part}");
    }
}

#[rstest]
#[actix_web::test]
async fn user_agents_are_found_in_any_case(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    for agent in [Some("Mozilla/5.0 (X11) Firefox/140.0"), Some("curl/8_5"), None] {
        let client_info = vigie::model::session::ClientInfo {
            ip: std::net::Ipv4Addr::LOCALHOST.into(),
            user_agent: agent.map(str::to_owned),
        };
        let session = app.app.sessions.new_session(&user, client_info, LoginClient::Unnamed, None);
        app.app.store.write(move |db| sessions::insert(db, &session)).await.unwrap();
    }
    for (part, count) in [("FIREFOX", 1), ("firefox", 1), ("8_5", 1), ("x_5", 0), ("%", 0), ("zz", 0)] {
        let filter = SessionFilter { user_agent: Criterion::is(Text(part.to_owned())), ..SessionFilter::default() };
        let at = app.now();
        let found = app.app.store.read(move |db| sessions::count(db, &filter, at)).await;
        assert_eq!(found, Ok(count), "{part}");
    }
}

#[rstest]
#[actix_web::test]
async fn text_is_ordered_by_bytes(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, database) = migrated(backend).await;
    let mut names = ["Émile", "zoé", "B", "a", "_x", "a-b", "a b", "ab", "~", "éa"];
    for name in names {
        add(&store, user(name)).await.unwrap();
    }
    names.sort_by_key(|name| Username::parse(name).unwrap().folded());
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let cursor = after.clone();
        let page = store.read(move |db| users::list(db, &UserFilter::default(), cursor.as_ref(), 3)).await.unwrap();
        listed.extend(page.items.into_iter().map(|user| user.username.as_str().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, names);
    if backend == Postgres {
        // The cluster of the tests may have an order that happens to be that of bytes; others have not.
        let others = "SELECT table_name || '.' || column_name AS line FROM information_schema.columns
            WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying')
              AND collation_name IS DISTINCT FROM 'C' AND table_name <> '__diesel_schema_migrations'";
        assert_eq!(Beside::connect(&database.url).lines(others), Vec::<String>::new());
    }
}

/// NULL sorts first on one and last on the other, so no query orders by a column that may be NULL.
#[test]
fn nothing_is_ordered_by_a_column_that_may_be_null() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut sources = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { sources.push(std::fs::read_to_string(entry).unwrap()) }
        }
    }
    let schema = std::fs::read_to_string(folder.join("schema.rs")).unwrap();
    let mut table = String::new();
    let mut nullable = BTreeSet::new();
    for line in schema.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            table = name.trim_start_matches("diesel::table! {").trim().to_owned();
        } else if let Some((column, _)) = line.split_once(" -> Nullable<") {
            nullable.insert(format!("{table}::{column}"));
        }
    }
    assert!(nullable.contains("sessions::ended_at"), "{nullable:?}");
    for source in &sources {
        for ordering in source.split(".order").skip(1) {
            let clause = ordering.split(';').next().unwrap_or_default().split(".limit").next().unwrap_or_default();
            let by_null = nullable.iter().find(|column| {
                clause.match_indices(column.as_str()).any(|(at, _)| {
                    let next = clause[at + column.len()..].chars().next();
                    !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
                })
            });
            assert_eq!(by_null, None, "{clause}");
        }
    }
}

fn client(id: &str) -> Client {
    Client {
        id: ClientId::parse(id).unwrap(),
        name: "a client".to_owned(),
        scopes: vec![],
        audiences: None,
        jwks: None,
        secret: Secret::random().digest(),
        previous_secret: None,
        created_at: now(),
        secret_changed_at: now(),
        last_used_at: None,
    }
}

fn key(id: &str) -> StoredKey {
    StoredKey {
        id: id.to_owned(),
        algorithm: "ES256".to_owned(),
        encrypted: vec![1, 2, 3],
        created_at: now(),
        retired: None,
        revoked_at: None,
    }
}

type Work = Box<dyn FnOnce(&mut vigie::store::Db) -> Result<(), StoreError> + Send>;

/// On one database a transaction may go on after a conflict, on the other it is lost: so it is always given up whole.
#[rstest]
#[actix_web::test]
async fn a_unit_of_work_that_meets_a_conflict_leaves_nothing_and_names_the_same_key(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (store, database) = migrated(backend).await;
    let alice = user("alice");
    let id = alice.id;
    add(&store, alice).await.unwrap();
    store.write(|db| clients::insert(db, &client("bench"))).await.unwrap();
    store.write(|db| signing_keys::insert(db, &key("first"))).await.unwrap();
    let before = dump(&database.url);

    let conflicts: [(Constraint, Work); 4] = [
        (Constraint::Username, Box::new(|db| users::insert(db, &user("ALICE"), None))),
        (Constraint::UserId, Box::new(move |db| users::insert(db, &User { id, ..user("carol") }, None))),
        (Constraint::ClientId, Box::new(|db| clients::insert(db, &client("bench")))),
        (Constraint::CurrentKey, Box::new(|db| signing_keys::insert(db, &key("second")))),
    ];
    for (constraint, work) in conflicts {
        let done = store.write(move |db| {
            users::insert(db, &user("bob"), None)?;
            work(db)?;
            users::insert(db, &user("dave"), None)
        });
        assert_eq!(done.await, Err(StoreError::Conflict(constraint)));
        assert_eq!(dump(&database.url), before, "{constraint:?}");
    }
    let renamed = store.write(move |db| {
        users::insert(db, &user("bob"), None)?;
        users::set_username(db, id, &Username::parse("Bob").unwrap(), now())
    });
    assert_eq!(renamed.await, Err(StoreError::Conflict(Constraint::Username)));
    assert_eq!(dump(&database.url), before);
    // Nor where the database has nothing against it, but the work itself.
    let changed_its_mind = store.write(|db| {
        users::insert(db, &user("bob"), None)?;
        Err::<(), _>(StoreError::Busy("on purpose".to_owned()))
    });
    assert_eq!(changed_its_mind.await, Err(StoreError::Busy("on purpose".to_owned())));
    assert_eq!(dump(&database.url), before);
}

#[rstest]
#[actix_web::test]
async fn values_that_cannot_be_are_refused_by_the_database_itself(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let id = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    app.app.users.issue_reset(id, false, &AuditContext::command_line()).await.unwrap();
    app.nobody().post("/auth/login", json!({ "username": "x", "password": "y" })).await.expect(401);
    app.app.store.write(|db| clients::insert(db, &client("bench"))).await.unwrap();
    let mut beside = Beside::connect(&app.database.url);
    let before = beside.dump();
    let long = format!("UPDATE users SET username = '{}'", "x".repeat(129));
    let (short_bytes, bytes) = match backend {
        Sqlite => ("zeroblob(31)", "zeroblob(17)"),
        Postgres => ("decode(repeat('00', 31), 'hex')", "decode(repeat('00', 17), 'hex')"),
    };
    for statement in [
        "UPDATE users SET state = 'asleep'",
        "UPDATE users SET username = ''",
        &long,
        "UPDATE users SET role = ''",
        "UPDATE users SET role = NULL",
        "UPDATE users SET id = 'nonsense'",
        "UPDATE one_time_tokens SET purpose = 'setup'",
        "UPDATE one_time_tokens SET purpose = 'fun'",
        &format!("UPDATE one_time_tokens SET digest = {short_bytes}"),
        "UPDATE one_time_tokens SET user_id = '01900000-0000-7000-8000-000000000000'",
        "UPDATE sessions SET refresh_generation = -1",
        "UPDATE sessions SET refresh_generation = 1",
        "UPDATE sessions SET ended_at = started_at",
        "UPDATE sessions SET end_reason = 'logout'",
        &format!("UPDATE sessions SET ip_key = {bytes}"),
        &format!("UPDATE sessions SET refresh_seed = {bytes}"),
        "UPDATE access_tokens SET session_id = '01900000-0000-7000-8000-000000000000'",
        "UPDATE throttles SET failures = -1",
        "UPDATE throttles SET scope = 'world'",
        "UPDATE signing_keys SET algorithm = 'none'",
        "UPDATE signing_keys SET retired_at = created_at",
        "UPDATE clients SET id = ''",
        &format!("UPDATE clients SET secret_digest = {short_bytes}"),
        "UPDATE audit_events SET details = '['",
        "UPDATE attempts SET outcome = NULL",
    ] {
        let done = beside.execute(statement);
        // PostgreSQL ends no session for it, but a statement that failed must have failed for its value.
        assert!(done.is_err(), "{statement}: {done:?}");
    }
    assert_eq!(beside.dump(), before);
    alice.get("/auth/me").await.expect(200);
}

fn end(reason: EndReason, by: &str) -> End {
    End { at: now(), reason, by: Actor::system(by), note: None }
}

/// Looking first and writing then would let several win: each decision is one conditional statement.
#[rstest]
#[actix_web::test]
async fn of_eight_that_decide_at_once_one_wins(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__DATABASE__POOL_SIZE", "8")]).await;
    let other = app.another_node().await;
    app.user("alice", "agent").await;
    for _ in 0..10 {
        let alice = app.log_in("alice").await;
        let id: SessionId = alice.session_id.parse().unwrap();
        let session = app.app.sessions.find(id).await.unwrap().unwrap();
        let at = app.now() + TimeDelta::seconds(1);
        let store_of = |number: usize| if number.is_multiple_of(2) { &app.app.store } else { &other.app.store };
        let count = |won: Vec<Result<bool, StoreError>>| won.into_iter().filter(|one| one.clone().unwrap()).count();

        let spend = |number| {
            let (refresh, ip) = (session.refresh.next(at), session.client_info.ip);
            let token = CurrentToken { id: vigie::model::id::TokenId::new(at), issued_at: at, expires_at: at };
            let seen = SessionUse { at, ip, idle_expires_at: at };
            store_of(number).write(move |db| sessions::spend(db, id, 0, &refresh, &token, seen))
        };
        assert_eq!(count(join_all((0..8).map(spend)).await), 1, "spends");

        let finish = |number: usize| {
            let end = end(EndReason::Logout, &format!("number {number}"));
            store_of(number).write(move |db| {
                Ok::<_, StoreError>(sessions::end_all(db, &[Closing { id, end: &end, last_use: None }])?.contains(&id))
            })
        };
        let won: Vec<_> = join_all((0..8).map(finish)).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "ends");
        let winner = format!("number {}", won.iter().position(|won| *won).unwrap());
        let recorded = app.app.sessions.find(id).await.unwrap().unwrap().end.unwrap();
        assert_eq!(recorded.by.id, winner, "the first end stays");

        let (secret, user_id) = (Secret::random().digest(), session.user_id);
        let issue = move |db: &mut vigie::store::Db| {
            one_time_tokens::replace(db, secret, TokenPurpose::Reset(user_id), now(), now())
        };
        app.app.store.write(issue).await.unwrap();
        let take = |number| {
            store_of(number).write(move |db| Ok::<_, StoreError>(one_time_tokens::take(db, secret)?.is_some()))
        };
        assert_eq!(count(join_all((0..8).map(take)).await), 1, "takes");
    }
}

/// What is recorded of an end covers the last use, so that both are written together; an older use changes nothing.
#[rstest]
#[actix_web::test]
async fn an_end_brings_the_last_use_with_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut all = Vec::new();
    for seconds in [None, Some(60), Some(-60)] {
        let id: SessionId = app.log_in("alice").await.session_id.parse().unwrap();
        let session = app.app.sessions.find(id).await.unwrap().unwrap();
        let used = seconds.map(|seconds| SessionUse {
            at: session.last_seen_at + TimeDelta::seconds(seconds),
            ip: [198, 51, 100, 7].into(),
            idle_expires_at: session.idle_expires_at + TimeDelta::seconds(seconds),
        });
        all.push((session, used));
    }
    let end = end(EndReason::Logout, "somebody");
    let asked = all.clone();
    let finish = move |db: &mut _| {
        let closings = asked.iter().map(|(session, used)| Closing { id: session.id, end: &end, last_use: *used });
        sessions::end_all(db, &closings.collect::<Vec<_>>())
    };
    assert_eq!(app.app.store.write(finish).await.unwrap().len(), 3);
    for (before, used) in all {
        let after = app.app.sessions.find(before.id).await.unwrap().unwrap();
        let last = used.filter(|used| used.at > before.last_seen_at).unwrap_or(SessionUse {
            at: before.last_seen_at,
            ip: before.last_ip,
            idle_expires_at: before.idle_expires_at,
        });
        assert_eq!(
            (after.last_seen_at, after.last_ip, after.idle_expires_at),
            (last.at, last.ip, last.idle_expires_at)
        );
        assert_eq!(after.end.map(|end| end.reason), Some(EndReason::Logout));
    }
}

/// Whoever comes first: an ended session is never refreshed, and a refresh never takes back an end.
#[rstest]
#[actix_web::test]
async fn an_end_and_a_refresh_at_once_leave_an_ended_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let other = app.another_node().await;
    app.user("alice", "agent").await;
    for _ in 0..15 {
        let alice = app.log_in("alice").await;
        let at_other = other.nobody().with_token(alice.token());
        let (refreshed, ended) = tokio::join!(alice.refresh(), at_other.post_empty("/auth/logout"));
        ended.expect(204);
        if refreshed.status == 200 {
            let next = app.client(&refreshed.json());
            next.get("/auth/me").await.problem(401, "session_ended");
            next.refresh().await.problem(401, "session_ended");
        } else {
            refreshed.problem(401, "session_ended");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn one_that_fails_undoes_nothing_of_those_that_were_committed_with_it(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (store, _database) = migrated(backend).await;
    add(&store, user("taken")).await.unwrap();
    let works = (0..60).map(|number| {
        let (first, second) = (user(&format!("first-{number}")), user(&format!("second-{number}")));
        let second = if number % 5 == 0 { user("taken") } else { second };
        store.write(move |db| {
            users::insert(db, &first, None)?;
            users::insert(db, &second, None)
        })
    });
    for (number, result) in join_all(works).await.into_iter().enumerate() {
        let fails = number % 5 == 0;
        assert_eq!(result.is_err(), fails, "{number}: {result:?}");
        let folded = format!("first-{number}");
        let kept = store.read(move |db| users::find_by_name(db, &folded)).await.unwrap();
        assert_eq!(kept.is_some(), !fails, "{number}");
    }
}

fn event(number: usize) -> AuditEvent {
    let subject = Subject::new(SubjectKind::User, number);
    AuditEvent::new(now(), Details::UserEnabled {}, &AuditContext::system("test"), subject)
}

async fn recorded(store: &Store) -> Vec<usize> {
    let page = store.read(|db| audit::list(db, &EventFilter::default(), None, 1_000)).await.unwrap();
    page.items.iter().rev().map(|recorded| recorded.event.subject.id.as_deref().unwrap().parse().unwrap()).collect()
}

#[rstest]
#[actix_web::test]
async fn the_record_is_numbered_in_the_order_of_the_commits(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, _database) = migrated(backend).await;
    for number in 0..20 {
        store.write(move |db| audit::record(db, &event(number))).await.unwrap();
    }
    assert_eq!(recorded(&store).await, (0..20).collect::<Vec<_>>());
    if backend == Sqlite {
        // One writer: what was asked for first is done first, also where nobody waited in between.
        let works = (20..200).map(|number| store.write(move |db| audit::record(db, &event(number))));
        join_all(works).await.into_iter().for_each(Result::unwrap);
        assert_eq!(recorded(&store).await, (0..200).collect::<Vec<_>>());
    }
}

/// What was removed last is what the event says that was recorded last, also where the clock was set back in between.
#[rstest]
#[actix_web::test]
async fn the_newest_event_of_a_kind_is_the_one_recorded_last(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, _database) = migrated(backend).await;
    let newest = async |limit: i64| -> Vec<Value> {
        let events = store.read(move |db| audit::newest_of(db, AuditKind::RetentionRan, limit)).await.unwrap();
        events.into_iter().map(|event| event.event.details["records"]["before"].clone()).collect()
    };
    assert_eq!(newest(i64::MAX).await, Vec::<Value>::new());
    let hours = [3, 1, 2];
    let events = hours.map(|hour| {
        let at = now() + TimeDelta::hours(hour);
        let details =
            RetentionCutoffs { records: Some(hour), ..RetentionCutoffs::default() }.details(Counts::default());
        AuditEvent::new(at, details, &AuditContext::system("test"), Subject::everybody())
    });
    store.write(move |db| audit::record_all(db, &events)).await.unwrap();
    store.write(|db| audit::record(db, &event(1))).await.unwrap();
    assert_eq!(newest(1).await, [2]);
    assert_eq!(newest(i64::MAX).await, [2, 1, 3]);
}

#[rstest]
#[actix_web::test]
async fn a_reading_cannot_write(#[values(Sqlite)] backend: Backend) {
    let (store, database) = migrated(backend).await;
    let before = dump(&database.url);
    let refused = store.read(|db| users::insert(db, &user("alice"), None)).await.unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
    assert_eq!(dump(&database.url), before);
}

/// A client hangs up in the middle: its request is dropped, what it asked of the store is done wholly or not at all.
#[rstest]
#[actix_web::test]
async fn a_write_whose_caller_goes_away_is_whole(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, _database) = migrated(backend).await;
    for number in 0..20 {
        let (first, second) = (user(&format!("first-{number}")), user(&format!("second-{number}")));
        let work = store.write(move |db| {
            users::insert(db, &first, None)?;
            users::insert(db, &second, None)
        });
        // Long enough to be asked for, not always long enough to be done.
        let patience = Duration::from_micros(number * 100);
        drop(tokio::time::timeout(patience, work).await);
    }
    let numbers = async |part: &str| -> Vec<String> {
        names_like(&store, part).await.iter().map(|name| name.replace(part, "")).collect()
    };
    // What was asked for may still be under way.
    until("what was done is whole", async || {
        let (firsts, seconds) = (numbers("first-").await, numbers("second-").await);
        if firsts.is_empty() || firsts != seconds { Err((firsts, seconds)) } else { Ok(()) }
    })
    .await;
    add(&store, user("afterwards")).await.unwrap();
}
