//! Which attempts.

use super::parse::{Criterion, filter};
use super::value::{Moment, Network, Text, UserSelector};
use crate::model::attempt::AttemptOutcome;
use crate::model::id::UserId;

filter! {
    /// Which attempts. All members together; one that is left out leaves nothing out.
    pub struct AttemptFilter {
        /// On the user with this id, or under this name.
        user: Criterion<UserSelector>,
        /// Under this name. One that no user has is found as well, though it is shown masked.
        username: Criterion<Text>,
        /// From this address or network.
        ip: Criterion<Network>,
        /// With this outcome.
        outcome: Criterion<AttemptOutcome>,
        /// At this moment or later.
        from: Option<Moment>,
        /// Before this moment.
        to: Option<Moment>,
    }
}

impl AttemptFilter {
    /// All attempts on this user.
    #[must_use]
    pub fn of_user(user_id: UserId) -> Self {
        Self { user: Criterion::is(user_id.into()), ..Self::default() }
    }
}
