//! Whatever is done to sessions, in whatever order, on two nodes, with restarts and a clock that jumps: every answer is
//! the one that a small model gives, introspection, forward-auth and the API agree (P9, REV-10), and both databases, with and without the live view, give the same answers to the same
//! script (P1, P2, TOK-02).
//!
//! `VIGIE_TEST_CASES` sets how many scripts are tried, `VIGIE_TEST_SEED` (a number) which.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use secrecy::SecretString;
use vigie::authentication::password::{AuthenticationError, Credentials};
use vigie::client::registration::NewClient;
use vigie::model::audit::AuditContext;
use vigie::model::client::{Client, ClientId, LoginClient, Scope};
use vigie::model::id::{SessionId, UserId};
use vigie::model::session::{ClientInfo, EndReason};
use vigie::model::user::{Role, UserState};
use vigie::session::check::CheckError;
use vigie::session::refresh::RefreshError;
use vigie::session::start::LoginError;
use vigie::user::change::UserChange;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const USERS: usize = 3;
const NODES: usize = 2;
const LIMIT: usize = 3;
const ACCESS: TimeDelta = TimeDelta::minutes(45);
const IDLE: TimeDelta = TimeDelta::minutes(30);
const LIFETIME: TimeDelta = TimeDelta::hours(3);
const NEARLY_IDLE: TimeDelta = TimeDelta::seconds(45);
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// The rules of the constants above. Access tokens outlive the idle time, so that the check is what finds an idle end.
const SETTINGS: &[(&str, &str)] = &[
    ("VIGIE__TOKENS__ACCESS_TTL", "45m"),
    ("VIGIE__SESSIONS__IDLE_TIMEOUT", "30m"),
    ("VIGIE__SESSIONS__LIFETIME", "3h"),
    ("VIGIE__SESSIONS__MAX_PER_USER", "3"),
    ("VIGIE__SESSIONS__REFRESH_GRACE", "30s"),
    // Logins of disabled users fail here all the time; throttling has tests of its own.
    ("VIGIE__THROTTLE__FREE_FAILURES", "1000000"),
    ("VIGIE__THROTTLE__DAILY_FAILURES", "0"),
    ("VIGIE__THROTTLE__LOCKED_AFTER", "50"),
    ("VIGIE__THROTTLE__ADDRESS_FAILURES", "1000000"),
    ("VIGIE__THROTTLE__NETWORK_FAILURES", "1000000"),
    ("VIGIE__DATABASE__POOL_SIZE", "2"),
];

/// Something that is done. Numbers name users, sessions and tokens, each modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    LogIn(usize),
    /// The live refresh token.
    Refresh(usize),
    /// One that was spent this many generations ago.
    RefreshOld(usize, usize),
    Logout(usize),
    LogoutByRefreshToken(usize),
    EndOwn(usize, usize),
    LogoutAll(usize, Option<usize>),
    Disable(usize),
    Enable(usize),
    ChangeRole(usize),
    Clock(TimeDelta),
    Flush,
    RecordOverdue,
    Restart,
    OtherNode,
}

fn step() -> impl Strategy<Value = Step> {
    let (number, user) = (0..64usize, 0..USERS);
    // Twice twenty minutes is more than the idle time: a session lives only if it was seen in between.
    let forth = prop_oneof![
        2 => Just(5), 2 => Just(29), 2 => Just(60), 2 => Just(600), 5 => Just(1_200), 3 => Just(1_500), 1 => Just(1_860),
        1 => Just(7_200),
    ];
    let back = prop_oneof![Just(-5), Just(-60), Just(-600), Just(-3_600)];
    prop_oneof![
        6 => user.clone().prop_map(Step::LogIn),
        6 => number.clone().prop_map(Step::Refresh),
        3 => (number.clone(), 1..3usize).prop_map(|(session, age)| Step::RefreshOld(session, age)),
        2 => number.clone().prop_map(Step::Logout),
        1 => number.clone().prop_map(Step::LogoutByRefreshToken),
        2 => (user.clone(), number.clone()).prop_map(|(user, session)| Step::EndOwn(user, session)),
        1 => (user.clone(), proptest::option::of(number)).prop_map(|(user, kept)| Step::LogoutAll(user, kept)),
        1 => user.clone().prop_map(Step::Disable),
        2 => user.clone().prop_map(Step::Enable),
        1 => user.prop_map(Step::ChangeRole),
        8 => forth.prop_map(|seconds| Step::Clock(TimeDelta::seconds(seconds))),
        2 => back.prop_map(|seconds| Step::Clock(TimeDelta::seconds(seconds))),
        1 => Just(Step::Flush),
        2 => Just(Step::RecordOverdue),
        1 => Just(Step::Restart),
        2 => Just(Step::OtherNode),
    ]
}

/// A step, and which tokens are looked at after it: a look is a use, so looking at all would keep all alive.
type Script = Vec<(Step, u16)>;

fn script() -> impl Strategy<Value = Script> {
    proptest::collection::vec((step(), prop_oneof![Just(u16::MAX), any::<u16>()]), 5..40)
}

/// How a session is, as the rules have it.
#[derive(Debug, Clone)]
struct Session {
    user: usize,
    started: DateTime<Utc>,
    /// What the database knows of its last use, and when it would be idle for too long by that.
    seen: (DateTime<Utc>, DateTime<Utc>),
    /// What each node has seen and not written yet.
    pending: [Option<(DateTime<Utc>, DateTime<Utc>)>; NODES],
    end: Option<EndReason>,
    generation: usize,
    spent: Option<DateTime<Utc>>,
    /// When each access token was issued.
    tokens: Vec<DateTime<Utc>>,
}

/// The rules, without a database, a signature or a second thread.
struct Model {
    now: DateTime<Utc>,
    node: usize,
    sessions: Vec<Session>,
    disabled: [bool; USERS],
    role: [usize; USERS],
}

impl Session {
    fn expires(&self) -> DateTime<Utc> {
        self.started + LIFETIME
    }

    fn use_at(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        (now, (now + IDLE).min(self.expires()))
    }

    /// Why it is over at this node, if it is.
    fn over(&self, now: DateTime<Utc>, node: Option<usize>) -> Option<EndReason> {
        let pending = node.and_then(|node| self.pending[node]).map(|seen| seen.1);
        let idle = self.seen.1.max(pending.unwrap_or(self.seen.1));
        let by_time =
            if idle < self.expires() { (idle, EndReason::IdleTimeout) } else { (self.expires(), EndReason::Expired) };
        self.end.or((now >= by_time.0).then_some(by_time.1))
    }

    fn finish(&mut self, reason: EndReason) -> bool {
        let first = self.end.is_none();
        self.end.get_or_insert(reason);
        first
    }

    fn flush(&mut self, node: usize) {
        if let Some(seen) = self.pending[node].take()
            && self.end.is_none()
            && self.seen.0 < seen.0
        {
            self.seen = seen;
        }
    }
}

impl Model {
    fn new(now: DateTime<Utc>) -> Self {
        Self { now, node: 0, sessions: Vec::new(), disabled: [false; USERS], role: [0; USERS] }
    }

    fn verified(&self, issued: DateTime<Utc>, session: &Session) -> Option<&'static str> {
        if issued > self.now + TimeDelta::seconds(10) {
            return Some("not yet valid");
        }
        ((issued + ACCESS).min(session.expires()) <= self.now).then_some("expired")
    }

    fn check(&mut self, session: usize, token: usize) -> String {
        let (now, node) = (self.now, self.node);
        let found = &self.sessions[session];
        if let Some(refused) = self.verified(found.tokens[token], found) {
            return refused.to_owned();
        }
        if let Some(reason) = found.over(now, Some(node)) {
            return format!("ended {reason}");
        }
        let used = found.use_at(now);
        let role = role(self.role[found.user]);
        let session = &mut self.sessions[session];
        if now >= session.seen.0 && session.pending[node].is_none_or(|seen| seen.0 < now) {
            session.pending[node] = Some(used);
        }
        // Nearly idle: written before it is answered.
        if now >= session.seen.0 && now + NEARLY_IDLE >= session.seen.1 && used.1 > session.seen.1 {
            session.flush(node);
        }
        format!("ok {role}")
    }

    fn log_in(&mut self, user: usize) -> String {
        if self.disabled[user] {
            return "refused".to_owned();
        }
        let (now, node) = (self.now, self.node);
        let mut open: Vec<&mut Session> =
            self.sessions.iter_mut().filter(|session| session.user == user && session.end.is_none()).collect();
        open.sort_by_key(|session| session.started);
        open.retain_mut(|session| match session.over(now, Some(node)) {
            Some(reason) => !session.finish(reason),
            None => true,
        });
        let surplus = (open.len() + 1).saturating_sub(LIMIT);
        for session in open.into_iter().take(surplus) {
            session.finish(EndReason::SessionLimit);
        }
        self.sessions.push(Session {
            user,
            started: now,
            seen: (now, now + IDLE),
            pending: [None; NODES],
            end: None,
            generation: 0,
            spent: None,
            tokens: vec![now],
        });
        "ok".to_owned()
    }

    fn refresh(&mut self, session: usize, generation: usize) -> String {
        let (now, node) = (self.now, self.node);
        let session = &mut self.sessions[session];
        if let Some(reason) = session.over(now, Some(node)) {
            return format!("ended {reason}");
        }
        let within_grace = session.spent.is_some_and(|spent| (now - spent).abs() < GRACE);
        if generation == session.generation {
            session.generation += 1;
            session.spent = Some(now);
            session.seen = session.use_at(now);
        } else if generation + 1 != session.generation || !within_grace {
            session.finish(EndReason::RefreshReused);
            return format!("ended {}", EndReason::RefreshReused);
        }
        session.tokens.push(now);
        format!("generation {}", session.generation)
    }

    /// Whichever token it is, and whatever its times.
    fn logout(&mut self, session: usize) -> String {
        self.sessions[session].finish(EndReason::Logout);
        "ok".to_owned()
    }

    fn end_all(&mut self, user: usize, kept: Option<usize>, reason: EndReason) -> usize {
        let all = self.sessions.iter_mut().enumerate();
        let of_user = all.filter(|(number, session)| session.user == user && Some(*number) != kept);
        of_user.map(|(_, session)| session.finish(reason)).filter(|first| *first).count()
    }

    fn flush(&mut self, node: usize) {
        self.sessions.iter_mut().for_each(|session| session.flush(node));
    }

    fn record_expired(&mut self) -> usize {
        self.flush(self.node);
        let now = self.now;
        let due = self.sessions.iter_mut().filter(|session| session.end.is_none());
        due.filter_map(|session| session.over(now, None).map(|reason| session.finish(reason))).count()
    }
}

fn role(number: usize) -> &'static str {
    ["agent", "chef", "directeur"][number % 3]
}

/// What the real thing handed out for a session.
struct Handed {
    id: SessionId,
    access: Vec<String>,
    refresh: HashMap<usize, String>,
}

/// Two nodes on one database, and what they handed out in this script.
struct World {
    nodes: Vec<TestApp>,
    node: usize,
    users: Vec<UserId>,
    handed: Vec<Handed>,
    /// Who is told whether tokens are good.
    client: Client,
}

impl World {
    async fn start(backend: Backend, live_view: &str) -> Self {
        let settings = [SETTINGS, &[("VIGIE__NODES__LIVE_VIEW", live_view)]].concat();
        let first = TestApp::start_with(backend, &settings).await;
        let second = first.another_node().await;
        let id = ClientId::parse("crm").expect("a client id");
        let scopes = vec![Scope::Introspect];
        let new = NewClient { id, name: "CRM".to_owned(), scopes, audiences: None, keys: None };
        let registered = first.app.clients.register(new, &AuditContext::command_line()).await;
        let (client, _) = registered.expect("the client is registered");
        Self { nodes: vec![first, second], node: 0, users: Vec::new(), handed: Vec::new(), client }
    }

    fn app(&self) -> &vigie::app::App {
        &self.nodes[self.node].app
    }

    /// New users, so that scripts know nothing of each other. What earlier ones left is over first.
    async fn begin(&mut self, case: usize, now: DateTime<Utc>) {
        self.nodes[0].clock.set(now);
        self.app().sessions.record_expired().await.expect("the store works");
        (self.node, self.users, self.handed) = (0, Vec::new(), Vec::new());
        for user in 0..USERS {
            self.users.push(self.nodes[0].user(&name(case, user), role(0)).await.id);
        }
    }

    /// What a client is told of a token: whether it is good.
    async fn introspect(&self, session: usize, token: usize) -> bool {
        let told = self.app().sessions.introspect(&self.handed[session].access[token], &self.client).await;
        serde_json::json!(told.expect("the store works"))["active"] == true
    }

    /// What the API, and forward-auth, make of a token.
    async fn asked(&self, session: usize, token: usize) -> [bool; 2] {
        let holder = self.nodes[self.node].nobody().with_token(&self.handed[session].access[token]);
        [holder.get("/auth/verify").await.status == 200, holder.get("/auth/me").await.status == 200]
    }

    async fn check(&self, session: usize, token: usize) -> String {
        match self.app().sessions.check(&self.handed[session].access[token], HERE).await {
            Ok(checked) => {
                assert_eq!(checked.session_id, self.handed[session].id);
                format!("ok {}", checked.user.role)
            }
            Err(error) => refusal(&error),
        }
    }

    async fn log_in(&mut self, case: usize, user: usize) -> String {
        let credentials = Credentials {
            username: name(case, user),
            password: SecretString::from(PASSWORD),
            client: LoginClient::Unnamed,
            device: None,
            system: None,
            client_info: client_info(),
            request_id: "script".to_owned(),
        };
        match self.app().sessions.log_in(credentials, None).await {
            Ok(logged_in) => {
                let issued = logged_in.issued;
                let refresh = HashMap::from([(0, issued.refresh_token.reveal())]);
                self.handed.push(Handed { id: issued.session.id, access: vec![issued.access_token], refresh });
                "ok".to_owned()
            }
            Err(LoginError::Authentication(AuthenticationError::InvalidCredentials)) => "refused".to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    async fn refresh(&mut self, session: usize, generation: usize) -> String {
        let token = self.handed[session].refresh[&generation].clone();
        match self.app().sessions.refresh(&token, None, &client_info(), "script").await {
            Ok(issued) => {
                let generation = issued.session.refresh.generation as usize;
                let text = issued.refresh_token.reveal();
                let handed = &mut self.handed[session];
                handed.access.push(issued.access_token);
                // Once more within the grace is the very same token, never a second lineage.
                let known = handed.refresh.entry(generation).or_insert_with(|| text.clone());
                if *known == text { format!("generation {generation}") } else { "a fork".to_owned() }
            }
            Err(RefreshError::Ended(reason)) => format!("ended {reason}"),
            Err(error) => format!("{error:?}"),
        }
    }

    /// A running node stops, writes what it has, and starts again.
    async fn restart(&mut self) {
        let node = self.nodes.remove(self.node);
        self.nodes.insert(self.node, node.restart().await);
    }

    async fn change(&self, user: usize, change: UserChange) -> String {
        let changed = self.app().users.change(self.users[user], change, &AuditContext::command_line()).await;
        changed.map_or_else(|error| format!("{error:?}"), |user| format!("{} {}", user.role, user.state))
    }

    /// Everything that is known of the sessions, without ids, in the order of the logins.
    async fn account(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for handed in &self.handed {
            let id = handed.id;
            let session = self.app().store.read(move |db| vigie::store::sessions::find(db, id)).await;
            let session = session.expect("the store works").expect("a session that was started");
            rows.push(format!(
                "{} {} {} {} {} {:?} {:?} {:?}",
                session.role,
                session.started_at,
                session.last_seen_at,
                session.idle_expires_at,
                session.expires_at,
                session.token.issued_at,
                session.refresh.spent_at,
                session.end.map(|end| (end.at, end.reason, end.by.kind))
            ));
        }
        rows
    }
}

fn name(case: usize, user: usize) -> String {
    format!("user-{case}-{user}")
}

fn client_info() -> ClientInfo {
    ClientInfo { ip: HERE, user_agent: None }
}

fn refusal(error: &CheckError) -> String {
    match error {
        CheckError::Invalid(_) => "invalid".to_owned(),
        CheckError::Expired => "expired".to_owned(),
        CheckError::NotYetValid => "not yet valid".to_owned(),
        CheckError::Replaced => "replaced".to_owned(),
        CheckError::Ended(reason) => format!("ended {reason}"),
        CheckError::Store(error) => format!("{error:?}"),
    }
}

/// Does a step in both; what each answered.
async fn both(world: &mut World, model: &mut Model, case: usize, step: &Step) -> (String, String) {
    let count = model.sessions.len();
    let by = AuditContext::system("script");
    let nth = |number: usize| (count > 0).then(|| number % count);
    let nothing = || (String::new(), String::new());
    match step.clone() {
        Step::LogIn(user) => {
            // No two sessions start in one moment: which of them is the oldest would be chance.
            world.nodes[0].clock.advance(TimeDelta::milliseconds(1));
            model.now += TimeDelta::milliseconds(1);
            (world.log_in(case, user).await, model.log_in(user))
        }
        Step::Refresh(number) => {
            let Some(session) = nth(number) else { return nothing() };
            let generation = model.sessions[session].generation;
            (world.refresh(session, generation).await, model.refresh(session, generation))
        }
        Step::RefreshOld(number, age) => {
            let Some(session) = nth(number) else { return nothing() };
            let generation = model.sessions[session].generation.saturating_sub(age);
            (world.refresh(session, generation).await, model.refresh(session, generation))
        }
        Step::Logout(number) => {
            let Some(session) = nth(number) else { return nothing() };
            let token = number % model.sessions[session].tokens.len();
            let real = world.app().sessions.logout(&world.handed[session].access[token], |_| by).await;
            (real.map_or_else(|error| refusal(&error), |()| "ok".to_owned()), model.logout(session))
        }
        Step::LogoutByRefreshToken(number) => {
            let Some(session) = nth(number) else { return nothing() };
            let token = &world.handed[session].refresh[&0];
            let real = world.app().sessions.logout_by_refresh_token(token, |_| by).await;
            model.sessions[session].finish(EndReason::Logout);
            (real.map_or_else(|error| refusal(&error), |()| "ok".to_owned()), "ok".to_owned())
        }
        Step::EndOwn(user, number) => {
            let Some(session) = nth(number) else { return nothing() };
            let real = world.app().sessions.end_own(world.users[user], world.handed[session].id, &by).await;
            let own = model.sessions[session].user == user;
            let expected = own.then(|| model.sessions[session].finish(EndReason::EndedByOwner));
            (format!("{real:?}"), format!("Ok({expected:?})"))
        }
        Step::LogoutAll(user, kept) => {
            let kept = kept.and_then(nth);
            let except = kept.map(|kept| world.handed[kept].id);
            let sessions = &world.app().sessions;
            let real = sessions.end_of_user(world.users[user], except, EndReason::LogoutAll, None, &by).await;
            (format!("{real:?}"), format!("Ok({})", model.end_all(user, kept, EndReason::LogoutAll)))
        }
        Step::Disable(user) => {
            let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
            let real = world.change(user, change).await;
            if !std::mem::replace(&mut model.disabled[user], true) {
                model.end_all(user, None, EndReason::UserDisabled);
            }
            (real, format!("{} disabled", role(model.role[user])))
        }
        Step::Enable(user) => {
            let change = UserChange { state: Some(UserState::Active), ..UserChange::default() };
            model.disabled[user] = false;
            (world.change(user, change).await, format!("{} active", role(model.role[user])))
        }
        Step::ChangeRole(user) => {
            model.role[user] += 1;
            let new = role(model.role[user]);
            let change = UserChange { role: Role::parse(new).ok(), ..UserChange::default() };
            let state = if model.disabled[user] { "disabled" } else { "active" };
            (world.change(user, change).await, format!("{new} {state}"))
        }
        Step::Clock(step) => {
            world.nodes[0].clock.advance(step);
            model.now += step;
            nothing()
        }
        Step::Flush => {
            world.app().sessions.flush_last_seen().await.expect("the store works");
            model.flush(model.node);
            nothing()
        }
        Step::RecordOverdue => {
            let real = world.app().sessions.record_expired().await;
            (format!("{real:?}"), format!("Ok({})", model.record_expired()))
        }
        Step::Restart => {
            world.restart().await;
            model.flush(model.node);
            nothing()
        }
        Step::OtherNode => {
            world.node = (world.node + 1) % NODES;
            model.node = world.node;
            nothing()
        }
    }
}

/// Plays a script against the model; returns every answer, for comparing the databases.
async fn play(
    world: &mut World,
    case: usize,
    now: DateTime<Utc>,
    script: &Script,
) -> Result<Vec<String>, TestCaseError> {
    world.begin(case, now).await;
    let mut model = Model::new(now);
    let mut answers = Vec::new();
    for (place, (step, looked_at)) in script.iter().enumerate() {
        let (real, expected) = both(world, &mut model, case, step).await;
        prop_assert_eq!(&real, &expected, "step {}: {:?} at {}", place, step, model.now);
        answers.push(real);
        let tokens = (0..model.sessions.len())
            .flat_map(|number| (0..model.sessions[number].tokens.len()).map(move |token| (number, token)));
        for (place_of_token, (session, token)) in tokens.collect::<Vec<_>>().into_iter().enumerate() {
            let is_over = model.sessions[session].end.is_some();
            if !is_over && looked_at & (1 << (place_of_token % 16)) == 0 {
                continue;
            }
            // P9, REV-10: whoever is asked first, all say the same.
            let told_before = if place % 2 == 0 { Some(world.introspect(session, token).await) } else { None };
            let (real, expected) = (world.check(session, token).await, model.check(session, token));
            let told = world.introspect(session, token).await;
            let is_good = real.starts_with("ok");
            prop_assert_eq!(
                (told_before.unwrap_or(is_good), told),
                (is_good, is_good),
                "introspection after {:?}",
                step
            );
            if place_of_token == 0 {
                prop_assert_eq!(world.asked(session, token).await, [is_good; 2], "verify and me after {:?}", step);
            }
            prop_assert_eq!(
                &real,
                &expected,
                "after step {}: {:?} at {}: token {} of {:?}",
                place,
                step,
                model.now,
                token,
                model.sessions[session]
            );
            prop_assert!(!(is_over && real.starts_with("ok")), "an ended session is alive");
            answers.push(real);
        }
    }
    answers.extend(world.account().await);
    Ok(answers)
}

fn runner() -> TestRunner {
    let number = |name: &str, otherwise: u32| {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("VIGIE_TEST_SEED", 2026).to_be_bytes());
    let config = Config { cases: number("VIGIE_TEST_CASES", 40), failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

#[test]
fn every_answer_is_the_one_of_the_model_on_both_databases_with_and_without_the_live_view() {
    let system = actix_web::rt::System::new();
    let worlds = system.block_on(async {
        let mut worlds = Vec::new();
        for (backend, live_view) in [(Sqlite, "true"), (Postgres, "true"), (Sqlite, "false"), (Postgres, "false")] {
            worlds.push(World::start(backend, live_view).await);
        }
        worlds
    });
    let begin = worlds[0].nodes[0].now();
    let state = RefCell::new((0usize, Some(worlds)));
    let outcome = runner().run(&script(), |script| {
        let (case, worlds) = {
            let mut state = state.borrow_mut();
            state.0 += 1;
            (state.0, state.1.take())
        };
        let Some(mut worlds) = worlds else { return Err(TestCaseError::reject("it panicked before")) };
        // Far enough for all that scripts before have left to be over.
        let now = begin + TimeDelta::days(30) * i32::try_from(case).unwrap_or(i32::MAX);
        let result = system.block_on(async {
            let first = play(&mut worlds[0], case, now, &script).await?;
            for world in &mut worlds[1..] {
                prop_assert_eq!(&play(world, case, now, &script).await?, &first, "the worlds differ");
            }
            Ok(())
        });
        state.borrow_mut().1 = Some(worlds);
        result
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    drop(system);
}
