//! Many logins at once: bounded, answered 503 beyond the bound, and no burden on those who are logged in (PWD-14).

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// PWD-14: the hashing queue is bounded; beyond it a login is told to come back, and checks go on.
#[rstest]
#[actix_web::test]
async fn pwd_14_a_storm_of_logins_is_bounded_and_refuses_no_check(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [("VIGIE__PASSWORDS__HASHING_QUEUE", "2"), ("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "8192")];
    let app = TestApp::start_with(backend, &settings).await;
    let alice = app.signed_in("alice").await;
    for number in 0..40 {
        app.user(&format!("user{number}"), "agent").await;
    }
    let login = |number: usize| {
        let body = json!({ "username": format!("user{number}"), "password": PASSWORD });
        let nobody = app.nobody();
        async move { nobody.post("/auth/login", body).await }
    };
    let check = |_| async { alice.get("/auth/me").await };
    let (logins, checks): (Vec<Answer>, Vec<Answer>) =
        futures_util::future::join(join_all((0..40).map(login)), join_all((0..20).map(check))).await;
    assert!(checks.iter().all(|answer| answer.status == 200), "{checks:?}");
    let refused: Vec<&Answer> = logins.iter().filter(|answer| answer.status == 503).collect();
    let accepted = logins.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(refused.len() + accepted, logins.len(), "{logins:?}");
    assert!(!refused.is_empty() && accepted > 0, "{accepted} accepted of {}", logins.len());
    for answer in refused {
        assert!(answer.header("retry-after").is_some());
        answer.clone().problem(503, "unavailable");
    }
}
