//! Which users.

use super::parse::filter;
use super::value::Text;
use crate::model::user::UserState;

filter! {
    /// Which users. All members together; one that is left out leaves nothing out.
    pub struct UserFilter {
        /// With this role.
        role: Option<Text>,
        /// In this state.
        state: Option<UserState>,
        /// Whose name contains this, whatever the case.
        name: Option<Text>,
    }
}
