//! A unit of work that panics, a store that is closed, a row that makes no sense: others go on, and nothing of it is an
//! answer about a token.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;
use rstest::rstest;
use vigie::model::id::UserId;
use vigie::model::user::{Role, User, UserState, Username};
use vigie::session::check::CheckError;
use vigie::store::{StoreError, users};

use super::assert_unavailable;
use crate::support::app::{BY_QUERY, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn user(app: &TestApp, name: &str) -> User {
    User {
        id: UserId::new(app.now()),
        username: Username::parse(name).unwrap(),
        role: Role::parse("agent").unwrap(),
        state: UserState::Active,
        password_hash: None,
        created_at: app.now(),
        password_changed_at: None,
        must_change_password_since: None,
        email: None,
    }
}

#[rstest]
#[actix_web::test]
async fn a_unit_of_work_that_panics_neither_stops_the_store_nor_loses_what_others_were_told_is_kept(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for round in 0..5 {
        let works = (0..20).map(|number| {
            let new = user(&app, &format!("user-{round}-{number}"));
            app.app.store.write(move |db| {
                users::insert(db, &new, None)?;
                assert!(number != 7, "on purpose");
                Ok::<_, StoreError>(new.id)
            })
        });
        let results = join_all(works).await;
        assert!(matches!(results[7], Err(StoreError::Unavailable(_))), "{:?}", results[7]);
        for (number, result) in results.into_iter().enumerate() {
            let name = format!("user-{round}-{number}");
            let found = app.app.users.find_by_id_or_name(&name).await.unwrap().map(|user| user.id);
            assert_eq!(found, result.ok(), "{name}: kept if and only if its caller was told so");
        }
    }
    app.user("alice", "agent").await;
}

#[rstest]
#[actix_web::test]
async fn a_reading_that_panics_is_told_as_unavailable_and_the_next_works(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for _ in 0..10 {
        let result: Result<(), StoreError> = app.app.store.read(|_| panic!("on purpose")).await;
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    assert_eq!(app.app.store.ping().await, Ok(()));
}

#[rstest]
#[actix_web::test]
async fn a_row_that_makes_no_sense_is_told_as_503_and_never_as_an_answer_about_a_token(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let break_and_mend = [
        (
            "UPDATE sessions SET ended_at = started_at, end_reason = 'nonsense', ended_by_kind = 'user'",
            "UPDATE sessions SET ended_at = NULL, end_reason = NULL, ended_by_kind = NULL",
        ),
        ("UPDATE users SET username = ' '", "UPDATE users SET username = 'alice'"),
        ("UPDATE users SET role = ' '", "UPDATE users SET role = 'agent'"),
    ];
    for (broken, mended) in break_and_mend {
        beside.execute(broken).unwrap();
        assert_unavailable(&alice.get("/auth/me").await, broken);
        assert_unavailable(&alice.refresh().await, broken);
        beside.execute(mended).unwrap();
        alice.get("/auth/me").await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn a_store_fault_is_never_an_answer_about_a_token(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    let mut beside = Beside::connect(&app.database.url);
    for table in ["sessions", "users", "signing_keys", "not_befores"] {
        beside.execute(&format!("ALTER TABLE {table} RENAME TO gone")).unwrap();
        let checked = app.app.sessions.check(alice.token(), HERE).await;
        assert!(matches!(checked, Err(CheckError::Store(_))), "without {table}: {checked:?}");
        assert_unavailable(&alice.get("/auth/verify").await, table);
        assert_unavailable(&alice.refresh().await, table);
        beside.execute(&format!("ALTER TABLE gone RENAME TO {table}")).unwrap();
        alice.get("/auth/verify").await.expect(200);
    }
}

#[actix_web::test]
async fn after_the_store_was_closed_writes_are_told_so() {
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    app.app.store.close();
    assert_unavailable(&alice.post_empty("/auth/logout").await, "a logout after the end");
    assert_unavailable(&alice.refresh().await, "a refresh after the end");
}
