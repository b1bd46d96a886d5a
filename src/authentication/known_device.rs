//! What makes a device known: a token that its program is given at a login and shows at the next. Only it exempts from the limits
//! of an address or network; whatever a name alone could tell would tell which names exist (ATH-01, ATH-04).

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::id::UserId;
use crate::model::secret::{Secret, SecretDigest, SecretKind};
use crate::store::{Db, StoreError, devices};

/// How long a device is known after its last use.
pub(crate) const KNOWN_FOR: TimeDelta = TimeDelta::days(90);
/// Devices of one user that are known at once. Each allows a few failures more than the account (`credential::throttle`).
const MOST: i64 = 10;

/// A device token as somebody shows it.
#[derive(Debug, Clone)]
pub struct DeviceToken(Secret);

impl DeviceToken {
    /// Reads one. What is none makes no device known, and is no fault: it may be of another server.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Secret::parse(SecretKind::DeviceToken, text).ok().map(Self)
    }

    /// The token as text, `vgd_` and more: only for its holder.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.reveal(SecretKind::DeviceToken)
    }

    /// The digest of the token, which is all that the database keeps.
    pub(super) fn digest(&self) -> SecretDigest {
        self.0.digest()
    }

    /// Whose device it makes known. The same is asked for where none was shown.
    pub(super) fn owner(shown: Option<&Self>, db: &mut Db, now: DateTime<Utc>) -> Result<Option<UserId>, StoreError> {
        let digest = shown.map_or(SecretDigest([0; 32]), Self::digest);
        let since = now.checked_sub_signed(KNOWN_FOR).unwrap_or(DateTime::UNIX_EPOCH);
        devices::owner(db, digest, since)
    }

    /// Forgets devices that are not known any more.
    pub(super) fn prune(db: &mut Db, now: DateTime<Utc>) -> Result<usize, StoreError> {
        devices::prune_before(db, now.checked_sub_signed(KNOWN_FOR).unwrap_or(DateTime::UNIX_EPOCH))
    }

    /// The token to show at the next login: the one that was shown, where it is this user's, or another one.
    pub(crate) fn keep_in(
        shown: Option<&Self>,
        db: &mut Db,
        user_id: UserId,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        if let Some(shown) = shown
            && Self::owner(Some(shown), db, now)? == Some(user_id)
        {
            devices::touch(db, shown.digest(), now)?;
            return Ok(shown.clone());
        }
        let token = Self(Secret::random());
        devices::insert(db, token.digest(), user_id, now, MOST)?;
        Ok(token)
    }
}
