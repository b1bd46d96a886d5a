//! Which sessions, in which order.

use super::parse::{Criterion, filter};
use super::value::{Moment, Network, Text, UserSelector};
use crate::model::id::{TokenId, UserId};
use crate::model::session::{EndReason, SessionState};
use crate::model::words::words;

words! {
    /// A state of sessions, or all of them.
    pub enum StateFilter {
        /// Those that can be used.
        Active = "active",
        /// Those that cannot.
        Ended = "ended",
        /// Active or ended.
        All = "all",
    }
}

words! {
    /// In which order sessions are listed.
    #[derive(Default)]
    pub enum Sort {
        /// Newest login first.
        #[default]
        NewestStart = "-started_at",
        /// Oldest login first.
        OldestStart = "started_at",
        /// Last used first.
        LastSeen = "-last_seen_at",
    }
}

filter! {
    /// Which sessions. All members together; one that is left out leaves nothing out.
    pub struct SessionFilter {
        /// Of the user with this id, or of everybody who has this name or had it at a login.
        user: Criterion<UserSelector>,
        /// Of users who had this role at login.
        role: Criterion<Text>,
        /// In this state; all unless said otherwise.
        state: Criterion<StateFilter>,
        /// Ended for this reason.
        reason: Criterion<EndReason>,
        /// Whose login came from this address or network.
        ip: Criterion<Network>,
        /// Through this application.
        client_id: Criterion<Text>,
        /// Whose user agent contains this, whatever the case.
        user_agent: Criterion<Text>,
        /// Started at this moment or later.
        started_from: Option<Moment>,
        /// Started before this moment.
        started_to: Option<Moment>,
        /// Last used at this moment or later.
        last_seen_from: Option<Moment>,
        /// Last used before this moment.
        last_seen_to: Option<Moment>,
        /// Ended at this moment or later.
        ended_from: Option<Moment>,
        /// Ended before this moment.
        ended_to: Option<Moment>,
        /// Ended by the party with this id: a user, a client, or a part of Vigie such as `cli`.
        ended_by: Criterion<Text>,
        /// For which the access token with this `jti` was issued.
        token: Criterion<TokenId>,
    }
}

impl StateFilter {
    /// The state to filter by.
    #[must_use]
    pub const fn state(self) -> Option<SessionState> {
        match self {
            Self::Active => Some(SessionState::Active),
            Self::Ended => Some(SessionState::Ended),
            Self::All => None,
        }
    }
}

impl SessionFilter {
    /// All sessions of this user.
    #[must_use]
    pub fn of_user(user_id: UserId) -> Self {
        Self { user: Criterion::is(user_id.into()), ..Self::default() }
    }

    /// Whether sessions in this state may match.
    #[must_use]
    pub fn allows(&self, state: SessionState) -> bool {
        let covers = |filter: &StateFilter| filter.state().is_none_or(|covered| covered == state);
        let Criterion { include, exclude } = &self.state;
        (include.is_empty() || include.iter().any(covers)) && !exclude.iter().any(covers)
    }

    /// The same, of active sessions only.
    #[must_use]
    pub fn only_active(&self) -> Self {
        Self { state: Criterion::is(StateFilter::Active), ..self.clone() }
    }

    /// Whether it leaves no active session out.
    #[must_use]
    pub fn matches_every_active(&self) -> bool {
        self.allows(SessionState::Active) && Self { state: Criterion::default(), ..self.clone() } == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Filter as _;
    use super::*;

    fn read(filter: &Value) -> Result<SessionFilter, String> {
        serde_json::from_value(filter.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_asked_for_is_kept_as_it_was_asked_for() {
        let one_of_each = json!({
            "user": "Alice", "role": "admin", "state": "ended", "reason": "logout", "ip": "192.0.2.0/24",
            "client_id": "crm", "user_agent": "Firefox", "started_from": "2026-01-01T00:00:00.000000Z",
            "started_to": "2026-01-02T00:00:00.000000Z", "last_seen_from": "2026-01-03T00:00:00.000000Z",
            "last_seen_to": "2026-01-04T00:00:00.000000Z", "ended_from": "2026-01-05T00:00:00.000000Z",
            "ended_to": "2026-01-06T00:00:00.000000Z", "ended_by": "cli",
            "token": "0197c2a4-8a5e-7c3e-9f6e-0123456789ab",
        });
        let several = json!({
            "user": ["Alice", "BOB"], "not_user": "carol", "not_reason": ["logout", "expired"],
            "not_ip": "192.0.2.1/32", "not_client_id": "crm",
        });
        for filter in [json!({}), one_of_each, several] {
            assert_eq!(json!(read(&filter).unwrap()), filter);
        }
        assert_eq!(SessionFilter::MEMBERS.len(), 15);
    }

    #[test]
    fn a_list_of_one_is_one_and_null_is_none() {
        let read = read(&json!({ "user": ["Alice"], "not_role": null, "ip": "192.0.2.7/24", "started_to": null }));
        assert_eq!(json!(read.unwrap()), json!({ "user": "Alice", "ip": "192.0.2.0/24" }));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (filter, message) in [
            (json!({ "usr": "alice" }), "unknown field `usr`"),
            (json!({ "not_usr": "alice" }), "unknown field `not_usr`"),
            (json!({ "not_started_to": "2026-01-01T00:00:00Z" }), "unknown field"),
            (json!({ "user": [] }), "1 to 20 values"),
            (json!({ "user": vec!["alice"; 21] }), "1 to 20 values"),
            (json!({ "user": 7 }), "a string or a list of strings"),
            (json!({ "reason": ["logout", "bored"] }), "`bored` is none of"),
            (json!({ "started_to": ["2026-01-01T00:00:00Z"] }), "a string"),
        ] {
            let refused = read(&filter).unwrap_err();
            assert!(refused.contains(message), "{filter}: {refused}");
        }
        let twice: Result<SessionFilter, _> = serde_json::from_str(r#"{"not_user":"a","not_user":"b"}"#);
        assert!(twice.unwrap_err().to_string().contains("duplicate field `not_user`"));
    }

    #[test]
    fn only_a_filter_without_any_other_member_matches_every_active_session() {
        for filter in
            [json!({}), json!({ "state": "all" }), json!({ "state": "active" }), json!({ "not_state": "ended" })]
        {
            assert!(read(&filter).unwrap().matches_every_active(), "{filter}");
        }
        for filter in [json!({ "user": "a" }), json!({ "not_user": "a" }), json!({ "state": "ended" })] {
            assert!(!read(&filter).unwrap().matches_every_active(), "{filter}");
        }
    }

    #[test]
    fn states_asked_for_and_excluded_leave_what_both_leave() {
        for (filter, active, ended) in [
            (json!({}), true, true),
            (json!({ "state": "active" }), true, false),
            (json!({ "state": ["active", "ended"] }), true, true),
            (json!({ "state": "all", "not_state": "active" }), false, true),
            (json!({ "state": "active", "not_state": "active" }), false, false),
            (json!({ "not_state": "all" }), false, false),
        ] {
            let read = read(&filter).unwrap();
            let allowed = (read.allows(SessionState::Active), read.allows(SessionState::Ended));
            assert_eq!(allowed, (active, ended), "{filter}");
        }
    }
}
