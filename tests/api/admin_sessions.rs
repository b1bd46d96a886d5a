//! The history of sessions as administrators and reviewers see it: find, look into, end, cut off.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::client::{ClientId, LoginClient};
use vigie::model::session::{Actor, ClientInfo, EndReason, Session};
use vigie::model::user::{Role, User, Username};
use vigie::user::change::UserChange;

use crate::support::app::{TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::history::{ended, every_page, label_set, labels, token_id};
use vigie::model::audit::AuditContext;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn from(ip: &str, user_agent: &str) -> ClientInfo {
    ClientInfo { ip: ip.parse().expect("an address"), user_agent: Some(user_agent.to_owned()) }
}

fn hours(hours: i64) -> TimeDelta {
    TimeDelta::hours(hours)
}

/// Seven sessions of three users, none like another.
async fn history(app: &TestApp) -> [User; 3] {
    let (alice, bob, carol) =
        (app.user("alice", "agent").await, app.user("bob", "agent").await, app.user("Carol", "chef").await);
    let now = app.now();
    let root = Actor::system("root");
    let crm = LoginClient::of(ClientId::parse("crm").ok(), false);
    let sessions = vec![
        Session {
            client_info: from("192.0.2.10", "Mozilla/5.0 Firefox/130.0"),
            client: crm.clone(),
            end: Some(ended(now - hours(40), EndReason::Logout, &Actor::user(alice.id), None)),
            ..app.session(&alice, "a1", hours(48))
        },
        Session {
            client_info: from("192.0.2.200", "curl/8.9 100%_sure\\"),
            last_seen_at: now - hours(3),
            ..app.session(&alice, "a2", hours(5))
        },
        Session {
            client_info: from("2001:db8:1::1", "Mozilla/5.0 FIREFOX/131.0"),
            end: Some(ended(now - hours(20), EndReason::EndedByAdmin, &root, Some("found in a log"))),
            ..app.session(&bob, "b1", hours(24))
        },
        Session { client_info: from("192.0.3.1", "1000 sure"), client: crm, ..app.session(&bob, "b2", hours(2)) },
        Session {
            client_info: from("2001:db8:2::1", "okhttp/4"),
            end: Some(ended(now - hours(1), EndReason::Expired, &Actor::system("expiry"), None)),
            ..app.session(&carol, "c1", hours(13))
        },
        Session { client_info: from("198.51.100.1", "okhttp/5"), ..app.session(&carol, "c2", hours(1)) },
        // Its idle time came before anybody recorded it.
        Session {
            client_info: from("203.0.113.5", "okhttp/5"),
            idle_expires_at: now - hours(6),
            ..app.session(&carol, "c3", hours(7))
        },
    ];
    app.add_sessions(sessions).await;
    [alice, bob, carol]
}

fn set(names: &str) -> BTreeSet<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// A time as it is written in a query.
fn at(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// ADM-10.
#[rstest]
#[actix_web::test]
async fn each_filter_finds_its_sessions_and_no_other(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let [alice, bob, _] = history(&app).await;
    let all = admin.get("/admin/sessions").await.expect(200);
    let token = |label: &str| {
        let one = all["items"].as_array().expect("rows").iter().find(|session| session["device_name"] == label);
        token_id(one.expect("a session"))
    };
    let ago = |count| at(app.now() - hours(count));
    for (query, expected) in [
        (String::new(), "a1 a2 b1 b2 c1 c2 c3 root"),
        ("user=ALICE".into(), "a1 a2"),
        (format!("user={}", alice.id), "a1 a2"),
        ("user=nobody".into(), ""),
        (format!("user={NIL}"), ""),
        ("role=chef".into(), "c1 c2 c3"),
        ("role=admin".into(), "root"),
        ("state=active".into(), "a2 b2 c2 root"),
        ("state=ended".into(), "a1 b1 c1 c3"),
        ("state=all&role=agent".into(), "a1 a2 b1 b2"),
        ("reason=logout".into(), "a1"),
        ("reason=idle_timeout".into(), "c3"),
        ("reason=ended_by_admin".into(), "b1"),
        ("ip=192.0.2.10".into(), "a1"),
        ("ip=192.0.2.0/24".into(), "a1 a2"),
        ("ip=192.0.2.77/23".into(), "a1 a2 b2"),
        ("ip=2001:db8:1::1".into(), "b1"),
        ("ip=2001:db8::/32".into(), "b1 c1"),
        ("ip=2000::/3".into(), "b1 c1"),
        // The addresses of IPv4 are a part of this space (RFC 4291 §2.5.5.2).
        ("ip=::/0".into(), "b1 c1"),
        ("not_ip=::/0".into(), "a1 a2 b2 c2 c3 root"),
        ("ip=0.0.0.0/0".into(), "a1 a2 b2 c2 c3 root"),
        ("ip=::ffff:192.0.2.10".into(), "a1"),
        ("client_id=crm".into(), "a1 b2"),
        ("client_id=cr".into(), ""),
        ("user_agent=firefox".into(), "a1 b1"),
        ("user_agent=100%25".into(), "a2"),
        ("user_agent=100_".into(), ""),
        ("user_agent=%25_SURE".into(), "a2"),
        ("user_agent=%5C".into(), "a2"),
        ("user_agent=__".into(), ""),
        (format!("started_from={}&started_to={}", ago(24), ago(5)), "b1 c1 c3"),
        (format!("started_from={}", ago(5)), "a2 b2 c2 root"),
        (format!("last_seen_from={}&last_seen_to={}", ago(3), ago(2)), "a2"),
        (format!("ended_from={}&ended_to={}", ago(20), ago(1)), "b1 c3"),
        (format!("ended_to={}", ago(20)), "a1"),
        ("ended_by=root".into(), "b1"),
        (format!("ended_by={}", alice.id), "a1"),
        ("ended_by=expiry".into(), "c1 c3"),
        (format!("user=carol&state=ended&reason=expired&ip=2001:db8::/32&started_to={}", ago(12)), "c1"),
        ("user=alice&role=chef".into(), ""),
        // Several values: one of them. Excluded ones: none of them, and what has no such value stays.
        (format!("user=ALICE&user={}&user=nobody", bob.id), "a1 a2 b1 b2"),
        ("not_user=alice&not_user=nobody".into(), "b1 b2 c1 c2 c3 root"),
        ("user=alice&user=bob&not_user=bob".into(), "a1 a2"),
        ("user=nobody&not_user=alice".into(), ""),
        ("role=chef&role=admin".into(), "c1 c2 c3 root"),
        ("not_role=agent".into(), "c1 c2 c3 root"),
        ("state=active&state=ended&role=chef".into(), "c1 c2 c3"),
        ("not_state=active".into(), "a1 b1 c1 c3"),
        ("not_state=all".into(), ""),
        ("reason=logout&reason=expired".into(), "a1 c1"),
        ("not_reason=logout&not_reason=expired".into(), "a2 b1 b2 c2 c3 root"),
        ("ip=192.0.2.0/24&ip=2001:db8:2::1".into(), "a1 a2 c1"),
        ("not_ip=192.0.2.0/24&not_ip=2001:db8::/32".into(), "b2 c2 c3 root"),
        ("ip=192.0.2.0/23&not_ip=192.0.2.10".into(), "a2 b2"),
        ("not_client_id=crm".into(), "a2 b1 c1 c2 c3 root"),
        ("client_id=crm&client_id=shop&not_reason=logout".into(), "b2"),
        ("user_agent=firefox&user_agent=okhttp".into(), "a1 b1 c1 c2 c3"),
        ("not_user_agent=firefox&not_user_agent=100%25".into(), "b2 c1 c2 c3 root"),
        (format!("ended_by=root&ended_by={}", alice.id), "a1 b1"),
        ("not_ended_by=root&state=ended".into(), "a1 c1 c3"),
        (format!("token={}&token={NIL}", token("a2")), "a2"),
        (format!("not_token={}&user=alice", token("a2")), "a1"),
    ] {
        let found = admin.get(&format!("/admin/sessions?{query}")).await.expect(200);
        assert_eq!(label_set(&found), set(expected), "{query}");
        assert_eq!(found["next_cursor"], Value::Null);
    }
}

/// ADM-10, P5.
#[rstest]
#[actix_web::test]
async fn a_user_is_found_by_every_name_ever_had_and_after_deletion(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let [alice, bob, _] = history(&app).await;
    let renamed = UserChange { username: Username::parse("alicia").ok(), ..UserChange::default() };
    app.app.users.change(alice.id, renamed, &AuditContext::command_line()).await.expect("renamed");
    app.add_sessions(vec![Session {
        username: Username::parse("alicia").expect("a name"),
        ..app.session(&alice, "a3", hours(0))
    }])
    .await;
    app.app.users.delete(bob.id, &AuditContext::command_line()).await.expect("deleted");
    for name in ["alice", "Alicia", &alice.id.to_string()] {
        let found = admin.get(&format!("/admin/sessions?user={name}")).await.expect(200);
        assert_eq!(label_set(&found), set("a1 a2 a3"), "{name}");
    }
    let a1 = admin.get("/admin/sessions?ip=192.0.2.10").await.expect(200);
    assert_eq!(a1["items"][0]["user"]["username"], "alice", "the name at the time of login");
    for name in ["bob", &bob.id.to_string()] {
        let found = admin.get(&format!("/admin/sessions?user={name}")).await.expect(200);
        assert_eq!(label_set(&found), set("b1 b2"), "{name}");
    }
}

/// ADM-10.
#[rstest]
#[actix_web::test]
async fn sessions_are_listed_in_the_order_asked_for(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    history(&app).await;
    for (sort, expected) in [
        ("", "c2 b2 a2 c3 c1 b1 a1"),
        ("&sort=-started_at", "c2 b2 a2 c3 c1 b1 a1"),
        ("&sort=started_at", "a1 b1 c1 c3 a2 b2 c2"),
        ("&sort=-last_seen_at", "c2 b2 a2 c3 c1 b1 a1"),
    ] {
        let everybody_else = at(app.now());
        let found = admin.get(&format!("/admin/sessions?started_to={everybody_else}{sort}")).await.expect(200);
        assert_eq!(labels(&found).join(" "), expected, "{sort}");
    }
}

/// ADM-10: every token ever issued to a session leads to it.
#[rstest]
#[actix_web::test]
async fn a_session_is_found_by_each_of_its_tokens(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    app.signed_in("bob").await;
    let mut alice = app.signed_in("alice").await;
    let me = alice.get("/auth/me").await.expect(200);
    let mut ids = vec![token_id(&me["session"])];
    for _ in 0..2 {
        app.advance(TimeDelta::minutes(1));
        let answer = alice.refresh().await.expect(200);
        ids.push(token_id(&answer["session"]));
        alice = app.client(&answer);
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
    for id in ids {
        let found = admin.get(&format!("/admin/sessions?token={id}")).await.expect(200);
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(found["items"][0]["id"], alice.session_id);
        assert_eq!(found["items"][0]["token"]["refreshes"], 2);
    }
    let found = admin.get(&format!("/admin/sessions?token={NIL}")).await.expect(200);
    assert_eq!(found["items"], json!([]));
}

/// ADM-10: of 300 sessions with few different times each is shown once, in each order, while further ones start.
#[rstest]
#[actix_web::test]
async fn pages_have_no_gap_and_no_duplicate_while_sessions_start(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.user("alice", "agent").await;
    let many = |count: usize| {
        let session =
            |number: usize| app.session(&alice, "early", TimeDelta::hours(i64::from(number.is_multiple_of(3))));
        (0..count).map(session).collect::<Vec<_>>()
    };
    let early = many(300);
    let expected: BTreeSet<String> = early.iter().map(|session| session.id.to_string()).collect();
    app.add_sessions(early).await;
    for sort in ["-started_at", "started_at", "-last_seen_at"] {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut order: Vec<(String, String)> = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/admin/sessions?user=alice&sort={sort}&limit=37{cursor}");
            let page = admin.get(&path).await.expect(200);
            for row in page["items"].as_array().expect("rows") {
                let text = |name: &str| row[name].as_str().expect("a text").to_owned();
                *seen.entry(text("id")).or_default() += 1;
                order.push((text(sort.trim_start_matches('-')), text("id")));
            }
            app.add_sessions(many(3)).await;
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(seen.values().all(|&times| times == 1), "{sort}: no duplicate");
        assert!(expected.iter().all(|id| seen.contains_key(id)), "{sort}: no gap");
        let in_order = |pair: &[(String, String)]| (pair[0] < pair[1]) != sort.starts_with('-');
        assert!(order.windows(2).all(in_order), "{sort}: one total order");
    }
}

#[rstest]
#[actix_web::test]
async fn what_does_not_fit_is_refused_with_its_name(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    history(&app).await;
    for query in [
        "usr=alice",
        "state=gone",
        "reason=bored",
        "ip=192.0.2",
        "ip=192.0.2.0/33",
        "started_from=yesterday",
        "token=1",
        "sort=ip",
        "limit=0",
        "limit=501",
        "limit=-1",
        "user=",
        "started_from=2026-01-01T00:00:00Z&started_from=2026-01-02T00:00:00Z",
        "not_started_from=2026-01-01T00:00:00Z",
        "not_usr=alice",
        "not_reason=logout&not_reason=bored",
        "limit=3&limit=4",
        &["user=a"; 21].join("&"),
    ] {
        let problem = admin.get(&format!("/admin/sessions?{query}")).await.problem(422, "invalid_input");
        let name = query.split('=').next().expect("a name");
        assert!(problem["errors"].to_string().contains(name), "{query}: {problem}");
    }
    let page = admin.get("/admin/sessions?limit=2").await.expect(200);
    let cursor = page["next_cursor"].as_str().expect("a cursor").to_owned();
    admin.get(&format!("/admin/sessions?limit=3&cursor={cursor}")).await.expect(200);
    for query in [
        format!("sort=started_at&cursor={cursor}"),
        format!("cursor={}", &cursor[1..]),
        "cursor=AAAA".to_owned(),
        "cursor=%00".to_owned(),
        "cursor=".to_owned(),
    ] {
        admin.get(&format!("/admin/sessions?{query}")).await.problem(400, "malformed_request");
    }
    admin.get(&format!("/admin/attempts?cursor={cursor}")).await.problem(400, "malformed_request");
}

/// SES-17: who, when, why.
#[rstest]
#[actix_web::test]
async fn a_session_is_shown_with_what_happened_in_it_and_its_siblings(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::seconds(1));
    let sibling = app.log_in("alice").await;
    app.signed_in("bob").await;
    let refreshed = alice.refresh().await.expect(200);
    app.advance(TimeDelta::seconds(1));
    app.client(&refreshed).post_empty("/auth/logout").await.expect(204);
    let found = auditor.get(&format!("/admin/sessions/{}", alice.session_id)).await.expect(200);
    let session = &found["session"];
    assert_eq!(session["id"], alice.session_id);
    assert_eq!((&session["state"], &session["end_reason"]), (&json!("ended"), &json!("logout")));
    assert_eq!(session["ended_by"], json!({ "kind": "user", "id": session["user"]["id"] }));
    let kinds: Vec<&str> =
        found["timeline"].as_array().expect("events").iter().filter_map(|e| e["kind"].as_str()).collect();
    assert_eq!(kinds, ["session.started", "session.refreshed", "session.ended"]);
    let siblings: Vec<&Value> = found["siblings"].as_array().expect("sessions").iter().map(|s| &s["id"]).collect();
    assert_eq!(siblings, [&json!(sibling.session_id)]);
    for id in [NIL, "no-id"] {
        auditor.get(&format!("/admin/sessions/{id}")).await.problem(404, "not_found");
    }
}

/// SES-12, P2.
#[rstest]
#[actix_web::test]
async fn an_administrator_ends_a_session_with_a_note(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, alice) = (app.admin().await, app.signed_in("alice").await);
    let other = app.log_in("alice").await;
    let path = format!("/admin/sessions/{}/end", alice.session_id);
    admin.post(&path, json!({ "note": "lost telephone" })).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.refresh().await.problem(401, "session_ended");
    other.get("/auth/me").await.expect(200);
    // A second end succeeds and changes nothing.
    app.advance(TimeDelta::seconds(9));
    admin.post_empty(&path).await.expect(204);
    let found = admin.get(&format!("/admin/sessions/{}", alice.session_id)).await.expect(200);
    let me = admin.get("/auth/me").await.expect(200);
    assert_eq!(found["session"]["end_reason"], "ended_by_admin");
    assert_eq!(found["session"]["note"], "lost telephone");
    assert_eq!(found["session"]["ended_by"], json!({ "kind": "admin", "id": me["user"]["id"] }));
    let ends = found["timeline"].as_array().expect("events").iter().filter(|event| event["kind"] == "session.ended");
    assert_eq!(ends.count(), 1);
    for id in [NIL, "no-id"] {
        admin.post_empty(&format!("/admin/sessions/{id}/end")).await.problem(404, "not_found");
    }
    admin.post(&path, json!({ "note": "x".repeat(501) })).await.problem(422, "invalid_input");
    admin.post(&path, json!({ "remark": "x" })).await.problem(422, "invalid_input");
}

/// SES-12.
#[rstest]
#[actix_web::test]
async fn all_sessions_that_match_are_ended_together(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    history_of_bob(&app).await;
    let end = async |body: Value| admin.post("/admin/sessions/end", body).await;
    for filter in [json!({}), json!({ "state": "active" }), json!({ "state": "all" })] {
        end(json!({ "filter": filter })).await.problem(422, "invalid_input");
        end(json!({ "filter": filter, "dry_run": true })).await.problem(422, "invalid_input");
    }
    end(json!({})).await.problem(422, "invalid_input");
    end(json!({ "filter": { "usr": "bob" } })).await.problem(422, "invalid_input");
    end(json!({ "filter": { "user": "bob", "state": "ended" } })).await.problem(422, "invalid_input");
    let trial = end(json!({ "filter": { "ip": "198.51.100.0/24" }, "dry_run": true })).await.expect(200);
    assert_eq!(trial, json!({ "matched": 600, "ended": 0 }));
    let ended = end(json!({ "filter": { "ip": "198.51.100.0/24" }, "note": "stolen list" })).await.expect(200);
    assert_eq!(ended, json!({ "matched": 600, "ended": 600 }));
    alice.get("/auth/me").await.expect(200);
    let rows = every_page(&admin, "/admin/sessions?user=bob", 500).await;
    assert_eq!(rows.len(), 601);
    assert_eq!(rows.iter().filter(|row| row["end_reason"] == "bulk_end" && row["note"] == "stolen list").count(), 600);
    let again = end(json!({ "filter": { "ip": "198.51.100.0/24" } })).await.expect(200);
    assert_eq!(again, json!({ "matched": 0, "ended": 0 }));
    let events = admin.get("/admin/audit?kind=sessions.ended").await.expect(200);
    let details = &events["items"][1]["details"];
    assert_eq!(details["filter"], json!({ "ip": "198.51.100.0/24" }));
    assert_eq!((&details["matched"], &details["ended"]), (&json!(600), &json!(600)));
    // Everything is everything: the caller's own session too.
    let all = end(json!({ "everything": true })).await.expect(200);
    assert_eq!(all, json!({ "matched": 2, "ended": 2 }));
    alice.get("/auth/me").await.problem(401, "session_ended");
    admin.get("/auth/me").await.problem(401, "session_ended");
}

/// SES-12: several values and excluded ones end what they would list; what is asked for is recorded as it was asked for.
#[rstest]
#[actix_web::test]
async fn sessions_are_ended_by_several_values_and_but_for_excluded_ones(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let (alice, bob, carol) = (app.signed_in("alice").await, app.signed_in("bob").await, app.signed_in("carol").await);
    let end = async |filter: Value| admin.post("/admin/sessions/end", json!({ "filter": filter })).await;
    for filter in [json!({ "not_state": "ended" }), json!({ "user": [] }), json!({ "user": vec!["alice"; 21] })] {
        end(filter).await.problem(422, "invalid_input");
    }
    let problem = end(json!({ "user": ["alice", 7] })).await.problem(422, "invalid_input");
    assert_eq!(problem["errors"][0]["pointer"], "/filter/user/1");
    end(json!({ "user": "alice", "not_state": "active" })).await.problem(422, "invalid_input");
    let filter = json!({ "user": ["ALICE", "bob", "nobody"], "not_user": "bob" });
    assert_eq!(end(filter.clone()).await.expect(200), json!({ "matched": 1, "ended": 1 }));
    alice.get("/auth/me").await.problem(401, "session_ended");
    bob.get("/auth/me").await.expect(200);
    let events = admin.get("/admin/audit?kind=sessions.end_begun&kind=sessions.ended").await.expect(200);
    let recorded: Vec<&Value> = events["items"].as_array().expect("rows").iter().collect();
    assert_eq!(recorded.len(), 2);
    assert!(recorded.iter().all(|event| event["details"]["filter"] == filter), "{events}");
    // What is excluded alone is not everybody.
    let ended = end(json!({ "not_role": ["admin", "chef"], "not_user": ["bob"] })).await.expect(200);
    assert_eq!(ended, json!({ "matched": 1, "ended": 1 }));
    carol.get("/auth/me").await.problem(401, "session_ended");
    bob.get("/auth/me").await.expect(200);
    let events = admin.get("/admin/audit?kind=sessions.ended").await.expect(200);
    let expected = json!({ "not_role": ["admin", "chef"], "not_user": "bob" });
    assert_eq!(events["items"][0]["details"]["filter"], expected);
}

/// 600 active sessions from one network, and one that has ended.
async fn history_of_bob(app: &TestApp) {
    let bob = app.user("bob", "agent").await;
    let mut sessions: Vec<Session> = (0..600).map(|_| app.session(&bob, "b", hours(1))).collect();
    sessions.push(Session {
        end: Some(ended(app.now(), EndReason::Logout, &Actor::user(bob.id), None)),
        ..app.session(&bob, "old", hours(2))
    });
    app.add_sessions(sessions).await;
}

async fn log_in_through(app: &TestApp, name: &str, client_id: &str) -> Value {
    let body = json!({ "username": name, "password": crate::support::app::PASSWORD, "client_id": client_id });
    app.nobody().post("/auth/login", body).await.expect(200)
}

/// REV-01: one write, effective with the next request, recorded session by session.
#[rstest]
#[actix_web::test]
async fn a_not_before_for_a_user_holds_from_the_next_request(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let id = admin.get("/admin/users?name=alice").await.expect(200)["items"][0]["id"].clone();
    app.advance(TimeDelta::seconds(1));
    admin.post("/admin/not-before", json!({ "user_id": id, "note": "stolen" })).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.refresh().await.problem(401, "session_ended");
    bob.get("/auth/me").await.expect(200);
    let found = admin.get("/admin/sessions?user=alice").await.expect(200);
    let session = &found["items"][0];
    assert_eq!((&session["state"], &session["end_reason"]), (&json!("ended"), &json!("not_before")));
    assert_eq!((&session["note"], &session["ended_by"]["kind"]), (&json!("stolen"), &json!("admin")));
    app.log_in("alice").await.get("/auth/me").await.expect(200);
}

/// The class of CVE-2026-8922: the latest of the three not-befores counts, whichever was set last.
#[rstest]
#[actix_web::test]
async fn the_latest_of_several_not_befores_counts(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("user", "client", "everybody")] latest: &str,
) {
    let app = TestApp::start(backend).await;
    app.user("root", "admin").await;
    let admin = app.log_in("root").await;
    app.registered_client("crm").await;
    let alice = app.user("alice", "agent").await;
    let start = app.now();
    app.advance(TimeDelta::seconds(60));
    let session = app.client(&log_in_through(&app, "alice", "crm").await);
    app.advance(TimeDelta::seconds(60));
    // The latest is set first, the others after it are earlier: they change nothing.
    let mut kinds = vec![latest];
    kinds.extend(["user", "client", "everybody"].into_iter().filter(|kind| *kind != latest));
    for (place, kind) in kinds.into_iter().enumerate() {
        let moment = if place == 0 { start + TimeDelta::seconds(61) } else { start - TimeDelta::seconds(60) };
        let mut body = json!({ "at": at(moment), "note": "cut" });
        match kind {
            "user" => body["user_id"] = json!(alice.id),
            "client" => body["client_id"] = json!("crm"),
            _ => {}
        }
        let admin = if app.now() > start { app.log_in("root").await } else { admin.clone() };
        admin.post("/admin/not-before", body).await.expect(204);
        session.get("/auth/me").await.problem(401, "session_ended");
        session.refresh().await.problem(401, "session_ended");
    }
    app.client(&log_in_through(&app, "alice", "crm").await).get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_not_before_for_a_client_spares_others(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    app.registered_client("crm").await;
    app.registered_client("shop").await;
    app.user("alice", "agent").await;
    let (crm, shop) = (log_in_through(&app, "alice", "crm").await, log_in_through(&app, "alice", "shop").await);
    app.advance(TimeDelta::seconds(1));
    admin.post("/admin/not-before", json!({ "client_id": "crm", "note": "secret lost" })).await.expect(204);
    app.client(&crm).get("/auth/me").await.problem(401, "session_ended");
    app.client(&shop).get("/auth/me").await.expect(200);
    let ends = admin.get("/admin/sessions?reason=not_before").await.expect(200);
    assert_eq!(ends["items"].as_array().map(Vec::len), Some(1));
}

/// A lower moment never gives back what a higher one took.
#[rstest]
#[actix_web::test]
async fn a_not_before_for_everybody_is_never_lowered(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, admin) = (app.signed_in("alice").await, app.admin().await);
    app.advance(TimeDelta::seconds(1));
    admin.post("/admin/not-before", json!({ "note": "everybody out" })).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    admin.get("/auth/me").await.problem(401, "session_ended");
    let admin = app.log_in("root").await;
    let earlier = at(app.now() - hours(9));
    admin.post("/admin/not-before", json!({ "at": earlier, "note": "oops" })).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    let later = at(app.now() + hours(1));
    for (body, status) in [
        (json!({ "at": later, "note": "x" }), 422),
        (json!({ "note": "x", "user_id": NIL }), 404),
        (json!({ "note": "x", "client_id": "none" }), 404),
        (json!({ "user_id": NIL, "client_id": "none", "note": "x" }), 422),
        (json!({}), 422),
    ] {
        admin.post("/admin/not-before", body).await.expect(status);
    }
}

#[rstest]
#[actix_web::test]
async fn a_token_that_was_found_leads_to_its_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, alice) = (app.admin().await, app.signed_in("alice").await);
    app.signed_in("bob").await;
    let refreshed = app.client(&alice.refresh().await.expect(200));
    refreshed.post_empty("/auth/logout").await.expect(204);
    for token in [alice.token(), refreshed.token(), &alice.refresh_token, &refreshed.refresh_token] {
        let found = admin.post("/admin/sessions/lookup", json!({ "token": token })).await.expect(200);
        assert_eq!(found["id"], alice.session_id);
        assert_eq!(found["state"], "ended");
    }
    for token in ["", "x", "vgr_x", "a.b.c", &"x".repeat(9_000)] {
        admin.post("/admin/sessions/lookup", json!({ "token": token })).await.problem(404, "not_found");
    }
    let events = admin.get("/admin/audit?kind=token.looked_up").await;
    assert!(!events.body.contains(&refreshed.refresh_token[4..]) && !events.body.contains(refreshed.token()));
    let events = events.expect(200);
    assert_eq!(events["items"].as_array().map(Vec::len), Some(4));
    assert_eq!(events["items"][0]["subject"], json!({ "kind": "session", "id": alice.session_id }));
}

async fn newest_event(reader: &TestClient<'_>, kind: &str) -> Value {
    reader.get(&format!("/admin/audit?kind={kind}&limit=1")).await.expect(200)["items"][0].clone()
}

/// ADM-06: who read, which filter, how many rows.
#[rstest]
#[actix_web::test]
async fn adm_06_reading_the_history_is_an_event(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    history(&app).await;
    let me = auditor.get("/auth/me").await.expect(200);
    auditor.get("/admin/sessions?user=alice&state=all&limit=1").await.expect(200);
    let event = newest_event(&auditor, "history.read").await;
    assert_eq!(event["actor"], json!({ "kind": "admin", "id": me["user"]["id"] }));
    assert_eq!(event["ip"], "127.0.0.1");
    assert_eq!(
        event["details"],
        json!({ "what": "sessions", "filter": { "user": "alice", "state": "all" }, "count": 1 })
    );
    auditor.get("/admin/attempts?outcome=success").await.expect(200);
    let event = newest_event(&auditor, "history.read").await;
    assert_eq!(event["details"], json!({ "what": "attempts", "filter": { "outcome": "success" }, "count": 1 }));
    // Reading the record is reading history too.
    let event = newest_event(&auditor, "history.read").await;
    assert_eq!(event["details"]["what"], "audit");
    auditor.get("/admin/sessions/export?format=csv&user=alice").await;
    let event = newest_event(&auditor, "history.exported").await;
    let details = json!({ "what": "sessions", "filter": { "user": "alice" }, "format": "csv", "count": 2 });
    assert_eq!(event["details"], details);
    let detail = admin_detail(&auditor).await;
    let event = newest_event(&auditor, "history.read").await;
    assert_eq!(event["subject"], json!({ "kind": "session", "id": detail }));
}

async fn admin_detail(auditor: &TestClient<'_>) -> Value {
    let id = auditor.get("/admin/sessions?limit=1").await.expect(200)["items"][0]["id"].clone();
    auditor.get(&format!("/admin/sessions/{}", id.as_str().expect("an id"))).await.expect(200);
    id
}

/// A role that a session was started with stays in its row.
#[rstest]
#[actix_web::test]
async fn a_row_keeps_the_role_of_its_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let [_, _, carol] = history(&app).await;
    let promoted = UserChange { role: Role::parse("agent").ok(), ..UserChange::default() };
    app.app.users.change(carol.id, promoted, &AuditContext::command_line()).await.expect("changed");
    let found = admin.get("/admin/sessions?role=chef").await.expect(200);
    assert_eq!(label_set(&found), set("c1 c2 c3"));
}
