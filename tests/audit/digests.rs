//! What is digested where it is read, when the history is verified, is what was digested when it was written, of every shape;
//! and nothing that a row says is left out (P6).

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::attempt::{Attempt, AttemptOutcome};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, RecordedEvent, Subject, SubjectKind};
use vigie::model::client::{ClientId, LoginClient};
use vigie::model::id::UserId;
use vigie::model::record::{Coverage, Digest, RecordKind};
use vigie::model::redaction::{Group, Named, Proofs, Redacted, WithProofs};
use vigie::model::session::{Actor, ClientInfo, Device, EndReason, RefreshTokens, Session};
use vigie::store::retention::{DeletionGrant, with_deletion_grant};
use vigie::store::row_digests::{self, RowDigest};
use vigie::store::sessions::Closing;
use vigie::store::{Db, StoreError, attempts, audit, sessions};

use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::history::{attempt, ended};

/// A name in two alphabets, with a character that also stands for what cannot be read.
const NAME: &str = "Zoé Ünal 漢\u{fffd}";
const V4: &str = "192.0.2.77";
const V6: &str = "2001:db8:1:2::9";

/// The rows of a history, as the model reads them.
#[derive(Clone)]
struct Rows {
    sessions: Vec<WithProofs<Session>>,
    attempts: Vec<WithProofs<Attempt>>,
    events: Vec<WithProofs<RecordedEvent>>,
}

/// The digests of records, by what these are of.
type Digests = BTreeMap<(RecordKind, u128), Digest>;

impl Rows {
    /// All of them, none of which is redacted.
    async fn of(app: &TestApp) -> Self {
        let user = app.app.users.find_by_id_or_name(NAME).await.unwrap().unwrap().id;
        let later = app.now() + TimeDelta::days(1);
        let read = move |db: &mut Db| {
            let sessions = sessions::kept_of_user(db, user, None, 100)?;
            let attempts = attempts::whole_addresses(db, later, 100)?;
            Ok::<_, StoreError>(Self { sessions, attempts, events: audit::kept_before(db, i64::MAX, 100)? })
        };
        app.app.store.read(read).await.unwrap()
    }

    /// The same, sealed as all rows were once.
    fn in_the_clear(mut self) -> Self {
        self.sessions.iter_mut().for_each(|kept| kept.proofs = Proofs::default());
        self.attempts.iter_mut().for_each(|kept| kept.proofs = Proofs::default());
        self.events.iter_mut().for_each(|kept| kept.proofs = Proofs::default());
        self
    }

    fn digests(&self) -> Digests {
        let mut digests = Digests::new();
        for kept in &self.sessions {
            let id = kept.row.id.0.as_u128();
            digests.insert((RecordKind::SessionStarted, id), kept.start().digest);
            digests.extend(kept.end().map(|end| ((RecordKind::SessionEnded, id), end.digest)));
        }
        for kept in &self.attempts {
            digests.insert((RecordKind::Attempt, kept.row.id.0.as_u128()), kept.record().digest);
        }
        for kept in &self.events {
            digests.insert((RecordKind::Event, u128::try_from(kept.row.seq).unwrap()), kept.record().digest);
        }
        digests
    }

    /// The same without the members of a group, where they can be removed.
    fn without(&self, group: Group) -> Self {
        Self {
            sessions: self.sessions.iter().map(|kept| kept.without(group).unwrap_or_else(|| kept.clone())).collect(),
            attempts: self.attempts.iter().map(|kept| kept.without(group).unwrap()).collect(),
            events: self.events.iter().map(|kept| kept.without(group).unwrap()).collect(),
        }
    }

    /// Writes them, as they are without the members of that group.
    fn redact(&self, db: &mut Db, group: Group) -> Result<(), StoreError> {
        self.sessions.iter().try_for_each(|left| sessions::redact(db, left, group))?;
        self.attempts.iter().try_for_each(|left| attempts::redact(db, left, group))?;
        self.events.iter().try_for_each(|left| audit::redact(db, left, group))
    }
}

/// Rows of every shape: with everything that may be missing, and without.
async fn history(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    let (user, now, client) =
        (app.user(NAME, "chargée d’accueil").await, app.now(), LoginClient::of(ClientId::parse("crm").ok(), true));
    let by = Actor::admin(UserId::new(now));
    let bare = app.session(&user, "x", TimeDelta::hours(3));
    let bare = Session { device_name: None, device: Device::default(), ..bare };
    let lives = app.session(&user, "living", TimeDelta::hours(2));
    let full = Session {
        client: client.clone(),
        device_name: Some("Tablette d’Éloïse".to_owned()),
        client_info: ClientInfo { ip: V6.parse().unwrap(), user_agent: Some("curl/8".to_owned()) },
        device: Device { browser: Some("B".to_owned()), os: Some("Ö".to_owned()), kind: Some("pc".to_owned()) },
        methods: vec!["pwd".to_owned(), "otp".to_owned()],
        last_ip: V4.parse().unwrap(),
        refresh: RefreshTokens::first([9; 32]).next(now),
        ..app.session(&user, "x", TimeDelta::hours(1))
    };
    let ends = [
        (bare.id, ended(now, EndReason::Expired, &Actor::system("expiry"), None)),
        (full.id, ended(now, EndReason::EndedByAdmin, &by, Some("“égaré”"))),
    ];
    app.add_sessions(vec![bare, lives, full.clone()]).await;
    let end = move |db: &mut _| {
        sessions::end_all(db, &ends.each_ref().map(|(id, end)| Closing { id: *id, end, last_use: None }))
    };
    app.app.store.write(end).await.unwrap();
    let tried = Attempt {
        user_id: Some(user.id),
        outcome: AttemptOutcome::Success,
        ip: V4.parse().unwrap(),
        user_agent: Some(String::new()),
        client,
        session_id: Some(full.id),
        ..attempt(NAME, now)
    };
    app.add_attempts(vec![attempt("z…0badcafe", now), Attempt { ip: V6.parse().unwrap(), ..attempt("", now) }, tried])
        .await;
    let context = |ip: &str| AuditContext {
        ip: Some(ip.parse().unwrap()),
        request_id: Some("r".to_owned()),
        ..AuditContext::command_line()
    };
    // Whatever the details are, a digest covers them.
    app.database.let_foreign_events_be();
    let event = |kind: AuditKind, ip, details: Value| {
        let subject = Subject::new(SubjectKind::Session, full.id);
        let event = AuditEvent::new(now, Details::KeyRotated {}, &context(ip), subject).in_session(full.id);
        AuditEvent { kind, details, outcome: kind.facts().outcome, ..event }
    };
    let nested = json!({
        "zz": { "b": [1, -2, { "é": null, "a": "\"\\\n漢\u{7f}" }], "a": {} }, "a": [], "bb": 0.5, "b": u64::MAX, "1e2": 1e300,
    });
    let events = [
        AuditEvent::new(now, Details::KeyRotated {}, &AuditContext::command_line(), Subject::everybody()),
        event(AuditKind::SessionStarted, V4, json!({ "token": "t", "client_id": null, "methods": ["pwd"] })),
        event(AuditKind::LoginFailed, V6, nested).because(Reason::WrongPassword),
    ];
    app.app.store.write(move |db| audit::record_all(db, &events)).await.unwrap();
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
    app
}

/// What things are now: those with these names, or those from the first to the last.
async fn found(app: &TestApp, asked: &Digests, by_name: bool) -> BTreeMap<(RecordKind, u128), RowDigest> {
    let (asked, now) = (asked.keys().copied().collect::<Vec<_>>(), app.now());
    let read = move |db: &mut Db| {
        let mut found = BTreeMap::new();
        for kind in RecordKind::ALL.iter().filter(|kind| !kind.is_versioned()) {
            let names: Vec<u128> = asked.iter().filter(|(of, _)| of == kind).map(|(_, name)| *name).collect();
            let (first, last) = (*names.first().unwrap(), *names.last().unwrap());
            let take = |name, what| assert_eq!(found.insert((*kind, name), what), None, "once");
            if by_name {
                row_digests::by_number(db, Coverage::newest(*kind), &names, take)?;
            } else {
                row_digests::in_range(db, Coverage::newest(*kind), (first, last), (now, now), 100, take)?;
            }
        }
        Ok::<_, StoreError>(found)
    };
    app.app.store.read(read).await.unwrap()
}

/// What was removed from whom, as it must be justified.
fn removed(rows: &Rows, (kind, name): (RecordKind, u128), groups: &[Group]) -> Option<Redacted> {
    let is_it = |id: uuid::Uuid| id.as_u128() == name;
    let (at, named) = match kind {
        RecordKind::Event => {
            let event = &rows.events.iter().find(|kept| u128::try_from(kept.row.seq) == Ok(name)).unwrap().row;
            (event.event.at, Named::InEvent(event.seq))
        }
        RecordKind::Attempt => {
            let attempt = &rows.attempts.iter().find(|kept| is_it(kept.row.id.0)).unwrap().row;
            (attempt.at, Named::OfUser(attempt.user_id.map(|id| id.to_string())))
        }
        RecordKind::SessionStarted | RecordKind::SessionEnded => {
            let session = &rows.sessions.iter().find(|kept| is_it(kept.row.id.0)).unwrap().row;
            (session.end.as_ref()?.at, Named::OfUser(Some(session.user_id.to_string())))
        }
        RecordKind::User | RecordKind::Client | RecordKind::NotBefore => unreachable!("nothing of these is removed"),
    };
    let addresses = groups.contains(&Group::Addresses).then_some(at);
    let person = groups.contains(&Group::Person).then_some(named);
    (addresses.is_some() || person.is_some()).then_some(Redacted { addresses, person })
}

#[rstest]
#[case::nothing(&[])]
#[case::addresses(&[Group::Addresses])]
#[case::persons(&[Group::Person])]
#[case::both(&[Group::Person, Group::Addresses])]
#[actix_web::test]
async fn p6_a_row_is_digested_as_the_model_digests_it(
    #[case] groups: &[Group],
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    let rows = Rows::of(&app).await;
    assert_eq!((rows.sessions.len(), rows.attempts.len()), (3, 3));
    let (digests, mut left) = (rows.digests(), rows.clone());
    for group in groups.iter().copied() {
        left = left.without(group);
        let (left, later) = (left.clone(), app.now() + TimeDelta::days(1));
        let permit = if group == Group::Addresses { DeletionGrant::Addresses(later) } else { DeletionGrant::Person };
        let redact = move |db: &mut _| with_deletion_grant(db, permit, |db| left.redact(db, group));
        app.app.store.write::<_, StoreError>(redact).await.unwrap();
    }
    for by_name in [true, false] {
        let expected = digests.iter().map(|(thing, digest)| {
            let redacted = removed(&rows, *thing, groups).map(Box::new);
            (*thing, RowDigest::Present(*digest, redacted))
        });
        assert_eq!(found(&app, &digests, by_name).await, expected.collect(), "{by_name}");
    }
}

/// As all rows were sealed once.
#[rstest]
#[actix_web::test]
async fn p6_a_row_in_the_clear_is_digested_as_the_model_digests_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    let digests = Rows::of(&app).await.in_the_clear().digests();
    let in_the_clear = ["sessions", "attempts", "audit_events"]
        .map(|table| format!("UPDATE {table} SET address_proof = NULL, person_proof = NULL"));
    tamper(&app, &in_the_clear.each_ref().map(String::as_str));
    let expected = digests.iter().map(|(thing, digest)| (*thing, RowDigest::Present(*digest, None)));
    assert_eq!(found(&app, &digests, true).await, expected.collect());
}

/// What was never there, what has not ended, and what cannot be read are three things.
#[rstest]
#[actix_web::test]
async fn p6_what_is_no_digest_is_told_apart(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    let (attempt, session) = {
        let rows = Rows::of(&app).await;
        let lives = rows.sessions.iter().find(|kept| kept.row.end.is_none()).unwrap();
        (rows.attempts[0].row.id.0, lives.row.id.0)
    };
    tamper(&app, &[&format!("UPDATE attempts SET ip = 'nowhere' WHERE id = '{attempt}'")]);
    let asked = [
        (RecordKind::Event, 1_000_000),
        (RecordKind::Attempt, attempt.as_u128()),
        (RecordKind::SessionStarted, 7),
        (RecordKind::SessionEnded, session.as_u128()),
    ];
    let found = found(&app, &asked.map(|thing| (thing, [0; 32])).into(), true).await;
    let expected = [(asked[1], RowDigest::Unreadable), (asked[3], RowDigest::NotEnded)];
    assert_eq!(found, expected.into());
}

const ANOTHER_SALT: &str = "(SELECT substr(digest, 1, 16) FROM sealed_records WHERE position = 0)";

#[rstest]
#[case::name("sessions SET username = 'somebody', username_folded = 'somebody'", RecordKind::SessionStarted)]
#[case::case_folded_name("sessions SET username_folded = 'somebody'", RecordKind::SessionStarted)]
#[case::address("sessions SET ip = '2001:db8:1:2::a' WHERE end_note IS NOT NULL", RecordKind::SessionStarted)]
#[case::another_spelling("sessions SET ip = '2001:DB8:1:2::9' WHERE end_note IS NOT NULL", RecordKind::SessionStarted)]
#[case::no_address("sessions SET ip = '' WHERE end_note IS NOT NULL", RecordKind::SessionStarted)]
#[case::key("sessions SET ip_key = SALT", RecordKind::SessionStarted)]
#[case::nothing_for_something("sessions SET os = NULL WHERE os = 'Ö'", RecordKind::SessionStarted)]
#[case::something_for_nothing("sessions SET os = '' WHERE os IS NULL", RecordKind::SessionStarted)]
#[case::salt_of_addresses("sessions SET address_proof = SALT", RecordKind::SessionStarted)]
#[case::salt_of_a_person("sessions SET person_proof = SALT", RecordKind::SessionStarted)]
#[case::no_salt("sessions SET person_proof = NULL", RecordKind::SessionStarted)]
#[case::last_address("sessions SET last_ip = 'x' WHERE end_note IS NOT NULL", RecordKind::SessionEnded)]
#[case::note("sessions SET end_note = '' WHERE end_reason = 'expired'", RecordKind::SessionEnded)]
#[case::no_note("sessions SET end_note = NULL WHERE end_note IS NOT NULL", RecordKind::SessionEnded)]
#[case::who_ended_it("sessions SET ended_by_id = NULL WHERE end_note IS NOT NULL", RecordKind::SessionEnded)]
#[case::seed(
    "sessions SET refresh_seed = (SELECT digest FROM sealed_records WHERE position = 0) WHERE end_note IS NOT NULL",
    RecordKind::SessionEnded
)]
#[case::generation("sessions SET refresh_generation = 7 WHERE refresh_generation = 1", RecordKind::SessionEnded)]
#[case::spent("sessions SET refresh_spent_at = started_at WHERE refresh_generation = 1", RecordKind::SessionEnded)]
#[case::seen("sessions SET last_seen_at = expires_at WHERE end_note IS NOT NULL", RecordKind::SessionEnded)]
#[case::folded_name_of_an_attempt("attempts SET username_folded = 'x' WHERE user_agent = ''", RecordKind::Attempt)]
#[case::key_of_an_attempt("attempts SET ip_key = SALT", RecordKind::Attempt)]
#[case::agent_of_an_attempt("attempts SET user_agent = NULL WHERE user_agent = ''", RecordKind::Attempt)]
#[case::user_of_an_attempt("attempts SET user_id = NULL WHERE user_agent = ''", RecordKind::Attempt)]
#[case::session_of_an_attempt("attempts SET session_id = user_id WHERE user_agent = ''", RecordKind::Attempt)]
#[case::moment_of_an_attempt("attempts SET at = (SELECT min(started_at) FROM sessions)", RecordKind::Attempt)]
#[case::address_of_an_event("audit_events SET ip = NULL WHERE ip = '192.0.2.77'", RecordKind::Event)]
#[case::no_address_of_an_event("audit_events SET ip = 'x' WHERE ip = '192.0.2.77'", RecordKind::Event)]
#[case::reason("audit_events SET reason = NULL WHERE reason IS NOT NULL", RecordKind::Event)]
#[case::details(
    r#"audit_events SET details = '{"token":"u","client_id":null,"methods":["pwd"]}' WHERE ip = '192.0.2.77'"#,
    RecordKind::Event
)]
#[case::erased_details(r#"audit_events SET details = '{"erased":true}' WHERE ip = '192.0.2.77'"#, RecordKind::Event)]
#[case::session_of_an_event("audit_events SET session_id = NULL WHERE reason IS NOT NULL", RecordKind::Event)]
#[case::subject("audit_events SET subject_id = NULL WHERE reason IS NOT NULL", RecordKind::Event)]
#[actix_web::test]
async fn p6_nothing_that_a_row_says_is_left_out(
    #[case] change: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    tamper(&app, &[&format!("UPDATE {}", change.replace("SALT", ANOTHER_SALT))]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

/// What SQLite lets stand in a column of another type is another thing, though it is shown alike: nothing would find it.
#[rstest]
#[case::bytes_for_a_text("attempts SET outcome = CAST(outcome AS BLOB)", RecordKind::Attempt)]
#[case::text_for_bytes("sessions SET person_proof = CAST('0123456789abcdef' AS TEXT)", RecordKind::SessionStarted)]
#[case::a_part_of_a_microsecond("attempts SET at = at + 0.5", RecordKind::Attempt)]
#[case::text_for_a_number("attempts SET at = 'x'", RecordKind::Attempt)]
#[case::another_spelling("attempts SET user_id = upper(user_id) WHERE user_id IS NOT NULL", RecordKind::Attempt)]
#[case::no_utf_8(
    "sessions SET username = CAST(replace(CAST(username AS BLOB), CAST(x'efbfbd' AS BLOB), x'ff') AS TEXT)",
    RecordKind::SessionStarted
)]
#[actix_web::test]
async fn p6_another_type_is_another_thing(#[case] change: &str, #[case] kind: RecordKind) {
    let app = history(Sqlite).await;
    tamper(&app, &[&format!("UPDATE {change}")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

/// Whoever owns the tables can also let be missing what never is, or let stand there what cannot.
#[rstest]
#[case("attempts ALTER request_id DROP NOT NULL", "attempts SET request_id = NULL", RecordKind::Attempt)]
#[case("attempts ALTER username DROP NOT NULL", "attempts SET username = NULL", RecordKind::Attempt)]
#[case("attempts ALTER at DROP NOT NULL", "attempts SET at = NULL", RecordKind::Attempt)]
#[case("sessions ALTER refresh_seed DROP NOT NULL", "sessions SET refresh_seed = NULL", RecordKind::SessionEnded)]
#[case("sessions ALTER token_id DROP NOT NULL", "sessions SET token_id = NULL", RecordKind::SessionEnded)]
#[case("sessions ALTER role DROP NOT NULL", "sessions SET role = NULL", RecordKind::SessionStarted)]
#[case("sessions ALTER ip DROP NOT NULL", "sessions SET ip = NULL", RecordKind::SessionStarted)]
#[case("audit_events ALTER details DROP NOT NULL", "audit_events SET details = NULL", RecordKind::Event)]
#[case(
    "sessions DROP CONSTRAINT sessions_person_proof_check",
    "sessions SET person_proof = substr(person_proof, 2)",
    RecordKind::SessionStarted
)]
#[actix_web::test]
async fn p6_what_no_table_allows_is_found(#[case] table: &str, #[case] change: &str, #[case] kind: RecordKind) {
    let app = history(Postgres).await;
    Beside::connect(&app.database.url).execute(&format!("ALTER TABLE {table}")).unwrap();
    tamper(&app, &[&format!("UPDATE {change}")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}
