//! Looks users up.

use super::{UserError, Users};
use crate::model::audit::{AuditContext, AuditKind, Reason, Subject, SubjectKind};
use crate::model::filter::UserFilter;
use crate::model::id::UserId;
use crate::model::user::User;
use crate::store::users::{self, Position};
use crate::store::{Db, Page, StoreError};

impl Users {
    /// Whether there is no user yet: a new installation.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(!self.store().read(users::any).await?)
    }

    /// The user with this id.
    pub async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.store().read(move |db| users::find(db, id)).await
    }

    /// The user with this id, for an operation; that there is none is recorded.
    pub async fn find_for(&self, operation: AuditKind, id: UserId, context: &AuditContext) -> Result<User, UserError> {
        let found = self.find(id).await?.ok_or(UserError::NotFound);
        self.noted(found, operation, Subject::new(SubjectKind::User, id), context)
    }

    /// The user with this id or name: what people type on a command line. Where one has it as id and another as name, it is the
    /// id.
    pub async fn find_by_id_or_name(&self, text: &str) -> Result<Option<User>, StoreError> {
        let (id, name) = (text.parse::<UserId>().ok(), text.to_owned());
        let find = move |db: &mut Db| match id.map(|id| users::find(db, id)).transpose()?.flatten() {
            Some(user) => Ok(Some(user)),
            None => users::find_by_name(db, &name),
        };
        self.store().read(find).await
    }

    /// The same for an operation; that there is none is recorded.
    pub async fn find_by_id_or_name_for(
        &self,
        operation: AuditKind,
        text: &str,
        context: &AuditContext,
    ) -> Result<Option<User>, StoreError> {
        let found = self.find_by_id_or_name(text).await?;
        if found.is_none() {
            self.inner.refusals.note_operation(operation, Reason::NotFound, Subject::unknown(), context);
        }
        Ok(found)
    }

    /// Users by name, those after `after`.
    pub async fn list(
        &self,
        filter: UserFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<User, Position>, StoreError> {
        self.store().read(move |db| users::list(db, &filter, after.as_ref(), limit)).await
    }
}
