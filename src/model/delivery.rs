//! Deliveries: what is to be told to others of an alert, and to users of changes of their account.

use super::id::{AlertId, DeliveryId, SessionId, UserId};
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
    /// A change of an account that its user is told of.
    pub enum AccountChange {
        /// The user chose another password, knowing the old one.
        PasswordChanged = "password_changed",
        /// The user chose another password, with a token from an administrator.
        PasswordReset = "password_reset",
        /// The password was made void.
        PasswordVoided = "password_voided",
        /// The address that mail goes to.
        EmailChanged = "email_changed",
        /// The name was changed.
        Renamed = "renamed",
        /// The role was changed.
        RoleChanged = "role_changed",
    }
}

words! {
    /// The way by which a notification is sent.
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
    /// What the notification is about.
    pub about: About,
    /// The way by which it is told.
    pub channel: Channel,
    /// The reviewer's address, or the one that the user had when the account was changed.
    pub recipient: Option<String>,
    /// How often it was tried.
    pub tries: i32,
    /// Since when it waits.
    pub created_at: chrono::DateTime<chrono::Utc>,
}

/// What a delivery tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// An alert was raised, or a user has disowned a login.
    Alert {
        /// The alert that is told of.
        alert_id: AlertId,
        /// What there is to tell of it.
        occasion: Occasion,
        /// The session that the user is told of.
        session_id: Option<SessionId>,
    },
    /// An account was changed.
    Account {
        /// The user whose account was changed.
        user_id: UserId,
        /// What was changed of the account.
        change: AccountChange,
    },
}
