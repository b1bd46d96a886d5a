//! What a user is told of a new device, and what follows when the user says that it was somebody else.

use chrono::{DateTime, TimeDelta, Utc};

use super::Alerts;
use crate::model::alert::{AlertKind, NewAlert};
use crate::model::audit::{Subject, SubjectKind};
use crate::model::delivery::{About, Channel, Delivery, Occasion};
use crate::model::id::{AlertId, DeliveryId, SessionId};
use crate::model::secret::Secret;
use crate::model::session::Session;
use crate::store::alerts::{self, Bounds};
use crate::store::one_time_tokens::{self, TokenPurpose};
use crate::store::{Db, StoreError, deliveries, users};

/// How long a user may say that a login was not theirs: over a long weekend.
pub const REPORT_LINK_LIFE: TimeDelta = TimeDelta::hours(72);

/// Mails to one user in an hour: whoever knows a password could otherwise fill its owner's mailbox.
const MAILS_AN_HOUR: i64 = 10;

impl Alerts {
    /// The token in the mail about a session. It is derived under a key of the keyring, so that the outbox need not keep it and
    /// each try sends the same (P7).
    pub(super) fn not_me_token(&self, session_id: SessionId) -> Secret {
        Secret::from_bytes(self.inner.dependencies.report_link_key.digest(session_id.0.as_bytes()))
    }

    /// Notes in the transaction of the login that the user is to be told of this session; nobody is without an address.
    pub fn notify_user_in(&self, db: &mut Db, alert_id: AlertId, session: &Session) -> Result<(), StoreError> {
        let (now, user_id) = (session.started_at, session.user_id);
        let has_email = users::find(db, user_id)?.is_some_and(|user| user.email.is_some());
        if self.inner.mail.is_none() || !has_email {
            return Ok(());
        }
        if one_time_tokens::report_links_since(db, user_id, now - TimeDelta::hours(1))? >= MAILS_AN_HOUR {
            return Ok(());
        }
        let purpose = TokenPurpose::ReportLink { user_id, session_id: session.id };
        one_time_tokens::insert(db, self.not_me_token(session.id).digest(), purpose, now, now + REPORT_LINK_LIFE)?;
        deliveries::insert(
            db,
            &Delivery {
                id: DeliveryId::new(now),
                about: About::Alert { alert_id, occasion: Occasion::Raised, session_id: Some(session.id) },
                channel: Channel::UserMail,
                recipient: None,
                tries: 0,
                created_at: now,
            },
        )
    }

    /// Notes that the user has reported a session, opens its alert again, and notifies reviewers.
    pub fn report_unrecognised_login_in(
        &self,
        db: &mut Db,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let known = alerts::report_unrecognised_login(db, session.id, now)?;
        let id = known.map_or_else(|| self.raise_alert_of_its_own_in(db, session, now), Ok)?;
        self.notify_reviewers_in(db, id, Occasion::Disowned, now)
    }

    /// Raises the alert about a session that was counted with others: now it is worth one of its own.
    fn raise_alert_of_its_own_in(
        &self,
        db: &mut Db,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<AlertId, StoreError> {
        let subject = Subject::new(SubjectKind::Session, session.id);
        let new = NewAlert::without_details(now, AlertKind::NewDevice, subject)
            .of_user(session.user_id)
            .in_session(session.id)
            .from_address(session.client_info.ip);
        let raised = alerts::raise(db, &new, Bounds { of_kind: i64::MAX, ..self.bounds() })?;
        alerts::report_unrecognised_login(db, session.id, now)?;
        Ok(raised.id)
    }
}
