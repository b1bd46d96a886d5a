//! Rows for tests, one of each table of the history. Their digests are known: what is in them never changes.

use chrono::{DateTime, Utc};

use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::audit::{
    AuditContext, AuditEvent, AuditKind, Details, Outcome, Reason, RecordedEvent, Subject, SubjectKind,
};
use crate::model::client::{ClientId, LoginClient};
use crate::model::id::{AttemptId, SessionId, TokenId, UserId};
use crate::model::session::{
    Actor, ClientInfo, CurrentToken, Device, End, EndReason, RefreshTokens, Session, SessionCredential,
};
use crate::model::user::{Role, Username};

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 123_456_000).unwrap()
}

pub fn session() -> Session {
    let id = |text: &str| text.parse().unwrap();
    Session {
        id: SessionId(id("01890a5d-ac96-7000-8000-00000000000a")),
        user_id: UserId(id("01890a5d-ac96-7000-8000-00000000000b")),
        username: Username::parse("Zoé").unwrap(),
        role: Role::parse("agent d’accueil").unwrap(),
        client: LoginClient::of(ClientId::parse("crm").ok(), true),
        device_name: Some("Tablette".to_owned()),
        name: Some("Le Poste".to_owned()),
        client_info: ClientInfo { ip: "2001:db8:1:2::9".parse().unwrap(), user_agent: Some("curl".to_owned()) },
        device: Device { browser: None, os: Some("Linux".to_owned()), kind: Some(String::new()) },
        methods: vec!["pwd".to_owned(), "otp".to_owned()],
        started_at: at(0),
        last_seen_at: at(1),
        last_ip: "192.0.2.77".parse().unwrap(),
        expires_at: at(2),
        idle_expires_at: at(3),
        credential: SessionCredential::Tokens,
        token: CurrentToken {
            id: TokenId(id("01890a5d-ac96-7000-8000-00000000000c")),
            issued_at: at(4),
            expires_at: at(5),
        },
        refresh: RefreshTokens { generation: 6, seed: [7; 32], spent_at: Some(at(8)), valid_from: 0 },
        end: Some(End { at: at(9), reason: EndReason::Logout, by: Actor::system("cli"), note: None }),
    }
}

pub fn attempt() -> Attempt {
    let session = session();
    Attempt {
        id: AttemptId(session.id.0),
        at: at(10),
        username: "zoe".to_owned(),
        user_id: None,
        outcome: AttemptOutcome::Success,
        ip: "192.0.2.0".parse().unwrap(),
        user_agent: Some(String::new()),
        client: session.client,
        session_id: Some(session.id),
        request_id: "r".to_owned(),
    }
}

pub fn event() -> RecordedEvent {
    let subject = Subject::new(SubjectKind::Session, session().id);
    let context = AuditContext { ip: Some("::ffff:192.0.2.77".parse().unwrap()), ..AuditContext::command_line() };
    let event = AuditEvent {
        kind: AuditKind::LoginFailed,
        outcome: Outcome::Failure,
        details: serde_json::json!({ "token": "\"é\"", "again": [false, -1, 0.5], "a": {} }),
        ..AuditEvent::new(at(11), Details::KeyRotated {}, &context, subject)
    };
    RecordedEvent { seq: 7, event: event.in_session(session().id).because(Reason::WrongPassword) }
}
