//! Gives a session other tokens, and voids those it had: its user has chosen another password, and whoever knew the old one may
//! hold any of them.

use chrono::{DateTime, Utc};

use super::Sessions;
use super::change::Changes;
use super::issue::Issued;
use super::refresh::{TokenOrigin, record};
use crate::model::audit::AuditContext;
use crate::model::change::Change;
use crate::model::id::SessionId;
use crate::model::session::{ClientInfo, Session};
use crate::model::user::{Role, Username};
use crate::store::{Db, StoreError, sessions};
use crate::token::keys::{KeyError, SigningKey};

impl Sessions {
    /// The session with the first tokens that are good from now on; `None` where it is over.
    pub(crate) fn renew_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        (id, client_info): (SessionId, &ClientInfo),
        context: &AuditContext,
        now: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        // A refresh that comes first is replaced as well.
        loop {
            let Some(session) = sessions::find(db, id)?.filter(|session| session.end.is_none()) else {
                return Ok(None);
            };
            let next = session.refresh.replaced(now);
            if let Some(session) = self.advance(db, session, next, client_info, now)? {
                changes.note(Change::Session(id));
                record(db, &session, context, TokenOrigin::Replaced)?;
                return Ok(Some(session));
            }
        }
    }

    /// The session's tokens, signed with this key, for its user's present name and role.
    pub(crate) fn hand_out(
        &self,
        session: Session,
        (username, role): (Username, Role),
        key: &SigningKey,
    ) -> Result<Issued, KeyError> {
        Ok(Issued {
            access_token: self.inner.tokens.sign(&session, &role, key)?,
            refresh_token: self.refresh_token(&session),
            at: session.token.issued_at,
            session,
            username,
            role,
        })
    }
}
