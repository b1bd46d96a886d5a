//! Memory that a live session takes: the live view filled with a million sessions through its own interface, as a look-up
//! fills it; then with a user and a verified token for each. Resident memory before and after, divided by what is kept.
//! `cargo bench --bench memory` (`VIGIE_BENCH_SESSIONS` sets another number)

#![expect(clippy::cast_precision_loss, reason = "counts of sessions are far below 2^52")]

mod support;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use support::costs::resident;
use support::people::AGENT;
use support::say;
use uuid::Uuid;
use vigie::coherence::live::{Digest, LiveSession, LiveUser, LiveView, Verified};
use vigie::model::id::{SessionId, TokenId, UserId};
use vigie::model::session::{ClientInfo, CurrentToken, Device, RefreshTokens, Session, SessionCredential};
use vigie::model::user::UserStatus;
use vigie::model::user::{Role, UserState, Username};
use vigie::token::claims::AccessClaims;

fn main() {
    let count = std::env::var("VIGIE_BENCH_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    // The cache lays out its table for its capacity at once: part of what a session costs.
    let before = resident();
    let live = LiveView::new(count);
    let mut texts = 0;
    for number in 0..count {
        let session = session(number);
        texts += length_of_texts(&session);
        let kept = Arc::new(LiveSession::new(&session));
        assert!(live.sessions.begin_load(session.id).keep(kept));
    }
    let kept = live.sessions.count() as f64;
    let (of_each, texts) = ((resident() - before) / kept, texts as f64 / count as f64);
    say(&format!("{kept:.0} sessions kept of {count}, one user agent of {} bytes", AGENT.len()));
    say(&format!(
        "a session: {of_each:.0} bytes, {:.0} beyond its own texts of {texts:.0} (aim: 256 at most)",
        of_each - texts
    ));

    let before = resident();
    for number in 0..count {
        let status = UserStatus {
            username: username(number),
            role: Role::parse("agent").expect("a role"),
            state: UserState::Active,
            must_change_password: false,
        };
        let user = Arc::new(LiveUser { status: Some(Arc::new(status)), not_before: None });
        assert!(live.users.begin_load(user_id(number)).keep(user));
    }
    let of_user = (resident() - before) / live.users.count() as f64;
    let before = resident();
    for number in 0..count {
        // Some 500 characters, as a signed token has; only its digest is kept.
        let text = format!("{number:0500}");
        let verified = Verified::new(&claims(number), None);
        live.tokens.remember(Digest::of(&text), 1, verified);
    }
    let of_token = (resident() - before) / kept;
    say(&format!(
        "its user, where each has one session: {of_user:.0} bytes; its verified token: {of_token:.0} bytes; in all {:.0}",
        of_each + of_user + of_token
    ));
    drop(live);
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

fn user_id(number: usize) -> UserId {
    UserId(Uuid::from_u128(number as u128 + 1))
}

fn username(number: usize) -> Username {
    Username::parse(&format!("person{number:07}")).expect("a name")
}

fn session(number: usize) -> Session {
    let started_at = start() + TimeDelta::milliseconds(i64::try_from(number).expect("a number"));
    let expires_at = started_at + TimeDelta::hours(12);
    let ip = [192, 0, 2, u8::try_from(number % 250).expect("small")].into();
    Session {
        id: SessionId::new(started_at),
        user_id: user_id(number),
        username: username(number),
        role: Role::parse("agent").expect("a role"),
        client: vigie::model::client::LoginClient::Unnamed,
        device_name: None,
        name: None,
        client_info: ClientInfo { ip, user_agent: Some(AGENT.to_owned()) },
        device: Device { browser: Some("Firefox".into()), os: Some("Linux".into()), kind: Some("pc".into()) },
        methods: vec!["pwd".to_owned()],
        started_at,
        last_seen_at: started_at,
        last_ip: ip,
        expires_at,
        idle_expires_at: started_at + TimeDelta::minutes(30),
        credential: SessionCredential::Tokens,
        token: CurrentToken { id: TokenId::new(started_at), issued_at: started_at, expires_at },
        refresh: RefreshTokens::first([7; 32]),
        end: None,
    }
}

fn length_of_texts(session: &Session) -> usize {
    let device = &session.device;
    let parts = [&session.client_info.user_agent, &device.browser, &device.os, &device.kind];
    let given: usize = parts.into_iter().flatten().map(String::len).sum();
    given + session.username.as_str().len() + session.role.as_str().len() + session.methods.join(" ").len()
}

fn claims(number: usize) -> AccessClaims {
    let issued_at = start();
    AccessClaims {
        issuer: "https://auth.example.org".to_owned(),
        audience: "vigie".to_owned(),
        subject: user_id(number),
        client_id: "vigie".to_owned(),
        claimed_client_id: None,
        session_id: SessionId(Uuid::from_u128(number as u128)),
        token_id: TokenId(Uuid::from_u128(number as u128)),
        issued_at,
        expires_at: issued_at + TimeDelta::minutes(10),
        not_before: None,
        authenticated_at: issued_at,
        methods: vec!["pwd".to_owned()],
        role: "agent".to_owned(),
        generation: 0,
    }
}
