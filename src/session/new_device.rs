//! A login from a device or network that is new for its user (ATH-08). The very first login is not told: everything is new
//! then.

use chrono::DateTime;

use super::Sessions;
use crate::authentication::known_device::KNOWN_FOR;
use crate::model::address::wide_network;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{Subject, SubjectKind};
use crate::model::session::Session;
use crate::store::{Db, StoreError, sessions};

impl Sessions {
    /// Raises an alert where this session, not yet in the store, began on a new device or network; returns whether the device is
    /// new. It is known by browser and system, those being one that
    /// user agents name alike: addresses change too often, versions too.
    pub(super) fn notice_new_device_in(&self, db: &mut Db, session: &Session) -> Result<bool, StoreError> {
        let since = session.started_at.checked_sub_signed(KNOWN_FOR).unwrap_or(DateTime::UNIX_EPOCH);
        let network = wide_network(session.client_info.ip);
        let new_network = !sessions::is_known_network(db, session.user_id, network, since)?;
        let new_device = !sessions::is_known_device(db, session.user_id, &session.device, since)?;
        if !new_network && !new_device {
            return Ok(false);
        }
        // Each is told: one by a stranger must not be counted with one by the user.
        let subject = Subject::new(SubjectKind::Session, session.id);
        let (browser, os) = (session.device.browser.clone(), session.device.os.clone());
        let details = AlertDetails::NewDevice { browser, os, network, new_network, new_device };
        let alert = NewAlert::new(session.started_at, details, subject)
            .of_user(session.user_id)
            .in_session(session.id)
            .from_address(session.client_info.ip);
        let alerts = &self.inner.dependencies.alerts;
        let id = alerts.raise_in(db, &alert)?;
        alerts.notify_user_in(db, id, session)?;
        Ok(new_device)
    }
}
