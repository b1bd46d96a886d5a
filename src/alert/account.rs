//! Tells users by mail what was changed of their account: who did not do it learns that somebody did (ATH-08).

use chrono::{DateTime, Utc};

use super::Alerts;
use crate::model::delivery::{About, AccountChange, Channel, Delivery};
use crate::model::id::DeliveryId;
use crate::model::user::{Email, User};
use crate::store::{Db, StoreError, deliveries};

impl Alerts {
    /// Notes in the transaction of a change that the user is to be told of it, at the address there was before, and where that
    /// changed at the new one too.
    pub fn notify_of_change_in(
        &self,
        db: &mut Db,
        (before, after): (&User, &User),
        change: AccountChange,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if self.inner.mail.is_none() {
            return Ok(());
        }
        let new = after.email.as_ref().filter(|new| before.email.as_ref() != Some(new));
        let is_told_of = change == AccountChange::EmailChanged || before.email.is_none();
        let addresses = before.email.as_ref().into_iter().chain(new.filter(|_| is_told_of));
        for address in addresses.map(Email::as_str) {
            let delivery = Delivery {
                id: DeliveryId::new(now),
                about: About::Account { user_id: before.id, change },
                channel: Channel::UserMail,
                recipient: Some(address.to_owned()),
                tries: 0,
                created_at: now,
            };
            deliveries::insert(db, &delivery)?;
        }
        Ok(())
    }
}
