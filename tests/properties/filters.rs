//! A list by a filter has exactly the rows that the filter describes, whatever it asks for and excludes: the same as going
//! through all rows in memory.

use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rstest::rstest;
use vigie::model::attempt::{Attempt, AttemptOutcome};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Outcome, RecordedEvent, Subject};
use vigie::model::client::{ClientId, LoginClient};
use vigie::model::filter::{
    AttemptFilter, Criterion, EventFilter, Moment, Network, SessionFilter, Sort, StateFilter, Text, UserSelector,
};
use vigie::model::folding::{fold, forms};
use vigie::model::id::SessionId;
use vigie::model::session::{Actor, ClientInfo, EndReason, Session, SessionState};
use vigie::model::user::{Role, User};
use vigie::store::{Page, StoreError, attempts, audit, sessions};

use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::history::{attempt, ended};

/// Rows of each history.
const ROWS: usize = 60;
/// Rows of a page.
const PAGE: i64 = 17;
/// Filters tried of each history.
const CASES: usize = 150;

const ADDRESSES: [&str; 5] = ["192.0.2.10", "192.0.2.200", "192.0.3.1", "2001:db8:1::1", "2001:db8:2::1"];
const AGENTS: [Option<&str>; 4] =
    [None, Some("Mozilla/5.0 Firefox/130.0"), Some("curl/8.9 100%_sure\\"), Some("okhttp")];
const CLIENTS: [Option<&str>; 3] = [None, Some("crm"), Some("shop")];
const REASONS: [EndReason; 3] = [EndReason::Logout, EndReason::Expired, EndReason::EndedByAdmin];
const KINDS: [AuditKind; 3] = [AuditKind::KeyRotated, AuditKind::PasswordVoided, AuditKind::AccessRefused];
const PARTIES: [&str; 3] = ["cli", "expiry", "throttle"];

fn text(text: &str) -> Text {
    Text(text.to_owned())
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Text> {
    texts.into_iter().map(text).collect()
}

fn networks() -> Vec<Network> {
    let networks = ["192.0.2.0/24", "192.0.2.10/32", "192.0.2.0/23", "2001:db8::/32", "2001:db8:1::1/128", "::/0"];
    networks.map(|network| Network(network.parse().expect("a network"))).to_vec()
}

/// The users by id and by name, in any case, and somebody who is not there.
fn selectors(users: &[User]) -> Vec<UserSelector> {
    let ids = users.iter().map(|user| user.id.into());
    let names = ["alice", "BOB", "Carol", "nobody"].map(|name| UserSelector(text(name)));
    ids.chain(names).collect()
}

/// Mostly nothing; else a few values of a pool, asked for or excluded.
fn criterion<T: Clone + Debug + 'static>(pool: Vec<T>) -> impl Strategy<Value = Criterion<T>> {
    let few = || prop_oneof![2 => Just(0..1_usize), 1 => Just(1..4)];
    let values = move |few| proptest::collection::vec(select(pool.clone()), few);
    let values = (few(), few()).prop_flat_map(move |(include, exclude)| (values(include), values(exclude)));
    prop_oneof![2 => Just(Criterion::default()), 1 => values.prop_map(|(include, exclude)| Criterion { include, exclude })]
}

/// Mostly none; else one of the hours before now.
fn moment(now: DateTime<Utc>) -> impl Strategy<Value = Option<Moment>> {
    let some = (0..ROWS).prop_map(move |row| Some(Moment(now - hours(row))));
    prop_oneof![5 => Just(None), 1 => some]
}

fn hours(row: usize) -> TimeDelta {
    TimeDelta::hours(i64::try_from(row).expect("few"))
}

/// Whether a row that has a value, or has none, meets a criterion.
fn meets<T>(criterion: &Criterion<T>, has: impl Fn(&T) -> bool) -> bool {
    let Criterion { include, exclude } = criterion;
    (include.is_empty() || include.iter().any(&has)) && !exclude.iter().any(&has)
}

fn is_within(at: Option<DateTime<Utc>>, from: Option<Moment>, to: Option<Moment>) -> bool {
    let is_after = from.is_none_or(|from| at.is_some_and(|at| at >= from.0));
    is_after && to.is_none_or(|to| at.is_some_and(|at| at < to.0))
}

/// All rows of a list, page by page.
fn pages<T, Place>(
    mut read: impl FnMut(Option<Place>) -> Result<Page<T, Place>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = read(after)?;
        rows.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}

async fn people(app: &TestApp) -> Vec<User> {
    vec![app.user("Alice", "agent").await, app.user("bob", "agent").await, app.user("carol", "chef").await]
}

/// Sessions of which each pair of members comes in many combinations.
fn some_sessions(app: &TestApp, users: &[User]) -> Vec<Session> {
    let of_row = |row: usize| {
        let begun = app.session(&users[row % 3], "a device", hours(row));
        let user_agent = AGENTS[row % 4].map(str::to_owned);
        let by = Actor::system(PARTIES[row / 2 % 3]);
        let over = || ended(begun.started_at + TimeDelta::minutes(30), REASONS[row / 3 % 3], &by, None);
        Session {
            role: Role::parse(["agent", "chef", "directeur"][row / 3 % 3]).expect("a role"),
            client: LoginClient::of(
                CLIENTS[row / 4 % 3].and_then(|id| ClientId::parse(id).ok()),
                row.is_multiple_of(2),
            ),
            client_info: ClientInfo { ip: ADDRESSES[row % 5].parse().expect("an address"), user_agent },
            last_seen_at: begun.started_at + TimeDelta::minutes(20),
            end: (row % 7 < 4).then(over),
            ..begun.clone()
        }
    };
    (0..ROWS).map(of_row).collect()
}

fn session_filter(app: &TestApp, users: &[User], rows: &[Session]) -> impl Strategy<Value = SessionFilter> {
    let now = app.now();
    let whose = (
        criterion(selectors(users)),
        criterion(texts(["agent", "chef", "directeur", "admin"])),
        criterion(StateFilter::ALL.to_vec()),
        criterion(EndReason::ALL.to_vec()),
    );
    let from_where = (
        criterion(networks()),
        criterion(texts(["crm", "shop", "cr"])),
        criterion(texts(["FIREFOX", "100%_", "sure\\", "_", "http"])),
        criterion(texts(PARTIES)),
        criterion(rows.iter().map(|row| row.token.id).take(20).collect()),
    );
    let when = (moment(now), moment(now), moment(now), moment(now), moment(now), moment(now));
    (whose, from_where, when).prop_map(|(whose, from_where, when)| SessionFilter {
        user: whose.0,
        role: whose.1,
        state: whose.2,
        reason: whose.3,
        ip: from_where.0,
        client_id: from_where.1,
        user_agent: from_where.2,
        ended_by: from_where.3,
        token: from_where.4,
        started_from: when.0,
        started_to: when.1,
        last_seen_from: when.2,
        last_seen_to: when.3,
        ended_from: when.4,
        ended_to: when.5,
    })
}

fn describes_session(filter: &SessionFilter, row: &Session, now: DateTime<Utc>) -> bool {
    let (end, is_active) = (row.end.as_ref(), row.state(now) == SessionState::Active);
    let agent = row.client_info.user_agent.as_deref().unwrap_or_default().to_lowercase();
    meets(&filter.user, |user| is_user(user, row.user_id, row.username.as_str()))
        && meets(&filter.role, |role| role.0 == row.role.as_str())
        && meets(&filter.state, |state| state.state().is_none_or(|state| (state == SessionState::Active) == is_active))
        && meets(&filter.reason, |reason| end.is_some_and(|end| end.reason == *reason))
        && meets(&filter.ip, |network| holds(network, row.client_info.ip))
        && meets(&filter.client_id, |id| row.client.id().is_some_and(|client| client.as_str() == id.0))
        && meets(&filter.user_agent, |part| agent.contains(&part.0.to_lowercase()))
        && meets(&filter.ended_by, |by| end.is_some_and(|end| end.by.id == by.0))
        && meets(&filter.token, |token| row.token.id == *token)
        && is_within(Some(row.started_at), filter.started_from, filter.started_to)
        && is_within(Some(row.last_seen_at), filter.last_seen_from, filter.last_seen_to)
        && is_within(end.map(|end| end.at), filter.ended_from, filter.ended_to)
}

fn is_user(selector: &UserSelector, id: vigie::model::id::UserId, name: &str) -> bool {
    selector.id().map_or_else(|| fold(selector.name()) == fold(name), |meant| meant == id)
}

fn holds(network: &Network, ip: std::net::IpAddr) -> bool {
    network.0.contains(&ip)
}

/// Tries filters: what each finds in the store, and counts there, is what it describes.
async fn hold<F: Debug + Clone + Send + 'static>(
    filters: impl Strategy<Value = F>,
    read: impl AsyncFn(F) -> (Vec<String>, i64),
    described: impl Fn(&F) -> Vec<String>,
) {
    let mut runner = TestRunner::default();
    let mut some = 0;
    for _ in 0..CASES {
        let filter = filters.new_tree(&mut runner).expect("a filter").current();
        let (found, count) = read(filter.clone()).await;
        let expected = described(&filter);
        assert_eq!(found, expected, "{filter:#?}");
        assert_eq!(usize::try_from(count), Ok(expected.len()), "{filter:#?}");
        some += usize::from(!expected.is_empty() && expected.len() < ROWS);
    }
    assert!(some > CASES / 10, "too few of these filters tell rows apart: {some}");
}

#[rstest]
#[actix_web::test]
async fn a_list_of_sessions_has_what_its_filter_describes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let users = people(&app).await;
    let (mut rows, now) = (some_sessions(&app, &users), app.now());
    app.add_sessions(rows.clone()).await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.started_at, row.id)));
    let read = async |filter: SessionFilter| {
        let work = move |db: &mut _| {
            let sort = Sort::NewestStart;
            let page = |after| sessions::list(db, &filter, now, sort, after, PAGE);
            let found = pages(page)?;
            let count = sessions::count(db, &filter, now)?;
            Ok::<_, StoreError>((found.iter().map(|row| row.id.to_string()).collect(), count))
        };
        app.app.store.read(work).await.expect("the store answers")
    };
    hold(session_filter(&app, &users, &rows), read, |filter| {
        rows.iter().filter(|row| describes_session(filter, row, now)).map(|row| row.id.to_string()).collect()
    })
    .await;
}

fn some_attempts(app: &TestApp, users: &[User]) -> Vec<Attempt> {
    let of_row = |row: usize| {
        // Of one in four nobody has the name, which another user may have had.
        let user = Some(&users[row % 3]).filter(|_| !row.is_multiple_of(4));
        let name = user.map_or(["nobody", "carol", "Zoé"][row / 4 % 3], |user| user.username.as_str());
        Attempt {
            user_id: user.map(|user| user.id),
            outcome: AttemptOutcome::ALL[row % AttemptOutcome::ALL.len()],
            ip: ADDRESSES[row % 5].parse().expect("an address"),
            ..attempt(name, app.now() - hours(row))
        }
    };
    (0..ROWS).map(of_row).collect()
}

fn describes_attempt(filter: &AttemptFilter, row: &Attempt) -> bool {
    let is_user = |user: &UserSelector| match user.id() {
        Some(id) => row.user_id == Some(id),
        None => fold(user.name()) == fold(&row.username),
    };
    meets(&filter.user, is_user)
        && meets(&filter.username, |name| fold(&name.0) == fold(&row.username))
        && meets(&filter.ip, |network| holds(network, row.ip))
        && meets(&filter.outcome, |outcome| row.outcome == *outcome)
        && is_within(Some(row.at), filter.from, filter.to)
}

#[rstest]
#[actix_web::test]
async fn a_list_of_attempts_has_what_its_filter_describes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let users = people(&app).await;
    let (mut rows, now) = (some_attempts(&app, &users), app.now());
    app.add_attempts(rows.clone()).await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    let members = (
        criterion(selectors(&users)),
        criterion(texts(["ALICE", "bob", "nobody", "zoé"])),
        criterion(networks()),
        criterion(AttemptOutcome::ALL.to_vec()),
        moment(now),
        moment(now),
    );
    let filters = members.prop_map(|(user, username, ip, outcome, from, to)| AttemptFilter {
        user,
        username,
        ip,
        outcome,
        from,
        to,
    });
    let read = async |filter: AttemptFilter| {
        let work = move |db: &mut _| {
            let page = |after| attempts::list(db, &filter, &forms, after, PAGE);
            let found = pages(page)?;
            let count = attempts::count(db, &filter, &forms)?;
            Ok::<_, StoreError>((found.iter().map(|row| row.id.to_string()).collect(), count))
        };
        app.app.store.read(work).await.expect("the store answers")
    };
    hold(filters, read, |filter| {
        rows.iter().filter(|row| describes_attempt(filter, row)).map(|row| row.id.to_string()).collect()
    })
    .await;
}

fn some_events(app: &TestApp, places: &[SessionId]) -> Vec<AuditEvent> {
    let of_row = |row: usize| {
        let details = match KINDS[row % 3] {
            AuditKind::KeyRotated => Details::KeyRotated {},
            AuditKind::PasswordVoided => Details::PasswordVoided {},
            _ => Details::AccessRefused { route: "GET /admin/users".to_owned() },
        };
        let facts = details.kind().facts();
        let subject = Subject { kind: facts.subjects[0], id: (row % 4 != 1).then(|| (row / 3 % 3).to_string()) };
        let event =
            AuditEvent::new(app.now() - hours(row), details, &AuditContext::system(PARTIES[row / 2 % 3]), subject);
        let session_id = (!row.is_multiple_of(5)).then(|| places[row % places.len()]);
        AuditEvent { reason: facts.reasons.first().copied(), session_id, ..event }
    };
    (0..ROWS).map(of_row).collect()
}

fn describes_event(filter: &EventFilter, event: &AuditEvent) -> bool {
    meets(&filter.kind, |kind| event.kind == *kind)
        && meets(&filter.outcome, |outcome| event.outcome == *outcome)
        && meets(&filter.actor, |actor| event.context.actor.id == actor.0)
        && meets(&filter.subject, |subject| event.subject.id.as_ref() == Some(&subject.0))
        && meets(&filter.session_id, |id| event.session_id == Some(*id))
        && is_within(Some(event.at), filter.from, filter.to)
}

#[rstest]
#[actix_web::test]
async fn a_list_of_events_has_what_its_filter_describes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let now = app.now();
    let places: Vec<SessionId> = (0..2).map(|row| SessionId::new(now - hours(row))).collect();
    let events = some_events(&app, &places);
    let record = move |db: &mut _| audit::record_all(db, &events);
    app.app.store.write::<_, StoreError>(record).await.expect("recorded");
    // What the start of the server recorded is there too.
    let mut rows: Vec<RecordedEvent> = app.events().await;
    rows.sort_by_key(|row| std::cmp::Reverse((row.event.at, row.seq)));
    let members = (
        criterion(KINDS.to_vec()),
        criterion(Outcome::ALL.to_vec()),
        criterion(texts(PARTIES)),
        criterion(texts(["1", "2", "3"])),
        criterion(places),
        moment(now),
        moment(now),
    );
    let filters = members.prop_map(|(kind, outcome, actor, subject, session_id, from, to)| EventFilter {
        kind,
        outcome,
        actor,
        subject,
        session_id,
        from,
        to,
    });
    let read = async |filter: EventFilter| {
        let work = move |db: &mut _| {
            let page = |after| audit::list(db, &filter, after, PAGE);
            let found = pages(page)?;
            let count = audit::count(db, &filter)?;
            Ok::<_, StoreError>((found.iter().map(|row| row.seq.to_string()).collect(), count))
        };
        app.app.store.read(work).await.expect("the store answers")
    };
    hold(filters, read, |filter| {
        rows.iter().filter(|row| describes_event(filter, &row.event)).map(|row| row.seq.to_string()).collect()
    })
    .await;
}
