//! Raises alerts: what happens again to the same subject within `[alerts] window` is counted with the first.

use super::Alerts;
use crate::model::alert::NewAlert;
use crate::model::delivery::Occasion;
use crate::model::id::AlertId;
use crate::store::alerts::{self, Raised};
use crate::store::{Db, StoreError};

impl Alerts {
    /// Raises an alert in the transaction of what it is about, or counts it with one that is open; which.
    pub fn raise_in(&self, db: &mut Db, new: &NewAlert) -> Result<AlertId, StoreError> {
        let Raised { id, is_new } = alerts::raise(db, new, self.bounds())?;
        if is_new {
            self.inner.dependencies.metrics.alert_raised(new.kind.as_str());
            tracing::warn!(alert.id = %id, alert.kind = %new.kind, "alert raised");
            self.notify_reviewers_in(db, id, Occasion::Raised, new.at)?;
        }
        Ok(id)
    }

    /// Raises an alert about what has no transaction of its own.
    pub async fn raise(&self, new: NewAlert) -> Result<AlertId, StoreError> {
        let alerts = self.clone();
        self.store().write(move |db| alerts.raise_in(db, &new)).await
    }
}
