//! What users are called that are known by an id: people read names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::super::frame::Frame;
use crate::app::App;
use crate::http::error::ApiError;
use crate::model::id::UserId;
use crate::model::session::{Actor, ActorKind};

/// Users and their names; `None` of one that there is no more.
#[derive(Debug, Default)]
pub(super) struct People(BTreeMap<UserId, Option<String>>);

impl People {
    /// Takes a name from where it stands anyway.
    pub fn learn(&mut self, id: UserId, name: &str) {
        self.0.insert(id, Some(name.to_owned()));
    }

    /// Looks up all that are not known yet.
    pub async fn look_up(&mut self, app: &App, ids: impl IntoIterator<Item = UserId>) -> Result<(), ApiError> {
        for id in ids {
            if let Entry::Vacant(place) = self.0.entry(id) {
                place.insert(app.users.find(id).await?.map(|user| user.username.as_str().to_owned()));
            }
        }
        Ok(())
    }

    /// What a user is called.
    pub fn name(&self, frame: &Frame, id: UserId) -> String {
        let name = self.0.get(&id).cloned().flatten();
        name.unwrap_or_else(|| frame.with("person-unknown", "id", &id.to_string()))
    }

    /// What a value of a filter means by which parties are told apart: users are told by their names, all others as they are.
    pub fn party(&self, frame: &Frame, id: &str) -> String {
        id.parse().map_or_else(|_| id.to_owned(), |id| self.name(frame, id))
    }

    /// Who did something.
    pub fn actor(&self, frame: &Frame, actor: &Actor) -> String {
        match actor.kind {
            ActorKind::User | ActorKind::Admin => self.party(frame, &actor.id),
            ActorKind::Client => frame.with("actor-client", "id", &actor.id),
            ActorKind::System => frame.with("actor-system", "part", &actor.id),
        }
    }
}

/// The user who did something, if one did.
pub(super) fn user_of(actor: &Actor) -> Option<UserId> {
    matches!(actor.kind, ActorKind::User | ActorKind::Admin).then(|| actor.id.parse().ok()).flatten()
}
