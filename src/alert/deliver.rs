//! The outbox: a notification is written with the alert and sent afterwards, so nothing waits for it, and a restart
//! loses none. Each try is claimed by one node; a node that dies in the middle of it is only late.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

use super::Alerts;
use crate::clock::Backoff;
use crate::model::alert::Alert;
use crate::model::delivery::{About, AccountChange, Channel, Delivery, Occasion};
use crate::model::id::{AlertId, DeliveryId};
use crate::model::session::Session;
use crate::model::user::User;
use crate::store::{Db, StoreError, alerts, deliveries, one_time_tokens, sessions, users};
use crate::view::AlertObject;

/// Deliveries sent in one step.
const AT_ONCE: i64 = 10;
/// The pause after failures. The first is longer than a try may take.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// How long a delivery is retried after it was made.
const TRIED_FOR: TimeDelta = TimeDelta::days(3);
/// How long a delivery is kept after it was sent or given up.
const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// A delivery that this node has claimed, with what it is about.
struct Claimed {
    delivery: Delivery,
    subject: DeliverySubject,
}

/// What a delivery is about, as read when it is sent.
enum DeliverySubject {
    Alert {
        alert: Box<Alert>,
        occasion: Occasion,
        /// The user and the session, for a mail to the user.
        user: Option<Box<(User, Session)>>,
    },
    Account {
        user: Box<User>,
        change: AccountChange,
    },
}

/// Why a delivery failed.
enum DeliveryError {
    /// It may work later, and is retried.
    Transient(String),
    /// It can never work: no retry follows.
    Permanent(&'static str),
}

impl Alerts {
    /// Writes the deliveries of an alert to reviewers, in the transaction of the alert.
    pub(super) fn notify_reviewers_in(
        &self,
        db: &mut Db,
        alert_id: AlertId,
        occasion: Occasion,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let delivery = |channel, recipient| Delivery {
            id: DeliveryId::new(now),
            about: About::Alert { alert_id, occasion, session_id: None },
            channel,
            recipient,
            tries: 0,
            created_at: now,
        };
        if self.inner.webhook.is_some() {
            deliveries::insert(db, &delivery(Channel::Webhook, None))?;
        }
        let reviewers = self.inner.mail.as_ref().map_or(&[][..], |mail| mail.reviewers());
        reviewers
            .iter()
            .map(|reviewer| Some(reviewer.as_str().to_owned()))
            .try_for_each(|reviewer| deliveries::insert(db, &delivery(Channel::ReviewerMail, reviewer)))
    }

    /// Sends what is due. Failures of one delivery concern no other.
    pub async fn deliver(&self) -> Result<(), StoreError> {
        let now = self.now();
        if self.store().read(move |db| deliveries::due(db, now, 1)).await?.is_empty() {
            return Ok(());
        }
        let claimed = self.store().write(move |db| claim(db, now)).await?;
        let sent = join_all(claimed.into_iter().map(|claimed| self.send_claimed(claimed, now))).await;
        sent.into_iter().collect()
    }

    /// Forgets what was sent long ago, and links whose time is over.
    pub async fn prune_deliveries(&self) -> Result<usize, StoreError> {
        let now = self.now();
        let forget = move |db: &mut Db| {
            one_time_tokens::prune_before(db, now)?;
            deliveries::prune_before(db, now - KEPT_FOR)
        };
        self.store().write(forget).await
    }

    async fn send_claimed(&self, claimed: Claimed, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (id, channel) = (claimed.delivery.id, claimed.delivery.channel.as_str());
        let metrics = &self.inner.dependencies.metrics;
        let error = match self.send(&claimed, now).await {
            Ok(()) => {
                metrics.delivery(channel, "delivered");
                return self.store().write(move |db| deliveries::delivered(db, id, now)).await;
            }
            Err(error) => error,
        };
        let is_over = now - claimed.delivery.created_at >= TRIED_FOR;
        let (error, given_up) = match error {
            DeliveryError::Transient(error) => (error, is_over),
            DeliveryError::Permanent(error) => (error.to_owned(), true),
        };
        if given_up {
            metrics.delivery(channel, "given_up");
            tracing::error!(delivery.id = %id, channel, cause = %error, "delivery failed; no retries are left");
        } else {
            metrics.delivery(channel, "failed");
            tracing::warn!(delivery.id = %id, channel, cause = %error, "delivery failed; it is retried");
        }
        self.store().write(move |db| deliveries::failed(db, id, &error, given_up.then_some(now))).await
    }

    async fn send(&self, claimed: &Claimed, now: DateTime<Utc>) -> Result<(), DeliveryError> {
        let delivery = &claimed.delivery;
        let mail = || self.inner.mail.as_ref().ok_or(DeliveryError::Permanent("no mail is configured any more"));
        let sent = match (&claimed.subject, &delivery.recipient) {
            (DeliverySubject::Account { user, change }, Some(email)) => {
                mail()?.of_change(delivery, email, (user, *change), now).await
            }
            (DeliverySubject::Account { .. }, None) => {
                return Err(DeliveryError::Permanent("the address was forgotten"));
            }
            (DeliverySubject::Alert { alert, occasion, .. }, _) if delivery.channel == Channel::Webhook => {
                let webhook =
                    self.inner.webhook.as_ref().ok_or(DeliveryError::Permanent("no webhook is configured any more"))?;
                webhook.post(delivery, *occasion, &AlertObject::new(alert, self.overdue_after(), now), now).await
            }
            (DeliverySubject::Alert { alert, .. }, Some(reviewer)) => {
                let object = AlertObject::new(alert, self.overdue_after(), now);
                mail()?.to_reviewer(delivery, reviewer, &object, now).await
            }
            (DeliverySubject::Alert { user, .. }, None) => {
                let (user, session) = user.as_deref().ok_or(DeliveryError::Permanent("the user was deleted"))?;
                let email = user.email.as_ref().ok_or(DeliveryError::Permanent("the user has no address any more"))?;
                mail()?.to_user(delivery, email, (user, session), &self.not_me_token(session.id), now).await
            }
        };
        sent.map_err(DeliveryError::Transient)
    }
}

fn claim(db: &mut Db, now: DateTime<Utc>) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = Vec::new();
    for delivery in deliveries::due(db, now, AT_ONCE)? {
        let tries = u32::try_from(delivery.tries).unwrap_or(0) + 1;
        if !deliveries::claim(db, &delivery, now + BACKOFF.after(tries))? {
            continue;
        }
        if let Some(subject) = subject(db, &delivery)? {
            claimed.push(Claimed { delivery, subject });
        }
    }
    Ok(claimed)
}

/// What a delivery is about; `None` where that is gone.
fn subject(db: &mut Db, delivery: &Delivery) -> Result<Option<DeliverySubject>, StoreError> {
    let (alert_id, occasion, session_id) = match delivery.about {
        About::Alert { alert_id, occasion, session_id } => (alert_id, occasion, session_id),
        About::Account { user_id, change } => {
            let user = users::find(db, user_id)?.map(Box::new);
            return Ok(user.map(|user| DeliverySubject::Account { user, change }));
        }
    };
    let Some(alert) = alerts::find(db, alert_id)?.map(Box::new) else { return Ok(None) };
    let session = session_id.map_or(Ok(None), |id| sessions::find(db, id))?;
    let user = match session {
        Some(session) => users::find(db, session.user_id)?.map(|user| Box::new((user, session))),
        None => None,
    };
    Ok(Some(DeliverySubject::Alert { alert, occasion, user }))
}
