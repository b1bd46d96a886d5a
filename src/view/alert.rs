//! The alert object.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{SubjectObject, TimeText, optional_time, time};
use crate::model::alert::Alert;

/// Something a reviewer should look at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlertObject {
    /// The alert's id.
    #[schema(format = "uuid")]
    pub id: String,
    /// What it is about, of a closed list.
    pub kind: String,
    /// Whom or what it concerns.
    pub subject: SubjectObject,
    /// The user concerned.
    pub user: Option<AlertUser>,
    /// The session concerned.
    #[schema(format = "uuid")]
    pub session_id: Option<String>,
    /// The address that it is about, if there is one.
    pub ip: Option<String>,
    /// When it happened first.
    #[schema(value_type = String, format = "date-time")]
    pub raised_at: TimeText,
    /// When it happened last.
    #[schema(value_type = String, format = "date-time")]
    pub last_at: TimeText,
    /// How often it happened.
    pub count: i32,
    /// `open` or `acknowledged`.
    pub state: &'static str,
    /// How long it has been open, or was, in seconds.
    pub age_seconds: i64,
    /// Whether it has been open for longer than it may.
    pub is_overdue: bool,
    /// When the user said that the login was not theirs.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub disowned_at: Option<TimeText>,
    /// Who looked at it.
    pub acknowledged: Option<AcknowledgedObject>,
    /// What else there is to say.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// The user an alert is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlertUser {
    /// The user's id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The present name; null where the user was deleted.
    pub username: Option<String>,
}

/// That somebody looked at an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AcknowledgedObject {
    /// When it was acknowledged.
    #[schema(value_type = String, format = "date-time")]
    pub at: TimeText,
    /// Who: a user's id, or `cli`.
    pub by: String,
    /// What they noted.
    pub note: Option<String>,
}

impl AlertObject {
    /// The alert as it is at `now`, where one may be open for `limit`.
    #[must_use]
    pub fn new(alert: &Alert, limit: TimeDelta, now: DateTime<Utc>) -> Self {
        let raised = &alert.raised;
        let user = raised.user_id.map(|id| AlertUser { id: id.to_string(), username: alert.username.clone() });
        let acknowledged = alert.acknowledged.as_ref().map(|acknowledged| AcknowledgedObject {
            at: time(acknowledged.at),
            by: acknowledged.by.clone(),
            note: acknowledged.note.clone(),
        });
        Self {
            id: alert.id.to_string(),
            kind: raised.kind.as_str().to_owned(),
            subject: SubjectObject { kind: raised.subject.kind.as_str(), id: raised.subject.id.clone() },
            user,
            session_id: raised.session_id.map(|id| id.to_string()),
            ip: raised.ip.map(|ip| ip.to_string()),
            raised_at: time(raised.at),
            last_at: time(alert.last_at),
            count: alert.count,
            state: if acknowledged.is_some() { "acknowledged" } else { "open" },
            age_seconds: alert.age(now).num_seconds(),
            is_overdue: alert.is_overdue(now, limit),
            disowned_at: optional_time(alert.disowned_at),
            acknowledged,
            details: raised.details.clone(),
        }
    }
}
