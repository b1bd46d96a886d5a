//! The console: everybody's sessions, as administrators and reviewers find them, look into them and end them.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditKind;
use vigie::model::client::{ClientId, LoginClient};
use vigie::model::session::{Actor, ClientInfo, EndReason, Session};
use vigie::model::user::User;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::history::{ended, token_id};

const LIST: &str = "/console/sessions";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// Six sessions of two users, none like another; the first of them is returned.
async fn history(app: &TestApp) -> [User; 2] {
    let (alice, bob) = (app.user("alice", "agent").await, app.user("bob", "chef").await);
    let from = |ip: &str, agent: &str| ClientInfo { ip: ip.parse().unwrap(), user_agent: Some(agent.to_owned()) };
    let (now, hours) = (app.now(), TimeDelta::hours);
    let crm = LoginClient::of(ClientId::parse("crm").ok(), false);
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    app.add_sessions(vec![
        Session {
            client_info: from("192.0.2.10", firefox),
            client: crm.clone(),
            end: Some(ended(now - hours(40), EndReason::Logout, &Actor::user(alice.id), None)),
            ..app.session(&alice, "a1", hours(48))
        },
        Session {
            client_info: from("192.0.2.200", "curl/8.9"),
            last_seen_at: now - hours(3),
            ..app.session(&alice, "a2", hours(5))
        },
        Session {
            client_info: from("2001:db8:1::1", "okhttp/4"),
            end: Some(ended(now - hours(20), EndReason::EndedByAdmin, &Actor::admin(bob.id), Some("vu\nailleurs"))),
            ..app.session(&bob, "b1", hours(24))
        },
        Session { client_info: from("192.0.3.1", "okhttp/4"), client: crm, ..app.session(&bob, "b2", hours(2)) },
        Session {
            client_info: from("192.0.3.1", "okhttp/5"),
            end: Some(ended(now - hours(1), EndReason::Expired, &Actor::system("expiry"), None)),
            ..app.session(&bob, "b3", hours(13))
        },
        // Its idle time came before anybody recorded it.
        Session { idle_expires_at: now - hours(6), ..app.session(&alice, "a3", hours(7)) },
    ])
    .await;
    [alice, bob]
}

/// The sessions of the list that a page shows, in their order.
fn listed(page: &str) -> Vec<String> {
    let links = page.split("<a class=\"button quiet\" href=\"/console/sessions/").skip(1);
    links.map(|link| link.split('"').next().unwrap().to_owned()).collect()
}

/// The sessions that the API lists.
async fn api_lists(reader: &TestClient<'_>, query: &str) -> Vec<String> {
    let list = reader.get(&format!("/admin/sessions?{query}")).await.expect(200);
    list["items"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// The address that a link of the page leads to.
fn link(page: &str, text: &str) -> String {
    let (before, _) = page.split_once(&format!(">{text}</a>")).unwrap_or_else(|| panic!("{text}: {page}"));
    let (_, tag) = before.rsplit_once("<a ").unwrap();
    let (_, address) = tag.split_once("href=\"").unwrap();
    address.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")
}

fn at(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Somebody of this role who has just logged in.
async fn reader<'a>(app: &'a TestApp, role: &str) -> Browser<'a> {
    app.user(role, role).await;
    Browser::logged_in(app, role).await
}

#[rstest]
#[actix_web::test]
async fn adm_10_a_page_lists_what_the_api_lists_for_the_same_query(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let mut browser = reader(&app, "auditor").await;
    let [alice, bob] = history(&app).await;
    let all = root.get("/admin/sessions?user=alice").await.expect(200);
    let ago = |hours| at(app.now() - TimeDelta::hours(hours));
    for query in [
        String::new(),
        "user=ALICE".into(),
        format!("user={}", alice.id),
        format!("not_user={}", alice.id),
        "user=alice&user=bob&not_reason=logout".into(),
        "role=chef&not_role=admin".into(),
        "state=active".into(),
        "not_state=active".into(),
        "state=active&state=ended".into(),
        "reason=logout&reason=expired".into(),
        "ip=192.0.2.0%2F24&not_ip=192.0.2.10".into(),
        "ip=2001%3Adb8%3A%3A%2F32".into(),
        "client_id=crm&not_client_id=erp".into(),
        "user_agent=FIREFOX&user_agent=okhttp%2F5".into(),
        "not_user_agent=okhttp".into(),
        format!("started_from={}&started_to={}", ago(24), ago(5)).replace(':', "%3A"),
        format!("last_seen_from={}&last_seen_to={}", ago(4), ago(1)).replace(':', "%3A"),
        format!("ended_from={}&ended_to={}", ago(21), ago(2)).replace(':', "%3A"),
        format!("ended_by={}&not_ended_by=expiry", bob.id),
        format!("token={}", token_id(&all["items"][0])),
        "sort=started_at&limit=3".into(),
        "sort=-last_seen_at".into(),
        "user=nobody".into(),
    ] {
        let expected = api_lists(&root, &query).await;
        let answer = browser.open(&format!("{LIST}{}{query}", if query.is_empty() { "" } else { "?" })).await;
        let page = answer.expect_page(200);
        assert_eq!(listed(&page), expected, "{query}");
        assert_eq!(page.contains("Aucune session ne correspond"), expected.is_empty(), "{query}");
    }
}

/// As a browser sends the form: with every field, and times of no zone.
#[rstest]
#[actix_web::test]
async fn a_form_leads_to_an_address_that_can_be_handed_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "auditor").await;
    let [alice, _] = history(&app).await;
    let form = "user=alice&not_user=&state=&not_state=active&ip=+192.0.2.0%2F24&started_from=2026-01-01T01%3A30&sort=";
    let address = browser.open(&format!("{LIST}?{form}")).await;
    let expected = "user=alice&not_state=active&ip=192.0.2.0%2F24&started_from=2026-01-01T00%3A30%3A00Z";
    assert_eq!(goes_to(&address), format!("{LIST}?{expected}"));
    let page = browser.open(goes_to(&address)).await.expect_page(200);
    for held in [
        "name=\"user\" type=\"text\" value=\"alice\"",
        "name=\"ip\" type=\"text\" value=\"192.0.2.0/24\"",
        "name=\"started_from\" type=\"datetime-local\" step=\"1\" value=\"2026-01-01T01:30:00\"",
        "<option value=\"active\" selected>",
        "<li>Utilisateur\u{a0}: alice ",
        "<li>État, sauf\u{a0}: Ouverte ",
        "<li>Ouverte à partir du 1er janvier 2026 à 01:30:00 (UTC+1) ",
    ] {
        assert!(page.contains(held), "{held}: {page}");
    }
    // Each part goes by a link of its own, and everything by another.
    assert_eq!(page.matches("\">Retirer</a>").count(), 4);
    let without = link(&page, "Retirer");
    assert_eq!(without, format!("{LIST}?{}", expected.split_once('&').unwrap().1));
    assert_eq!(link(&page, "Retirer tous les filtres"), LIST);

    // A user who is meant by an id is told by name: the id stays in the form, and no field shows it.
    let page = browser.open(&format!("{LIST}?user={}", alice.id)).await.expect_page(200);
    assert!(page.contains("<li>Utilisateur\u{a0}: alice "), "{page}");
    assert!(page.contains(&format!("<input type=\"hidden\" name=\"user\" value=\"{}\">", alice.id)), "{page}");
    let page = browser.open(&format!("{LIST}?user={}&state=ended&user={NIL}", alice.id)).await.expect_page(200);
    assert!(page.contains(&format!("<li>Utilisateur\u{a0}: Utilisateur supprimé ({NIL}) ")), "{page}");
}

#[rstest]
#[actix_web::test]
async fn adm_10_paging_keeps_every_filter_and_the_order(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "auditor").await;
    let alice = app.user("alice", "agent").await;
    // Few different times.
    let agent =
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36";
    let session = |number: i64| {
        let session = app.session(&alice, "early", TimeDelta::hours(1 + number % 3));
        let client_info = ClientInfo { user_agent: Some(agent.to_owned()), ..session.client_info };
        Session { client_info, ..session }
    };
    let early: Vec<Session> = (0..60).map(session).collect();
    let expected: BTreeSet<String> = early.iter().map(|session| session.id.to_string()).collect();
    app.add_sessions(early).await;
    for sort in ["", "&sort=started_at", "&sort=-last_seen_at"] {
        let filter = format!("user=alice&not_reason=logout{sort}");
        let (mut address, mut seen) = (format!("{LIST}?{filter}"), Vec::new());
        for (rows, is_last) in [(25, false), (25, false), (10, true)] {
            let page = browser.open(&address).await.expect_page(200);
            assert_eq!(listed(&page).len(), rows, "{address}");
            // With its style and script, less than 100 kB.
            assert!(page.len() < 80_000, "{}", page.len());
            assert!(page.contains("<li>Raison de la fin, sauf\u{a0}: Déconnexion "), "{page}");
            // A chip that is removed begins on the first page.
            assert!(!link(&page, "Retirer").contains("cursor"), "{page}");
            assert_eq!(page.contains("Revenir au début"), !seen.is_empty());
            if !seen.is_empty() {
                assert_eq!(link(&page, "Revenir au début"), format!("{LIST}?{filter}"));
            }
            seen.extend(listed(&page));
            assert_eq!(!page.contains("Page suivante"), is_last);
            if !is_last {
                address = link(&page, "Page suivante");
                assert!(address.starts_with(&format!("{LIST}?{filter}&cursor=")), "{address}");
            }
        }
        assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<_>>()), (60, expected.clone()), "{sort}");
    }
}

#[rstest]
#[actix_web::test]
async fn what_is_wrong_stands_at_its_field_and_the_rest_is_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "auditor").await;
    let before = app.events_of_kind(AuditKind::HistoryRead).await;
    let long = "x".repeat(513);
    let many = ["user=a"; 1].into_iter().map(str::to_owned).chain((0..20).map(|number| format!("user=b{number}")));
    let many = many.collect::<Vec<_>>().join("&");
    for (wrong, field, said) in [
        ("ip=192.0.2.300", "filter-ip-0", "ni une adresse ni un réseau"),
        ("ip=192.0.2.1&ip=x", "filter-ip-1", "ni une adresse ni un réseau"),
        ("not_ip=x", "filter-not-ip-0", "ni une adresse ni un réseau"),
        ("started_from=hier", "filter-started-from-0", "une date avec une heure"),
        ("token=x", "filter-token-0", "identifiant d&#39;un jeton"),
        ("reason=bored", "filter-reason-0", "Cette valeur n&#39;existe pas"),
        (&format!("user_agent={long}"), "filter-user-agent-0", "De 1 à 512 caractères"),
        ("started_to=2026-01-01T00:00:00Z&started_to=2026-01-02T00:00:00Z", "filter-started-to-1", "Une seule valeur"),
        (&many, "filter-user-20", "20 valeurs au plus"),
        ("sort=name", "order", "Cet ordre n&#39;existe pas"),
    ] {
        let page = browser.open(&format!("{LIST}?role=chef&not_user=bob&{wrong}")).await.expect_page(422);
        let marked = format!("<a href=\"#{field}\">");
        assert!(page.contains(&marked) && page.contains(said), "{wrong}: {page}");
        let (_, behind) = page.split_once(&format!(" id=\"{field}\"")).unwrap_or_else(|| panic!("{field}: {page}"));
        assert!(behind.split('>').next().unwrap().contains(&format!("aria-describedby=\"{field}-wrong\"")), "{wrong}");
        assert!(page.contains("<title>Erreur – Sessions de tous") && page.contains("<details class=\"filters\" open>"));
        for kept in [
            "name=\"role\" type=\"text\" value=\"chef\"",
            "name=\"not_user\" type=\"text\" value=\"bob\"",
            "<li>Rôle à la connexion\u{a0}: chef ",
        ] {
            assert!(page.contains(kept), "{kept}: {page}");
        }
        assert_eq!(listed(&page), [""; 0]);
    }
    let page = browser.open(&format!("{LIST}?usr=bob&role=chef")).await.expect_page(422);
    assert!(page.contains("Ce filtre n&#39;existe pas\u{a0}: usr") && page.contains("value=\"chef\""), "{page}");
    for (other, status) in [("cursor=nonsense", 400), ("limit=501", 422), ("sort=started_at&sort=-started_at", 422)] {
        browser.open(&format!("{LIST}?{other}")).await.expect_page(status);
    }
    assert_eq!(app.events_of_kind(AuditKind::HistoryRead).await, before, "nothing was read");
}

#[rstest]
#[actix_web::test]
async fn a_row_leads_to_what_is_like_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let mut browser = reader(&app, "auditor").await;
    let [alice, _] = history(&app).await;
    let page = browser.open(&format!("{LIST}?user=alice&ip=192.0.2.10")).await.expect_page(200);
    let [id] = &listed(&page)[..] else { panic!("{page}") };
    let started = app.session_row(id).await.started_at;
    let detail = browser.open(&format!("{LIST}/{id}")).await.expect_page(200);
    for page in [page, detail] {
        for (text, filter) in [
            ("alice".to_owned(), format!("user={}", alice.id)),
            ("Même utilisateur\u{a0}: alice".to_owned(), format!("user={}", alice.id)),
            ("Même adresse\u{a0}: 192.0.2.10".to_owned(), "ip=192.0.2.10".to_owned()),
            ("Même réseau\u{a0}: 192.0.2.0/24".to_owned(), "ip=192.0.2.0%2F24".to_owned()),
        ] {
            assert_eq!(link(&page, &text), format!("{LIST}?{filter}"));
        }
        let (_, device) = page.split_once("Même appareil").unwrap();
        let (_, around) = page.split_once("15 minutes avant et après").unwrap();
        assert!(device.contains("Firefox/140.0") && around.contains("</a>"));
        let (_, query) = page.split_once(&format!("{LIST}?started_from=")).unwrap();
        let query = format!("started_from={}", query.split('"').next().unwrap().replace("&#38;", "&"));
        assert_eq!(api_lists(&root, &query).await, std::slice::from_ref(id));
        assert!(
            query.starts_with(&format!("started_from={}", at(started - TimeDelta::minutes(15)).replace(':', "%3A")))
        );
    }
}

#[rstest]
#[actix_web::test]
async fn adm_06_reading_in_the_console_is_recorded_as_it_is_in_the_api(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "auditor").await;
    let [alice, _] = history(&app).await;
    browser.open(&format!("{LIST}?user=alice&state=ended&limit=1")).await.expect_page(200);
    let events = app.events_of_kind(AuditKind::HistoryRead).await;
    let [read] = &events[..] else { panic!("{events:?}") };
    let filter = json!({ "user": "alice", "state": "ended" });
    assert_eq!(read["details"], json!({ "what": "sessions", "filter": filter, "count": 1 }));
    let page = browser.open(&format!("{LIST}?user={}&state=active", alice.id)).await.expect_page(200);
    let id = listed(&page).remove(0);
    browser.open(&format!("{LIST}/{id}")).await.expect_page(200);
    let events = app.events_of_kind(AuditKind::HistoryRead).await;
    assert_eq!((events.len(), &events[2]["subject"]), (3, &json!(id)));
    assert_eq!(events[2]["actor"], events[0]["actor"]);
    assert_eq!(events[2]["actor_kind"], "admin");
}

#[rstest]
#[actix_web::test]
async fn a_session_is_told_whole_with_its_proof(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let mut browser = reader(&app, "auditor").await;
    let [_, bob] = history(&app).await;
    let phone = app.log_in("alice").await;
    phone.refresh().await.expect(200);
    let place = format!("{LIST}/{}", phone.session_id);
    let page = browser.open(&place).await.expect_page(200);
    let session = root.get(&format!("/admin/sessions/{}", phone.session_id)).await.expect(200);
    let jti = session["session"]["token"]["jti"].as_str().unwrap();
    for told in [
        "<h1>Session de alice</h1>",
        "<dt>Identité prouvée par</dt><dd>Mot de passe</dd>",
        "<dt>Renouvellements</dt><dd>1</dd>",
        "<code lang=\"en\">session.refreshed</code>",
        "Jeton renouvelé",
        "Pas encore couverte",
        "Autres sessions de alice",
        jti,
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains(phone.token()) && !page.contains(&phone.refresh_token), "P7");
    assert_eq!(listed(&page).len(), session["siblings"].as_array().unwrap().len());
    assert_eq!(page.matches("<strong>Ouverte</strong>").count(), 2, "this one and another: {page}");

    // Names, also of who ended it; what the reason means; and every line of the note.
    let b1 = root.get("/admin/sessions?user=bob&reason=ended_by_admin").await.expect(200)["items"][0]["id"].clone();
    let page = browser.open(&format!("{LIST}/{}", b1.as_str().unwrap())).await.expect_page(200);
    for told in ["Un administrateur a mis fin à cette session.", "<dt>Terminée par</dt><dd>bob</dd>", "vu\nailleurs"]
    {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.replace(&format!("user={}", bob.id), "").contains(&bob.id.to_string()), "{page}");

    // The proof is that of the chain.
    for records in 1..=2 {
        app.app.chain.seal().await.unwrap();
        let checkpoint = app.app.chain.checkpoint().await.unwrap();
        let page = browser.open(&place).await.expect_page(200);
        let said = format!("point de contrôle de {} enregistrements, signé le", checkpoint.size);
        assert_eq!(page.matches(&said).count(), records, "{page}");
        assert!(!page.contains("Pas encore couverte"), "{page}");
        if records == 1 {
            phone.post_empty("/auth/logout").await.expect(204);
            assert!(browser.open(&place).await.expect_page(200).contains("Pas encore couverte"));
        }
    }
    for nothing in [NIL, "x"] {
        browser.open(&format!("{LIST}/{nothing}")).await.expect_page(404);
    }
    let own = browser.open(&format!("{LIST}?user=auditor")).await.expect_page(200);
    let page = browser.open(&format!("{LIST}/{}", listed(&own)[0])).await.expect_page(200);
    assert!(page.contains("Aucun jeton n&#39;a été remis") && page.contains("Votre session"), "{page}");
    assert!(!page.contains("<dt>Jeton (jti)</dt>"), "a session of pages has no token");
}

#[rstest]
#[actix_web::test]
async fn an_administrator_ends_a_session_with_a_note(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "5m")]).await;
    let phone = app.signed_in("alice").await;
    let mut browser = reader(&app, "admin").await;
    // As in the API, an end is at hand however long ago the login was.
    app.advance(TimeDelta::minutes(6));
    let place = format!("{LIST}/{}", phone.session_id);
    let asks = link(&browser.open(&place).await.expect_page(200), "Mettre fin à cette session");
    assert_eq!(asks, format!("{place}/end"));
    let page = browser.open(&asks).await.expect_page(200);
    assert!(page.contains("<dd>alice</dd>") && page.contains("C&#39;est définitif"), "{page}");
    phone.get("/auth/me").await.expect(200);
    let long = "é".repeat(501);
    let page = browser.submit(&asks, &[("note", &long)]).await.expect_page(422);
    assert!(page.contains(&long) && page.contains("aria-invalid=\"true\"") && page.contains("#note\""), "{page}");
    phone.get("/auth/me").await.expect(200);
    let done = browser.submit(&asks, &[("note", " partie\r\nhier ")]).await;
    assert_eq!(goes_to(&done), format!("{place}?ended=true"));
    phone.get("/auth/me").await.problem(401, "session_ended");
    let page = browser.open(goes_to(&done)).await.expect_page(200);
    assert!(page.contains("La session est terminée, partout.") && page.contains("partie\nhier"), "{page}");
    assert!(page.contains("<dt>Terminée par</dt><dd>admin</dd>") && !page.contains("/end\""), "{page}");
    let end = app.session_row(&phone.session_id).await.end.unwrap();
    assert_eq!((end.reason, end.note.as_deref()), (EndReason::EndedByAdmin, Some("partie\nhier")));
    // What is over stays as it is.
    assert_eq!(goes_to(&browser.open(&asks).await), place);
    let again = browser.submit(&asks, &[("note", "encore")]).await;
    assert_eq!(goes_to(&again), format!("{place}?ended=false"));
    assert_eq!(app.session_row(&phone.session_id).await.end.unwrap(), end);
    for not_there in [NIL, "x"] {
        browser.submit(&format!("{LIST}/{not_there}/end"), &[]).await.expect_page(404);
    }
}

#[rstest]
#[actix_web::test]
async fn after_ones_own_session_comes_the_login_page(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "admin").await;
    let page = browser.open(LIST).await.expect_page(200);
    let own = format!("{LIST}/{}/end", listed(&page)[0]);
    let page = browser.open(&own).await.expect_page(200);
    assert!(page.contains("C&#39;est votre propre session"), "{page}");
    assert_eq!(goes_to(&browser.submit(&own, &[("note", "")]).await), "/login?why=logged-out");
    assert_eq!(browser.session_cookie(), None);
    assert_eq!(goes_to(&browser.open(LIST).await), "/login?return_to=%2Fconsole%2Fsessions");
}

/// What came too late waits for the login, and is carried out by nobody but its user.
#[rstest]
#[actix_web::test]
async fn a_note_that_came_too_late_is_shown_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let mut browser = reader(&app, "admin").await;
    let asks = format!("{LIST}/{}/end", phone.session_id);
    browser.open(&asks).await.expect_page(200);
    Browser::logged_in(&app, "admin").await.submit("/account/sessions/end-others", &[]).await;
    let answer = browser.submit(&asks, &[("note", "vue ailleurs")]).await;
    let to = goes_to(&answer).to_owned();
    assert!(to.starts_with("/login?return_to=%2Fconsole%2Fsessions%2F") && to.ends_with("why=ended"), "{to}");
    browser.open(&to).await.expect_page(200);
    let members = [("username", "admin"), ("password", PASSWORD), ("return_to", &asks)];
    assert_eq!(goes_to(&browser.submit("/login", &members).await), asks);
    assert!(browser.open(&asks).await.expect_page(200).contains("\nvue ailleurs</textarea>"));
    phone.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn adm_01_reviewers_read_the_console_and_users_see_nothing_of_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let place = format!("{LIST}/{}", phone.session_id);
    let end = format!("{place}/end");
    let console = [LIST, &place, &format!("{LIST}?user=alice")];
    let mut auditor = reader(&app, "auditor").await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    for path in console {
        let page = auditor.open(path).await.expect_page(200);
        assert!(!page.contains("/end\"") && page.contains("<a href=\"/console\" aria-current"), "{page}");
        alice.open(path).await.expect_page(403);
    }
    assert_eq!(goes_to(&auditor.open("/console").await), LIST);
    alice.open("/console").await.expect_page(403);
    // Who is led where; and what the menu shows.
    for (browser, home) in [(&mut auditor, "/console"), (&mut alice, "/account")] {
        assert_eq!(goes_to(&browser.open("/").await), home);
        assert_eq!(goes_to(&browser.open("/login").await), home);
        let page = browser.open("/account").await.expect_page(200);
        assert_eq!(page.contains(">Console</a>"), home == "/console");
    }
    assert_eq!(goes_to(&Browser::new(&app).log_in("auditor", PASSWORD).await), "/console");
    assert_eq!(goes_to(&Browser::new(&app).log_in("alice", PASSWORD).await), "/account");
    let nobody = Browser::new(&app);
    for path in console.into_iter().chain([end.as_str(), "/console"]) {
        let answer = send(nobody.request(Method::GET, path)).await;
        assert!(goes_to(&answer).starts_with("/login?return_to=%2Fconsole"), "{path}");
    }

    // With a token of their own pages, and from there.
    for browser in [&mut auditor, &mut alice] {
        browser.open(&end).await.expect_page(403);
        browser.submit(&end, &[("note", "x")]).await.expect_page(403);
    }
    phone.get("/auth/me").await.expect(200);
    app.app.refusals.write_all().await.unwrap();
    let refused = app.events_of_kind(AuditKind::AccessRefused).await;
    let told: Vec<(Value, Value)> =
        refused.iter().map(|event| (event["actor"].clone(), event["details"]["route"].clone())).collect();
    for browser in [&auditor, &alice] {
        let me = app.user_of(browser);
        for route in ["GET /console/sessions/{id}/end", "POST /console/sessions/{id}/end"] {
            assert!(told.contains(&(json!(me), json!(route))), "{route}: {told:?}");
        }
    }
    assert!(told.iter().any(|(_, route)| route == "GET /console/sessions"), "{told:?}");
    assert!(refused.iter().all(|event| event["reason"] == "not_allowed"));
}

#[rstest]
#[actix_web::test]
async fn web_02_another_site_ends_nothing_in_the_console(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let mut browser = reader(&app, "admin").await;
    let end = format!("{LIST}/{}/end", phone.session_id);
    let token = app.app.sessions.form_token(browser.session_cookie().unwrap());
    for from in ["cross-site", "same-site", "none"] {
        browser.send_form(&end, &[("form_token", &token)], from).await.expect_page(403);
    }
    for forged in [&[][..], &[("form_token", "x")]] {
        browser.send_form(&end, forged, "same-origin").await.expect_page(403);
    }
    // Opening the page that asks ends nothing.
    browser.open(&end).await.expect_page(200);
    browser.open(&format!("{LIST}/{}?ended=true", phone.session_id)).await.expect_page(200);
    phone.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn web_05_what_strangers_wrote_is_text_in_the_console(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    app.user(script, "agent").await;
    let body = json!({ "username": script, "password": PASSWORD, "device_name": script });
    let login = app.nobody().request(Method::POST, "/auth/login").header("user-agent", script).json(&body);
    let session = send(login).await.expect(200)["session"]["id"].as_str().unwrap().to_owned();
    let mut theirs = Browser::logged_in(&app, script).await;
    theirs.submit(&format!("/account/sessions/{session}/name"), &[("name", &script[..40])]).await;
    let mut browser = reader(&app, "admin").await;
    let (place, encoded) = (format!("{LIST}/{session}"), |text: &str| {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
    });
    let mut pages = vec![browser.open(&format!("{place}/end")).await.expect_page(200)];
    browser.submit(&format!("{place}/end"), &[("note", script)]).await;
    for (path, status) in [
        (place.clone(), 200),
        (LIST.to_owned(), 200),
        (format!("{LIST}?user={}", encoded(script)), 200),
        (format!("{LIST}?user_agent={0}&ended_by={0}&role={0}&client_id={0}", encoded(script)), 200),
        (format!("{LIST}?ip={}&user_agent={}", encoded(script), encoded(script)), 422),
        (format!("{LIST}?{}=x", encoded(script)), 422),
        (format!("{place}/end?{}", encoded(script)), 303),
    ] {
        let answer = browser.open(&path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        pages.push(answer.body);
    }
    for page in &pages {
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{page}");
    }
    assert!(pages[1].matches("&#60;script&#62;alert(1)").count() > 4, "{}", pages[1]);
}

/// A filter by the id of a token stays in the address, which holds no secret.
#[rstest]
#[actix_web::test]
async fn the_language_changes_on_the_same_list(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = reader(&app, "auditor").await;
    let place = format!("{LIST}?token={NIL}&state=ended");
    let page = browser.open(&place).await.expect_page(200);
    let escaped = place.replace('&', "&#38;");
    assert!(page.contains(&format!("name=\"return_to\" value=\"{escaped}\"")), "{page}");
    let answer = browser.submit("/preferences", &[("language", "en"), ("return_to", &place)]).await;
    assert_eq!(goes_to(&answer), place);
    let page = browser.open(&place).await.expect_page(200);
    assert!(page.contains("No session matches") && page.contains("<li>State: Over "), "{page}");
}

impl TestApp {
    /// The events of a kind, oldest first: what they say of who, what and why.
    async fn events_of_kind(&self, kind: AuditKind) -> Vec<Value> {
        let events = self.events().await.into_iter().map(|recorded| recorded.event).filter(|event| event.kind == kind);
        let told = events.map(|event| {
            json!({
                "actor": event.context.actor.id, "actor_kind": event.context.actor.kind, "subject": event.subject.id,
                "reason": event.reason.map(vigie::model::audit::Reason::as_str), "details": event.details,
            })
        });
        told.collect()
    }

    /// The id of whoever uses a browser.
    fn user_of(&self, browser: &Browser<'_>) -> String {
        let cookie = browser.session_cookie().unwrap();
        let genuine = self.app.sessions.genuine_cookie(vigie::model::secret::SecretKind::SessionCookie, cookie);
        genuine.unwrap().user_id.to_string()
    }
}
