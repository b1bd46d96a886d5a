//! What users are told by mail of changes of their account: who did not do it learns that somebody did (ATH-08).

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::smtp::Smtp;

const NEW: &str = "cinq canards bleus nagent";
const OLD_ADDRESS: &str = "alice@example.org";
const NEW_ADDRESS: &str = "alice@example.net";

async fn mailing(backend: Backend, smtp: &Smtp, language: &str) -> TestApp {
    let settings = [
        ("VIGIE__MAIL__SMTP_URL", smtp.url.as_str()),
        ("VIGIE__MAIL__FROM", "Vigie <vigie@example.org>"),
        ("VIGIE__MAIL__LANGUAGE", language),
    ];
    TestApp::start_with(backend, &settings).await
}

/// Whom the mails since the last look went to, and what they say.
async fn told(app: &TestApp, smtp: &Smtp, seen: &mut usize) -> Vec<(String, String)> {
    app.app.alerts.deliver().await.expect("the store answers");
    let mails = smtp.mails().split_off(*seen);
    *seen += mails.len();
    let mut told: Vec<_> = mails.into_iter().map(|mail| (mail.to.join(","), mail.text)).collect();
    told.sort();
    told
}

#[rstest]
#[actix_web::test]
async fn ath_08_a_user_is_told_of_every_change_at_the_address_there_was_before(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("en", "fr")] language: &str,
) {
    let smtp = Smtp::start().await;
    let app = mailing(backend, &smtp, language).await;
    let root = app.admin().await;
    let id = app.user("alice", "agent").await.id;
    let (path, mut seen) = (format!("/admin/users/{id}"), 0);
    let change = async |body: Value| drop(root.patch(&path, body).await.expect(200));
    let says = |english: &'static str, french: &'static str| if language == "en" { english } else { french };

    // Nobody is told who has no address; the first one is told that it is the one.
    change(json!({ "role": "clerk" })).await;
    assert_eq!(told(&app, &smtp, &mut seen).await, []);
    change(json!({ "email": OLD_ADDRESS })).await;
    let mails = told(&app, &smtp, &mut seen).await;
    assert!(mails.len() == 1 && mails[0].0 == OLD_ADDRESS, "{mails:?}");

    let mut expect = async |words: &str, to: &[&str]| {
        let mails = told(&app, &smtp, &mut seen).await;
        assert_eq!(mails.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), to, "{words}");
        for (_, text) in &mails {
            assert!(text.contains(words) && text.contains("Auto-Submitted: auto-generated"), "{words}\n{text}");
            assert!(!text.contains(PASSWORD) && !text.contains(NEW) && !text.contains("vgt_"), "{text}");
        }
    };
    change(json!({ "role": "agent" })).await;
    expect(says("Your role was changed", "Votre rôle a été changé"), &[OLD_ADDRESS]).await;
    change(json!({ "username": "alicia" })).await;
    expect("alicia", &[OLD_ADDRESS]).await;
    let alicia = app.log_in("alicia").await;
    expect("", &[]).await;
    alicia.post("/auth/password", json!({ "current_password": PASSWORD, "new_password": NEW })).await.expect(200);
    expect(says("Your password was changed", "Votre mot de passe a été changé"), &[OLD_ADDRESS]).await;
    let reset = root.post(&format!("{path}/reset-password"), json!({ "void_password": true })).await.expect(200);
    expect(says("no longer logs in", "ne permet plus"), &[OLD_ADDRESS]).await;
    let body = json!({ "token": reset["token"], "new_password": PASSWORD });
    app.nobody().post("/auth/reset", body).await.expect(204);
    expect(says("was set anew", "a été redéfini"), &[OLD_ADDRESS]).await;
    // Whoever changes the address does not decide who learns of it.
    change(json!({ "email": NEW_ADDRESS })).await;
    expect(says("address that mail", "adresse à laquelle"), &[NEW_ADDRESS, OLD_ADDRESS]).await;
    change(json!({ "email": OLD_ADDRESS, "role": "clerk" })).await;
    let mails = told(&app, &smtp, &mut seen).await;
    let to: Vec<_> = mails.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(to, [NEW_ADDRESS, NEW_ADDRESS, OLD_ADDRESS]);
    change(json!({ "email": null })).await;
    assert_eq!(told(&app, &smtp, &mut seen).await.len(), 1);
    // What changes nothing is told to nobody.
    change(json!({ "role": "clerk" })).await;
    assert_eq!(told(&app, &smtp, &mut seen).await, []);
    // An address is kept only until the mail is sent.
    let dump = app.dump();
    assert!(!dump.contains(OLD_ADDRESS) && !dump.contains(NEW_ADDRESS), "{dump}");
}

#[rstest]
#[actix_web::test]
async fn a_change_is_told_later_where_the_mail_server_is_away_and_never_of_who_was_deleted(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let smtp = Smtp::start().await;
    let app = mailing(backend, &smtp, "en").await;
    let root = app.admin().await;
    let id = app.user("alice", "agent").await.id;
    let path = format!("/admin/users/{id}");
    let mut seen = 0;
    root.patch(&path, json!({ "email": OLD_ADDRESS })).await.expect(200);
    smtp.refuse(true);
    assert_eq!(told(&app, &smtp, &mut seen).await, []);
    // What the server answers may repeat the address.
    let faults = Beside::connect(&app.database.url).lines("SELECT last_fault AS line FROM deliveries");
    assert!(faults[0].starts_with("the mail server answers "), "{faults:?}");
    smtp.refuse(false);
    app.advance(chrono::TimeDelta::seconds(30));
    assert_eq!(told(&app, &smtp, &mut seen).await.len(), 1);
    root.patch(&path, json!({ "role": "clerk" })).await.expect(200);
    root.delete(&path).await.expect(204);
    assert_eq!(told(&app, &smtp, &mut seen).await, []);
    let waiting = Beside::connect(&app.database.url).lines("SELECT occasion AS line FROM deliveries");
    assert!(waiting.is_empty(), "{waiting:?}");
}
