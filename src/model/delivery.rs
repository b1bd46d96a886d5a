//! Deliveries: what is to be told to others of an alert.

use super::id::{AlertId, DeliveryId, SessionId};
use super::words::words;

words! {
    /// What there is to tell of an alert.
    pub enum Occasion {
        /// It was raised.
        Raised = "raised",
        /// The user said that the login was not theirs.
        Disowned = "disowned",
    }
}

words! {
    /// How it is told.
    pub enum Channel {
        /// Posted to the configured address.
        Webhook = "webhook",
        /// Mailed to a reviewer.
        ReviewerMail = "reviewer_mail",
        /// Mailed to the user.
        UserMail = "user_mail",
    }
}

/// Something that is still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names it, in every try: whoever gets it twice can tell.
    pub id: DeliveryId,
    /// Of which alert.
    pub alert_id: AlertId,
    /// What.
    pub occasion: Occasion,
    /// How.
    pub channel: Channel,
    /// The reviewer's address.
    pub recipient: Option<String>,
    /// The session that the user is told of.
    pub session_id: Option<SessionId>,
    /// How often it was tried.
    pub tries: i32,
    /// Since when it waits.
    pub created_at: chrono::DateTime<chrono::Utc>,
}
