//! The tables whose rows are recorded: one line for each column, and nowhere else is it said what the column is.
//!
//! A line gives the name, what it holds, and after the dots what is special about it; behind `=` stands how the model says it.
//! From this follow what a digest covers and in which order, what the verifier reads, what the database's roles may do with the
//! column, and the columns of sheets.
//!
//! A new column goes to the end of its part, with the next form of every kind that it is in: rows that were sealed before
//! verify as they were. It is exported as the last one, unless it says otherwise.

use super::proof::Group;
use super::table::{Column, Table, Uncovered, UncoveredKind};
use super::value::{Member as _, Shape, Value};
use crate::model::attempt::Attempt;
use crate::model::audit::{Reason, RecordedEvent};
use crate::model::client::ClientId;
use crate::model::session::Session;

/// Defines the columns of a part of a table; and, where the model says what they are, a function that hands on each with that.
macro_rules! columns {
    (
        $(#[$meta:meta])* $columns:ident, $hand:ident of $row:ident: $type:ty {
            $($name:ident: $shape:ident $(.$special:ident($($with:literal)?))* = $value:expr,)+
        }
    ) => {
        columns! { $(#[$meta])* $columns { $($name: $shape $(.$special($($with)?))*,)+ } }

        /// Hands on what each of these columns says of a row, in their order.
        pub fn $hand($row: &$type, to: &mut impl FnMut(&'static Column, Value<'_>)) {
            $({
                const COLUMN: &Column = &columns!(@ $name: $shape $(.$special($($with)?))*);
                $value.hand(|value| to(COLUMN, value));
            })+
        }
    };
    ($(#[$meta:meta])* $columns:ident { $($name:ident: $shape:ident $(.$special:ident($($with:literal)?))*,)+ }) => {
        $(#[$meta])*
        pub(super) const $columns: &[Column] = &[$(columns!(@ $name: $shape $(.$special($($with)?))*),)+];
    };
    (@ $name:ident: $shape:ident $(.$special:ident($($with:literal)?))*) => {
        Column::new(stringify!($name), Shape::$shape)$(.$special($($with)?))*
    };
}

/// What happened, and what was refused.
pub const AUDIT_EVENTS: Table = Table {
    name: "audit_events",
    key: &["seq"],
    owner: None,
    over: Some("at"),
    parts: &[EVENT],
    uncovered: &[ADDRESS_PROOF, PERSON_PROOF],
};

columns! {
    /// What the digest of an event covers.
    EVENT, event of recorded: RecordedEvent {
        seq: Number = recorded.seq,
        at: Time = recorded.event.at,
        kind: Text = recorded.event.kind.as_str(),
        outcome: Text = recorded.event.outcome.as_str(),
        reason: OptionalText = recorded.event.reason.map(Reason::as_str),
        actor_kind: Text = recorded.event.context.actor.kind.as_str(),
        actor_id: Text = recorded.event.context.actor.id,
        subject_kind: Text = recorded.event.subject.kind.as_str(),
        subject_id: OptionalText = recorded.event.subject.id,
        session_id: OptionalId = recorded.event.session_id.map(|id| id.0),
        ip: OptionalAddress = recorded.event.context.ip,
        request_id: OptionalText = recorded.event.context.request_id,
        details: Details = recorded.event.details.to_string(),
    }
}

/// Tries to log in.
pub const ATTEMPTS: Table = Table {
    name: "attempts",
    key: &["id"],
    owner: Some("user_id"),
    over: Some("at"),
    parts: &[ATTEMPT],
    uncovered: &[ADDRESS_PROOF, PERSON_PROOF, USERNAME_FOLDED, IP_KEY],
};

columns! {
    /// What the digest of an attempt covers.
    ATTEMPT, attempt of attempt: Attempt {
        id: Id = attempt.id.0,
        at: Time = attempt.at,
        username: Person = attempt.username,
        user_id: OptionalId = attempt.user_id.map(|id| id.0),
        outcome: Text = attempt.outcome.as_str(),
        ip: Address = attempt.ip,
        user_agent: OptionalPerson = attempt.user_agent,
        client_id: OptionalText = attempt.client.id().map(ClientId::as_str),
        session_id: OptionalId = attempt.session_id.map(|id| id.0),
        request_id: Text = attempt.request_id,
        client_authentication: OptionalText.since(2).not_exported() = attempt.client.authentication(),
    }
}

/// Logins, and what followed from each.
pub const SESSIONS: Table = Table {
    name: "sessions",
    key: &["id"],
    owner: Some("user_id"),
    over: Some("ended_at"),
    parts: &[SESSION_START, SESSION_END],
    uncovered: &[
        ADDRESS_PROOF,
        PERSON_PROOF,
        USERNAME_FOLDED,
        IP_KEY,
        Uncovered { name: "valid_from_generation", kind: UncoveredKind::Internal },
    ],
};

columns! {
    /// What does not change of a session while it lives.
    SESSION_START, session_start of session: Session {
        id: Id = session.id.0,
        user_id: Id = session.user_id.0,
        username: Person = session.username.as_str(),
        role: Text = session.role.as_str(),
        client_id: OptionalText = session.client.id().map(ClientId::as_str),
        device_name: OptionalPerson = session.device_name,
        ip: Address = session.client_info.ip,
        user_agent: OptionalPerson = session.client_info.user_agent,
        browser: OptionalText = session.device.browser,
        os: OptionalText = session.device.os,
        device_kind: OptionalText = session.device.kind,
        methods: Text.exported_as("amr") = session.methods.join(" "),
        started_at: Time = session.started_at,
        expires_at: Time = session.expires_at,
        client_authentication: OptionalText.since(2).not_exported() = session.client.authentication(),
        credential: OptionalText.since(3).not_exported() = session.credential.recorded(),
    }
}

columns! {
    /// What does not change of a session once it has ended. What is not optional is never missing then.
    SESSION_END, session_end of session: Session {
        last_seen_at: Time.changes() = session.last_seen_at,
        last_ip: Address.changes() = session.last_ip,
        idle_expires_at: Time.changes() = session.idle_expires_at,
        token_id: Id.changes().exported_as("jti") = session.token.id.0,
        token_issued_at: Time.changes() = session.token.issued_at,
        token_expires_at: Time.changes() = session.token.expires_at,
        refresh_generation: Number.changes().exported_as("refreshes") = session.refresh.generation,
        refresh_seed: Bytes.withheld() = session.refresh.seed,
        refresh_spent_at: OptionalTime.changes().not_exported() = session.refresh.spent_at,
        ended_at: Time.changes() = session.end.as_ref().map(|end| end.at),
        end_reason: Text.changes() = session.end.as_ref().map(|end| end.reason.as_str()),
        ended_by_kind: Text.changes() = session.end.as_ref().map(|end| end.by.kind.as_str()),
        ended_by_id: TextOrNothing.changes() = session.end.as_ref().map(|end| end.by.id.as_str()),
        end_note: OptionalPerson.changes().exported_as("note") = session.end.as_ref().and_then(|end| end.note.as_deref()),
        name: OptionalPerson.since(4).changes() = session.name,
    }
}

/// Users: what lets each in, and what the user may do then.
pub const USERS: Table =
    Table { name: "users", key: &["id"], owner: None, over: None, parts: &[USER], uncovered: &[USERNAME_FOLDED] };

columns! {
    /// What the digest of a state of a user covers. The salt is another one in each state and goes with the row, so that what is
    /// left, the digest, lets nobody find out by guessing who it was.
    USER {
        id: Id,
        version: Number.changes().withheld(),
        salt: Bytes.changes().withheld(),
        username: Text.changes(),
        role: Text.changes(),
        state: Text.changes(),
        password_hash: OptionalText.changes().withheld(),
        password_scheme: OptionalText.changes().withheld(),
        created_at: Time,
        password_changed_at: OptionalTime.changes(),
        email: OptionalText.changes().withheld(),
        must_change_password_since: OptionalTime.since(2).changes().withheld(),
    }
}

/// Clients: what lets each in, and what it may do then.
pub const CLIENTS: Table =
    Table { name: "clients", key: &["id"], owner: None, over: None, parts: &[CLIENT], uncovered: &[LAST_USED_AT] };

columns! {
    /// What the digest of a state of a client covers; the salt as of a user.
    CLIENT {
        id: Text,
        version: Number.changes(),
        salt: Bytes.changes().withheld(),
        name: Text,
        scopes: Text,
        secret_digest: Bytes.changes().withheld(),
        created_at: Time,
        secret_changed_at: Time.changes(),
        previous_secret_digest: OptionalBytes.since(2).changes().withheld(),
        previous_secret_until: OptionalTime.since(2).changes(),
        audiences: OptionalText.since(2),
        jwks: OptionalText.since(2),
    }
}

/// Not-befores: whose sessions are refused, since when, by whom and why.
pub const NOT_BEFORES: Table = Table {
    name: "not_befores",
    key: &["scope", "subject"],
    owner: None,
    over: None,
    parts: &[NOT_BEFORE],
    uncovered: &[],
};

columns! {
    /// What the digest of a state of a not-before covers; the salt as of a user.
    NOT_BEFORE {
        scope: Text,
        subject: Text,
        version: Number.changes(),
        salt: Bytes.changes(),
        at: Time.changes(),
        set_at: Time.changes(),
        set_by_kind: Text.changes(),
        set_by: Text.changes(),
        note: OptionalText.changes(),
    }
}

const ADDRESS_PROOF: Uncovered = Uncovered { name: "address_proof", kind: UncoveredKind::Proof(Group::Addresses) };
const PERSON_PROOF: Uncovered = Uncovered { name: "person_proof", kind: UncoveredKind::Proof(Group::Person) };
const USERNAME_FOLDED: Uncovered = Uncovered { name: "username_folded", kind: UncoveredKind::Folded("username") };
const LAST_USED_AT: Uncovered = Uncovered { name: "last_used_at", kind: UncoveredKind::Internal };
const IP_KEY: Uncovered = Uncovered { name: "ip_key", kind: UncoveredKind::Key("ip") };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::RecordKind;

    /// What names a column names one that is there.
    #[test]
    fn every_named_column_is_in_its_table() {
        for table in RecordKind::ALL.iter().map(|kind| kind.table()) {
            let sources = table.uncovered.iter().filter_map(|uncovered| match uncovered.kind {
                UncoveredKind::Folded(source) | UncoveredKind::Key(source) => Some(source),
                UncoveredKind::Proof(_) | UncoveredKind::Internal => None,
            });
            for name in table.key.iter().copied().chain(table.owner).chain(table.over).chain(sources) {
                assert!(table.column(name).is_some(), "{} has no {name}", table.name);
            }
        }
    }

    /// What can be removed needs proofs, one of each group.
    #[test]
    fn every_table_of_which_something_can_be_removed_has_proofs() {
        for kind in RecordKind::ALL {
            let table = kind.table();
            let is_removable = |group| table.covered().any(|column| column.shape.group() == Some(group));
            let proves = |group| table.uncovered.iter().any(|uncovered| uncovered.kind == UncoveredKind::Proof(group));
            for group in [Group::Addresses, Group::Person] {
                assert_eq!(
                    (is_removable(group), proves(group)),
                    (!kind.is_versioned(), !kind.is_versioned()),
                    "{kind}"
                );
            }
        }
    }
}
