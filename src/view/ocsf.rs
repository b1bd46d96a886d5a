//! The history in the words of the Open Cybersecurity Schema Framework (OCSF 1.8, <https://schema.ocsf.io/1.8.0>), for
//! systems that read it (LOG-09). What OCSF has no word for stands under `unmapped`.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{AttemptObject, EventObject, SessionObject};
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::audit::{AuditEvent, AuditKind, Outcome, Reason, RecordedEvent, SubjectKind};
use crate::model::client::ClientId;
use crate::model::session::{ActorKind, Session};

/// The version of the schema.
const VERSION: &str = "1.8.0";
/// The activity that has no number in its class, and is told by its name.
const OTHER: u32 = 99;

/// The classes that the history falls into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Base,
    AccountChange,
    Authentication,
    EntityManagement,
    ApiActivity,
}

impl Class {
    const fn uid(self) -> u32 {
        match self {
            Self::Base => 0,
            Self::AccountChange => 3001,
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Base => "Base Event",
            Self::AccountChange => "Account Change",
            Self::Authentication => "Authentication",
            Self::EntityManagement => "Entity Management",
            Self::ApiActivity => "API Activity",
        }
    }

    const fn category(self) -> &'static str {
        match self {
            Self::AccountChange | Self::Authentication | Self::EntityManagement => "Identity & Access Management",
            Self::ApiActivity => "Application Activity",
            Self::Base => "Uncategorized",
        }
    }
}

/// What an event is: its class, and the number and name of the activity in it.
type Activity = (Class, u32, &'static str);

const LOGON: Activity = (Class::Authentication, 1, "Logon");

const fn activity(kind: AuditKind) -> Activity {
    match kind {
        AuditKind::SessionStarted | AuditKind::LoginFailed => LOGON,
        AuditKind::SessionEnded => (Class::Authentication, 2, "Logoff"),
        AuditKind::SessionRefreshed | AuditKind::RefreshRefused => (Class::Authentication, OTHER, "Refresh"),
        AuditKind::TokenRefused | AuditKind::SessionUnknown | AuditKind::FormRefused | AuditKind::GateCookiesDiffer => {
            (Class::Authentication, OTHER, "Token Check")
        }
        AuditKind::ClientRefused => (Class::Authentication, OTHER, "Client Authentication"),
        AuditKind::UnrecognisedLoginReported | AuditKind::UnrecognisedLoginReportRefused => {
            (Class::Authentication, OTHER, "Disown")
        }
        AuditKind::UserCreated | AuditKind::UserImported | AuditKind::SetupCompleted => {
            (Class::AccountChange, 1, "Create")
        }
        AuditKind::UserEnabled => (Class::AccountChange, 2, "Enable"),
        AuditKind::PasswordChanged | AuditKind::PasswordChangeRefused => (Class::AccountChange, 3, "Password Change"),
        AuditKind::PasswordResetIssued | AuditKind::PasswordReset | AuditKind::PasswordResetRefused => {
            (Class::AccountChange, 4, "Password Reset")
        }
        AuditKind::UserDisabled => (Class::AccountChange, 5, "Disable"),
        AuditKind::UserDeleted | AuditKind::UserErased => (Class::AccountChange, 6, "Delete"),
        AuditKind::UserLocked => (Class::AccountChange, 9, "Lock"),
        AuditKind::UserUnlocked => (Class::AccountChange, 12, "Unlock"),
        AuditKind::UserRenamed => (Class::AccountChange, OTHER, "Rename"),
        AuditKind::UserRoleChanged => (Class::AccountChange, OTHER, "Role Change"),
        AuditKind::UserEmailChanged => (Class::AccountChange, OTHER, "E-mail Change"),
        AuditKind::PasswordVoided => (Class::AccountChange, OTHER, "Password Void"),
        AuditKind::PasswordUpgraded => (Class::AccountChange, OTHER, "Password Hash Upgrade"),
        AuditKind::SetupIssued
        | AuditKind::SetupRefused
        | AuditKind::ClientCreated
        | AuditKind::KeyCreated
        | AuditKind::NotBeforeSet => (Class::EntityManagement, 1, "Create"),
        AuditKind::ClientSecretRotated
        | AuditKind::KeyRotated
        | AuditKind::MasterKeyRotated
        | AuditKind::KeyRevoked
        | AuditKind::SessionNamed
        | AuditKind::SessionsEndBegun
        | AuditKind::SessionsEnded
        | AuditKind::AlertAcknowledged
        | AuditKind::DatabaseWentBack
        | AuditKind::RecordKeyed
        | AuditKind::DatabaseUnexpected
        | AuditKind::RecordDamaged => (Class::EntityManagement, 3, "Update"),
        AuditKind::ClientRemoved | AuditKind::ThrottleLifted | AuditKind::RetentionRan => {
            (Class::EntityManagement, 4, "Delete")
        }
        AuditKind::HistoryRead
        | AuditKind::HistoryExported
        | AuditKind::OwnHistoryExported
        | AuditKind::TokenLookedUp
        | AuditKind::RecordVerified => (Class::ApiActivity, 2, "Read"),
        AuditKind::AccessRefused | AuditKind::OperationRefused => (Class::ApiActivity, OTHER, "Refused"),
    }
}

/// How grave something is: the number and the name.
pub type Severity = (u32, &'static str);

/// Nothing to do.
pub const INFORMATIONAL: Severity = (1, "Informational");
/// Somebody should look at it now.
pub const CRITICAL: Severity = (5, "Critical");

/// How grave an event is.
#[must_use]
pub const fn severity_of(event: &AuditEvent) -> Severity {
    severity(event.outcome, Some(event.kind), event.reason)
}

const fn severity(outcome: Outcome, kind: Option<AuditKind>, reason: Option<Reason>) -> Severity {
    match (outcome, kind, reason) {
        (_, Some(AuditKind::DatabaseWentBack | AuditKind::DatabaseUnexpected | AuditKind::RecordDamaged), _) => {
            CRITICAL
        }
        (_, Some(AuditKind::SessionUnknown | AuditKind::UnrecognisedLoginReported), _)
        | (_, _, Some(Reason::RefreshReused)) => (4, "High"),
        (_, Some(AuditKind::UserLocked), _)
        | (_, _, Some(Reason::Signature | Reason::Algorithm | Reason::KeyRevoked | Reason::NotOwn)) => (3, "Medium"),
        (Outcome::Failure, _, _) => (2, "Low"),
        (Outcome::Success, _, _) => INFORMATIONAL,
    }
}

/// A session as a logon that lasts until its end.
#[must_use]
pub fn session(session: &Session, now: DateTime<Utc>) -> Value {
    let object = SessionObject::new(session, now);
    let metadata = metadata("sessions", &object.id.to_string(), "session");
    let mut event =
        base(LOGON, session.started_at, Outcome::Success, severity(Outcome::Success, None, None), &metadata);
    event.insert("start_time".into(), json!(session.started_at.timestamp_millis()));
    let end = session.end.clone().or_else(|| session.expired(now));
    if let Some(end) = &end {
        event.insert("end_time".into(), json!(end.at.timestamp_millis()));
    }
    event.insert("user".into(), json!({ "uid": object.user.id, "name": object.user.username }));
    event.insert("service".into(), service(object.client_id.or(object.claimed_client_id)));
    event.insert("src_endpoint".into(), json!({ "ip": object.ip }));
    event.insert("is_remote".into(), json!(true));
    event.insert(
        "session".into(),
        json!({
            "uid": object.id, "uuid": object.id, "is_remote": true,
            "created_time": session.started_at.timestamp_millis(),
            "expiration_time": session.expires_at.timestamp_millis(),
            "expiration_reason": end.map(|end| end.reason),
        }),
    );
    event.insert("http_request".into(), json!({ "user_agent": object.user_agent }));
    event.insert(
        "unmapped".into(),
        json!({
            "role": object.user.role, "state": object.state, "last_seen_at": object.last_seen_at, "last_ip": object.last_ip,
            "idle_expires_at": object.idle_expires_at, "ended_by": object.ended_by, "note": object.note,
            "device": object.device, "device_name": object.device_name, "name": object.name, "amr": object.amr, "token": object.token,
        }),
    );
    without_nulls(Value::Object(event))
}

/// An attempt as a logon.
#[must_use]
pub fn attempt(attempt: &Attempt) -> Value {
    let object = AttemptObject::from(attempt);
    let succeeded = attempt.outcome == AttemptOutcome::Success;
    let outcome = if succeeded { Outcome::Success } else { Outcome::Failure };
    let metadata = metadata("attempts", &object.id, "attempt");
    let mut event = base(LOGON, attempt.at, outcome, severity(outcome, None, None), &metadata);
    event.insert("status_detail".into(), json!(object.outcome));
    event.insert("user".into(), json!({ "uid": object.user_id, "name": object.username }));
    event.insert("service".into(), service(attempt.client.id().map(ClientId::as_str)));
    event.insert("src_endpoint".into(), json!({ "ip": object.ip }));
    event.insert("is_remote".into(), json!(true));
    event.insert("session".into(), json!({ "uid": object.session_id, "uuid": object.session_id }));
    event.insert("http_request".into(), json!({ "uid": object.request_id, "user_agent": object.user_agent }));
    without_nulls(Value::Object(event))
}

/// An audit event in the class that fits its kind.
#[must_use]
pub fn event(recorded: &RecordedEvent) -> Value {
    let RecordedEvent { seq, event: audit_event } = recorded;
    let object = EventObject::from(recorded);
    let activity = activity(audit_event.kind);
    let mut metadata = metadata("audit", &seq.to_string(), object.kind);
    metadata["sequence"] = json!(seq);
    let mut event = base(activity, audit_event.at, audit_event.outcome, severity_of(audit_event), &metadata);
    event.insert("message".into(), json!(audit_event.kind.meaning()));
    event.insert("status_detail".into(), json!(object.reason));
    event.insert("actor".into(), actor(audit_event));
    event.insert("src_endpoint".into(), source(audit_event.context.ip, &audit_event.context.actor.id));
    event.insert("http_request".into(), json!({ "uid": object.request_id }));
    event.insert("unmapped".into(), json!({ "subject": object.subject, "details": object.details }));
    if let Some(folded) = audit_event.details["folded"].as_u64() {
        event.insert("count".into(), json!(folded));
        event.insert("start_time".into(), milliseconds(&audit_event.details["from"]));
        event.insert("end_time".into(), milliseconds(&audit_event.details["to"]));
    }
    match activity.0 {
        Class::AccountChange => drop(event.insert("user".into(), user(audit_event))),
        Class::Authentication => add_authentication(&mut event, audit_event, object.session_id.as_deref()),
        Class::EntityManagement => drop(event.insert("entity".into(), entity(audit_event))),
        Class::Base => {}
        Class::ApiActivity => {
            let operation = audit_event.details["route"].as_str().or_else(|| audit_event.details["operation"].as_str());
            event.insert("api".into(), json!({ "operation": operation.unwrap_or(object.kind) }));
        }
    }
    without_nulls(Value::Object(event))
}

/// The members of the class Authentication.
fn add_authentication(members: &mut Map<String, Value>, event: &AuditEvent, session_id: Option<&str>) {
    let details = &event.details;
    let end_reason = [&details["reason"], &details["end_reason"]].into_iter().find(|reason| reason.is_string());
    let session = json!({ "uid": session_id, "uuid": session_id, "expiration_reason": end_reason });
    members.insert("user".into(), user(event));
    members.insert("session".into(), session);
    members.insert("service".into(), service(details["client_id"].as_str()));
    members.insert("is_remote".into(), json!(event.context.ip.is_some()));
    members.insert("is_new_logon".into(), details["new_device"].clone());
}

/// What is told of the history and is no event in it; `unmapped` is all of it.
#[must_use]
pub fn other(kind: &str, message: &str, severity: Severity, at: DateTime<Utc>, unmapped: &Value) -> Value {
    let metadata = metadata("audit", kind, kind);
    let mut event = base((Class::Base, OTHER, "Statement"), at, Outcome::Success, severity, &metadata);
    event.insert("message".into(), json!(message));
    event.insert("unmapped".into(), unmapped.clone());
    without_nulls(Value::Object(event))
}

/// The members that every class has.
fn base(
    (class, number, name): Activity,
    at: DateTime<Utc>,
    outcome: Outcome,
    severity: Severity,
    metadata: &Value,
) -> Map<String, Value> {
    let (status_id, status) = match outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Failure => (2, "Failure"),
    };
    let members = json!({
        "metadata": metadata, "time": at.timestamp_millis(),
        "category_uid": class.uid() / 1000, "category_name": class.category(),
        "class_uid": class.uid(), "class_name": class.name(),
        "activity_id": number, "activity_name": name,
        "type_uid": class.uid() * 100 + number, "type_name": format!("{}: {name}", class.name()),
        "severity_id": severity.0, "severity": severity.1, "status_id": status_id, "status": status,
    });
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn metadata(log: &str, uid: &str, code: &str) -> Value {
    json!({
        "version": VERSION, "uid": uid, "event_code": code, "log_name": log,
        "product": { "name": "Vigie", "vendor_name": "Vigie", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// What was asked to let somebody in: the application that was named, or Vigie itself.
fn service(client_id: Option<&str>) -> Value {
    json!({ "name": client_id.unwrap_or("vigie") })
}

fn actor(event: &AuditEvent) -> Value {
    let actor = &event.context.actor;
    match actor.kind {
        ActorKind::User => json!({ "user": { "uid": actor.id } }),
        ActorKind::Admin => json!({ "user": { "uid": actor.id, "type_id": 2, "type": "Admin" } }),
        ActorKind::Client => json!({ "app_uid": actor.id }),
        ActorKind::System => json!({ "app_name": actor.id }),
    }
}

/// From where; a part of Vigie where there is no address.
fn source(ip: Option<IpAddr>, part: &str) -> Value {
    ip.map_or_else(|| json!({ "name": part }), |ip| json!({ "ip": ip.to_string() }))
}

/// Whom it concerns: the subject, or who acted on the own session.
fn user(event: &AuditEvent) -> Value {
    let of_actor = (event.context.actor.kind == ActorKind::User).then_some(&event.context.actor.id);
    let of_subject = event.subject.id.as_ref().filter(|_| event.subject.kind == SubjectKind::User);
    let name = event.details["username"].as_str();
    match of_subject.or(of_actor) {
        Some(id) => json!({ "uid": id, "name": name }),
        None => json!({ "name": name.unwrap_or("unknown") }),
    }
}

/// What was managed, where it is no user.
fn entity(event: &AuditEvent) -> Value {
    let kind = match event.kind {
        AuditKind::SetupIssued | AuditKind::SetupRefused => "first administrator",
        AuditKind::SessionsEndBegun | AuditKind::SessionsEnded => "sessions",
        AuditKind::ThrottleLifted => "throttle",
        AuditKind::NotBeforeSet => "not-before",
        AuditKind::DatabaseWentBack | AuditKind::DatabaseUnexpected => "database",
        AuditKind::RecordVerified | AuditKind::RecordDamaged | AuditKind::RecordKeyed => "record",
        _ => event.subject.kind.as_str(),
    };
    // 99: of a type that the schema does not number.
    json!({ "type_id": 99, "type": kind, "name": kind, "uid": event.subject.id })
}

/// A time of `details` as the schema has it; null where there is none.
fn milliseconds(at: &Value) -> Value {
    let at = at.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    json!(at.map(|at| at.timestamp_millis()))
}

/// Without members that say nothing: OCSF leaves them out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, without_nulls(value)));
            let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
            Value::Object(kept.filter(|(_, value)| !value.is_null() && !is_empty(value)).collect())
        }
        other => other,
    }
}
