//! The history of the demonstration: who logged in when and from where, how it ended, and who tried in vain.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Datelike as _, NaiveTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::people::{Habits, WEEKS};
use super::random::Random;
use crate::config::Config;
use crate::model::attempt::{Attempt, AttemptOutcome, mask};
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject, SubjectKind};
use crate::model::client::{Client, ClientId, Scope};
use crate::model::device::device;
use crate::model::id::{AttemptId, RequestId, SessionId, TokenId};
use crate::model::secret::Secret;
use crate::model::session::{Actor, CurrentToken, End, EndReason, Origin, RefreshTokens, Session};
use crate::model::user::{User, UserState, fold};

/// The most access tokens that a session of the demonstration was issued.
const MAX_TOKENS: i32 = 24;
/// Of a hundred working days of a person, on so many there is a log-in.
const DILIGENCE: u64 = 35;
/// Sessions that are active at the start.
const ACTIVE: usize = 14;

/// All that is written, events in the order in which they happened.
pub(super) struct Story {
    pub users: Vec<User>,
    pub clients: Vec<Client>,
    pub sessions: Vec<Session>,
    pub tokens: Vec<(SessionId, CurrentToken)>,
    pub attempts: Vec<Attempt>,
    pub events: Vec<AuditEvent>,
}

/// The rules that the history keeps to.
struct Rules {
    idle: TimeDelta,
    lifetime: TimeDelta,
    token_life: TimeDelta,
}

/// One login to be told.
struct Visit<'a> {
    user: &'a User,
    client: Option<&'a ClientId>,
    origin: Origin,
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
}

impl Story {
    /// Invents the history of these people until `now`; the last of them is only just created.
    pub(super) fn invent(config: &Config, users: Vec<User>, now: DateTime<Utc>) -> Self {
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(365));
        let rules = Rules {
            idle: delta(config.sessions.idle_timeout),
            lifetime: delta(config.sessions.lifetime),
            token_life: delta(config.tokens.access_ttl),
        };
        let begin = now - TimeDelta::weeks(WEEKS);
        let clients = clients(begin);
        let mut story =
            Self { users: Vec::new(), clients, sessions: vec![], tokens: vec![], attempts: vec![], events: vec![] };
        let mut random = Random::repeatable();
        let people = &users[..users.len().saturating_sub(1)];
        let habits: Vec<Habits> = (0..people.len()).map(|number| Habits::of(number, &mut random)).collect();
        story.tell_beginning(&users, now);
        for day in 0..WEEKS * 7 {
            story.tell_day(people, &habits, begin + TimeDelta::days(day), &rules, now, &mut random);
        }
        story.tell_spray(people, now - TimeDelta::days(6), &mut random);
        story.tell_now(people, &habits, &rules, now, &mut random);
        story.users = users;
        let failed = story.attempts.iter().filter(|attempt| attempt.outcome != AttemptOutcome::Success);
        story.events.extend(failed.map(|attempt| AuditEvent::of_failed_attempt(AuditKind::LoginFailed, attempt)));
        story.events.sort_by_key(|event| event.at);
        story
    }

    /// Users and applications come to be.
    fn tell_beginning(&mut self, users: &[User], now: DateTime<Utc>) {
        let cli = Cause::command_line();
        for user in users {
            let kind = if user.created_at < now { AuditKind::UserImported } else { AuditKind::UserCreated };
            let event = AuditEvent::new(user.created_at, kind, &cli, Subject::new(SubjectKind::User, user.id));
            self.events.push(event.with(json!({ "username": user.username.as_str(), "role": user.role })));
        }
        for client in &self.clients {
            let subject = Subject::new(SubjectKind::Client, &client.id);
            let event = AuditEvent::new(client.created_at, AuditKind::ClientCreated, &cli, subject);
            self.events.push(event.with(json!({ "name": client.name, "scopes": client.scopes })));
        }
    }

    /// One day: nearly everybody works from Monday to Friday, a few on Saturdays.
    fn tell_day(
        &mut self,
        people: &[User],
        habits: &[Habits],
        day: DateTime<Utc>,
        rules: &Rules,
        now: DateTime<Utc>,
        random: &mut Random,
    ) {
        let midnight = day.date_naive().and_time(NaiveTime::MIN).and_utc();
        let chance = match day.weekday().number_from_monday() {
            1..=5 => DILIGENCE,
            6 => 3,
            _ => 1,
        };
        for (user, habits) in people.iter().zip(habits) {
            if !random.percent(chance) {
                continue;
            }
            let started_at = midnight + random.between(TimeDelta::minutes(7 * 60), TimeDelta::minutes(16 * 60));
            if started_at < user.created_at {
                continue;
            }
            self.tell_visit(user, habits, started_at, rules, now, random);
        }
    }

    /// Somebody logs in, perhaps at the second try, works, and leaves in one of the usual ways.
    fn tell_visit(
        &mut self,
        user: &User,
        habits: &Habits,
        started_at: DateTime<Utc>,
        rules: &Rules,
        now: DateTime<Utc>,
        random: &mut Random,
    ) {
        let longest = TimeDelta::hours(5).min(rules.lifetime * 9 / 10);
        let stays = random.between(TimeDelta::minutes(2).min(longest), longest);
        let client = random.percent(40).then(|| self.clients[0].id.clone());
        let visit = Visit {
            user,
            client: client.as_ref(),
            origin: origin(habits, random),
            started_at,
            last_seen_at: started_at + stays,
        };
        // After this week's discovery the disabled user is gone.
        let is_gone = user.state == UserState::Disabled && started_at > now - TimeDelta::days(3);
        if is_gone {
            return self.attempts.push(attempt(&visit, AttemptOutcome::Disabled, started_at, None));
        }
        let end = Self::end(&visit, rules, random);
        if end.at >= now {
            return;
        }
        if random.percent(12) {
            let before = started_at - random.between(TimeDelta::seconds(6), TimeDelta::seconds(40));
            self.attempts.push(attempt(&visit, AttemptOutcome::WrongPassword, before, None));
        }
        self.tell_session(&visit, Some(end), rules, random);
    }

    /// How a visit ends.
    fn end(visit: &Visit<'_>, rules: &Rules, random: &mut Random) -> End {
        let own = |reason, note: Option<&str>, by| End {
            at: visit.last_seen_at + TimeDelta::milliseconds(350),
            reason,
            by,
            note: note.map(str::to_owned),
        };
        let user = Actor::user(visit.user.id);
        match random.below(100) {
            0..55 => own(EndReason::Logout, None, user),
            55..58 => own(EndReason::LogoutAll, None, user),
            58..61 => own(EndReason::EndedByOwner, None, user),
            61..63 => own(EndReason::PasswordChanged, None, user),
            63..66 => own(EndReason::EndedByAdmin, Some("poste laissé ouvert"), Actor::command_line()),
            66 => own(EndReason::RefreshReused, None, Actor::system("refresh")),
            67..75 => End {
                at: visit.started_at + rules.lifetime,
                reason: EndReason::Expired,
                by: Actor::system("expiry"),
                note: None,
            },
            _ => End {
                at: visit.last_seen_at + rules.idle,
                reason: EndReason::IdleTimeout,
                by: Actor::system("expiry"),
                note: None,
            },
        }
    }

    /// A session with its tokens, its successful attempt, and its events.
    fn tell_session(&mut self, visit: &Visit<'_>, end: Option<End>, rules: &Rules, random: &mut Random) {
        let session_id = SessionId::new(visit.started_at);
        let expires_at = visit.started_at + rules.lifetime;
        // Who stays until the lifetime is over is seen until just before.
        let last_seen_at = match &end {
            Some(end) if end.reason == EndReason::Expired => expires_at - rules.idle.min(TimeDelta::minutes(4)),
            _ => visit.last_seen_at,
        };
        let tokens = tokens(visit.started_at, last_seen_at, expires_at, rules);
        let current = tokens[tokens.len() - 1];
        let last_ip = if random.percent(90) { visit.origin.ip } else { IpAddr::V4(Ipv4Addr::new(203, 0, 113, 77)) };
        let refreshes = u32::try_from(tokens.len() - 1).unwrap_or(0);
        let session = Session {
            id: session_id,
            user_id: visit.user.id,
            username: visit.user.username.clone(),
            role: visit.user.role.clone(),
            client_id: visit.client.cloned(),
            device_name: None,
            device: device(visit.origin.user_agent.as_deref()),
            origin: visit.origin.clone(),
            methods: vec!["pwd".to_owned()],
            started_at: visit.started_at,
            last_seen_at,
            last_ip,
            expires_at,
            idle_expires_at: Session::idle_end(last_seen_at, rules.idle, expires_at),
            token: current,
            refresh: RefreshTokens {
                generation: refreshes,
                spent_at: (refreshes > 0).then_some(current.issued_at),
                ..RefreshTokens::first(*Secret::random().as_bytes())
            },
            end,
        };
        self.attempts.push(attempt(visit, AttemptOutcome::Success, visit.started_at, Some(session_id)));
        self.record(&session, &tokens);
        self.tokens.extend(tokens.into_iter().map(|token| (session_id, token)));
        self.sessions.push(session);
    }

    /// The events of a session, as the operations record them.
    fn record(&mut self, session: &Session, tokens: &[CurrentToken]) {
        let cause = |at, ip| Cause {
            actor: Actor::user(session.user_id),
            ip: Some(ip),
            request_id: Some(RequestId::new(at).to_string()),
            acting: None,
        };
        for (generation, token) in tokens.iter().enumerate() {
            let cause = cause(token.issued_at, session.origin.ip);
            let (kind, subject, details) = if generation == 0 {
                let details = json!({ "token": token.id, "client_id": session.client_id, "methods": session.methods });
                (AuditKind::SessionStarted, Subject::new(SubjectKind::User, session.user_id), details)
            } else {
                let details = json!({ "token": token.id, "generation": generation });
                (AuditKind::SessionRefreshed, Subject::new(SubjectKind::Session, session.id), details)
            };
            self.push(session.id, AuditEvent::new(token.issued_at, kind, &cause, subject), details);
        }
        let Some(end) = &session.end else { return };
        let by_user = end.by == Actor::user(session.user_id);
        let cause = if by_user { cause(end.at, session.last_ip) } else { Cause::system(&end.by.id) };
        let mut details = json!({ "reason": end.reason });
        if let Some(note) = &end.note {
            details["note"] = json!(note);
        }
        let subject = Subject::new(SubjectKind::Session, session.id);
        self.push(session.id, AuditEvent::new(end.at, AuditKind::SessionEnded, &cause, subject), details);
    }

    fn push(&mut self, id: SessionId, event: AuditEvent, details: Value) {
        self.events.push(event.in_session(id).with(details));
    }

    /// One night somebody tries a few passwords on many names, is slowed down, and gives up.
    fn tell_spray(&mut self, people: &[User], day: DateTime<Utc>, random: &mut Random) {
        let mut at = day.date_naive().and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(3 * 60 + 12);
        let ip = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 201));
        let origin = Origin { ip, user_agent: Some("python-requests/2.32.3".to_owned()) };
        let digest = *Secret::random().as_bytes();
        for number in 0..42_usize {
            at += random.between(TimeDelta::milliseconds(900), TimeDelta::milliseconds(4200));
            let outcome = if number >= 20 { AttemptOutcome::Throttled } else { AttemptOutcome::WrongPassword };
            let user = &people[(number * 5 + 2) % people.len()];
            let visit = Visit { user, client: None, origin: origin.clone(), started_at: at, last_seen_at: at };
            let tried = attempt(&visit, outcome, at, None);
            let is_guess = number % 4 == 3;
            self.attempts.push(if is_guess { unknown(tried, number, &digest) } else { tried });
        }
    }

    /// Who is at work this moment, whatever the hour: the list of active sessions is not empty.
    fn tell_now(&mut self, people: &[User], habits: &[Habits], rules: &Rules, now: DateTime<Utc>, random: &mut Random) {
        let longest = TimeDelta::hours(4).min(rules.lifetime / 2);
        let recent = TimeDelta::minutes(10).min(rules.idle / 2);
        let active = people.iter().zip(habits).filter(|(user, _)| user.state == UserState::Active);
        for (user, habits) in active.step_by(4).take(ACTIVE) {
            let last_seen_at = now - random.between(TimeDelta::zero(), recent);
            let started_at = last_seen_at - random.between(TimeDelta::zero(), longest);
            let origin = origin(habits, random);
            self.tell_session(&Visit { user, client: None, origin, started_at, last_seen_at }, None, rules, random);
        }
    }
}

/// A desk most of the time, a phone now and then; from home on some days.
fn origin(habits: &Habits, random: &mut Random) -> Origin {
    let agent = if random.percent(80) { habits.desk } else { habits.phone };
    let ip = if random.percent(75) { habits.office } else { habits.home };
    Origin { ip, user_agent: Some(agent.to_owned()) }
}

/// The tokens of a session: the first at the login, then one each time the one before has expired.
fn tokens(
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    rules: &Rules,
) -> Vec<CurrentToken> {
    let step = rules.token_life.max((last_seen_at - started_at) / MAX_TOKENS).max(TimeDelta::seconds(1));
    let mut tokens = Vec::new();
    let mut issued_at = started_at;
    while issued_at <= last_seen_at || tokens.is_empty() {
        let expires_at = (issued_at + rules.token_life).min(expires_at);
        tokens.push(CurrentToken { id: TokenId::new(issued_at), issued_at, expires_at });
        issued_at += step;
    }
    tokens
}

fn attempt(visit: &Visit<'_>, outcome: AttemptOutcome, at: DateTime<Utc>, session_id: Option<SessionId>) -> Attempt {
    Attempt {
        id: AttemptId::new(at),
        at,
        username: visit.user.username.as_str().to_owned(),
        user_id: Some(visit.user.id),
        outcome,
        ip: visit.origin.ip,
        user_agent: visit.origin.user_agent.clone(),
        client_id: visit.client.cloned(),
        session_id,
        request_id: RequestId::new(at).to_string(),
    }
}

/// The same try under a name that nobody has, which is kept masked.
fn unknown(tried: Attempt, number: usize, digest: &[u8; 32]) -> Attempt {
    let mut digest = *digest;
    digest[0] ^= u8::try_from(number % 256).unwrap_or(0);
    let names = ["root", "administrator", "test", "accueil", "stagiaire"];
    let outcome = match tried.outcome {
        AttemptOutcome::WrongPassword => AttemptOutcome::UnknownUser,
        other => other,
    };
    let username = mask(&fold(names[number % names.len()]), &digest);
    Attempt { username, user_id: None, outcome, ..tried }
}

/// Two applications that act for the people.
fn clients(created_at: DateTime<Utc>) -> Vec<Client> {
    let client = |id: &str, name: &str, scopes: Vec<Scope>| Client {
        id: ClientId::parse(id).expect("the ids of the demonstration are ids: a test makes them all"),
        name: name.to_owned(),
        scopes,
        secret: Secret::random().digest(),
        created_at,
        secret_changed_at: created_at,
    };
    vec![
        client("portail", "Portail des agents", vec![Scope::Introspect, Scope::Revoke]),
        client("supervision", "Supervision", vec![Scope::Events]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::Reason;
    use crate::model::session::SessionState;
    use crate::model::user::PasswordHash;

    fn story(pairs: &[(&str, &str)]) -> (Story, DateTime<Utc>) {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(None, pairs).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let users = super::super::people::cast(&config.roles, &PasswordHash("x".into()), now);
        (Story::invent(&config, users, now), now)
    }

    #[test]
    fn the_history_is_some_hundred_sessions_that_ended_in_many_ways_and_some_that_did_not() {
        let (story, now) = story(&[]);
        assert!((300..900).contains(&story.sessions.len()), "{}", story.sessions.len());
        let active = story.sessions.iter().filter(|session| session.state(now) == SessionState::Active).count();
        assert_eq!(active, ACTIVE);
        for reason in [EndReason::Logout, EndReason::IdleTimeout, EndReason::Expired, EndReason::EndedByAdmin] {
            assert!(story.sessions.iter().any(|session| session.end.as_ref().is_some_and(|end| end.reason == reason)));
        }
        for outcome in AttemptOutcome::ALL.iter().filter(|outcome| **outcome != AttemptOutcome::NoPassword) {
            assert!(story.attempts.iter().any(|attempt| attempt.outcome == *outcome), "{outcome}");
            let reason = Reason::of_attempt(*outcome);
            assert!(story.events.iter().any(|event| event.reason == reason), "{outcome}");
        }
    }

    #[test]
    fn nothing_happens_in_the_future_or_against_the_rules() {
        let short = [("VIGIE__SESSIONS__IDLE_TIMEOUT", "20s"), ("VIGIE__SESSIONS__LIFETIME", "1m")];
        let long = [("VIGIE__SESSIONS__LIFETIME", "366d"), ("VIGIE__TOKENS__ACCESS_TTL", "24h")];
        for pairs in [&[][..], &short[..], &long[..]] {
            let (story, now) = story(pairs);
            assert!(story.events.is_sorted_by_key(|event| event.at));
            assert!(story.events.iter().all(|event| event.at <= now));
            assert!(story.attempts.iter().all(|attempt| attempt.at <= now));
            for session in &story.sessions {
                let ended_at = session.end.as_ref().map_or(now, |end| end.at);
                assert!(session.started_at <= session.last_seen_at && session.last_seen_at <= ended_at);
                assert!(ended_at <= now && session.token.issued_at <= ended_at);
                assert!(session.token.expires_at <= session.expires_at);
                assert_eq!(
                    session.token.issued_at,
                    story.tokens.iter().rfind(|(id, _)| *id == session.id).unwrap().1.issued_at
                );
            }
        }
    }
}
