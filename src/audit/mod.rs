//! The record as others read it: lists, details, counts and exports of the connection history. Reading other people's
//! history is an event itself, recorded before the answer leaves (ADM-06).

pub mod backlog;
pub mod chain;
pub mod csv_dialect;
pub mod export;
pub mod history;
pub mod lookup;
pub mod maintenance;
pub mod other_database;
mod own_data;
pub mod retention;
mod row_format;
pub mod shipping;

use std::sync::Arc;

use crate::authentication::Authentication;
use crate::clock::Clock;
use crate::config;
use crate::refusals::Refusals;
use crate::session::Sessions;
use crate::store::Store;

/// The operations on the history. Cheap to clone.
#[derive(Debug, Clone)]
pub struct History {
    store: Store,
    clock: Arc<dyn Clock>,
    authentication: Authentication,
    sessions: Sessions,
    refusals: Refusals,
    /// Whether whoever exports must say what for.
    purpose_required: bool,
}

impl History {
    /// The operations on the history, by the rules of `[audit]`.
    #[must_use]
    pub const fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        authentication: Authentication,
        sessions: Sessions,
        refusals: Refusals,
        rules: &config::Audit,
    ) -> Self {
        Self { store, clock, authentication, sessions, refusals, purpose_required: rules.purpose_required }
    }

    /// The forms under which attempts with a name are kept.
    fn attempt_names(&self) -> impl Fn(&str) -> Vec<String> + Send + 'static {
        let authentication = self.authentication.clone();
        move |name| authentication.attempt_names(name)
    }
}
