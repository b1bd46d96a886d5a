//! Redaction: what can be removed from a row of the history before the row itself, so that its record still verifies.
//!
//! How it is shown that what is left is what was sealed, `model::record` knows.

use chrono::{DateTime, Utc};

use super::address::cut;
use super::attempt::Attempt;
use super::audit::RecordedEvent;
use super::details::erased_details;
use super::record::{Commitments, Members, Record};
pub use super::record::{Group, Proof, Proofs};
use super::session::Session;
use super::user::{ERASED, Username};

/// A row of the history, with its proofs.
#[derive(Debug, Clone, PartialEq)]
pub struct WithProofs<T> {
    /// The row, with what is left of it.
    pub row: T,
    /// What shows that it is what was sealed.
    pub proofs: Proofs,
}

impl<T> WithProofs<T> {
    /// A row that is to be added, with new salts.
    #[must_use]
    pub fn new(row: T) -> Self {
        Self { row, proofs: Proofs::new() }
    }

    /// The commitments to the members of a group; `None` where these cannot be removed, or are already.
    fn commitments(&self, group: Group, members: Members) -> Option<Commitments> {
        matches!(self.proofs.of(group), Proof::Salt(_)).then(|| members.commitments(group))
    }
}

/// What was removed from a row, as far as it must be justified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// Its addresses: they must be older than the moment that these are cut from.
    pub addresses: Option<DateTime<Utc>>,
    /// What names a person, and where.
    pub person: Option<Named>,
}

/// Where a person was named, and so what must justify that the name is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// In a session or an attempt of this user, who must have been erased. Nobody, where an attempt is of no user.
    OfUser(Option<String>),
    /// In the event with this number: an erasure must name it.
    InEvent(i64),
}

impl WithProofs<Attempt> {
    /// The same without the members of a group; `None` where these cannot be removed, or are already.
    #[must_use]
    pub fn without(&self, group: Group) -> Option<Self> {
        let commitments = self.commitments(group, Members::of_attempt(&self.row, &self.proofs))?;
        let proofs = self.proofs.without(group, commitments);
        let row = match group {
            Group::Addresses => Attempt { ip: cut(self.row.ip), ..self.row.clone() },
            Group::Person => Attempt { username: ERASED.to_owned(), user_agent: None, ..self.row.clone() },
        };
        Some(Self { row, proofs })
    }

    /// The record that the row has, whether or not something was removed from it.
    #[must_use]
    pub fn record(&self) -> Record {
        Record::of_attempt(&self.row, &self.proofs)
    }
}

impl WithProofs<RecordedEvent> {
    /// The same without the members of a group; `None` where these cannot be removed, or are already.
    #[must_use]
    pub fn without(&self, group: Group) -> Option<Self> {
        let commitments = self.commitments(group, Members::of_event(&self.row, &self.proofs))?;
        let mut kept = Self { row: self.row.clone(), proofs: self.proofs.without(group, commitments) };
        let event = &mut kept.row.event;
        match group {
            Group::Addresses => event.context.ip = event.context.ip.map(cut),
            Group::Person => event.details = erased_details().clone(),
        }
        Some(kept)
    }

    /// The record that the row has, whether or not something was removed from it.
    #[must_use]
    pub fn record(&self) -> Record {
        Record::of_event(&self.row, &self.proofs)
    }
}

impl WithProofs<Session> {
    /// The same without the members of a group; `None` where these cannot be removed, or are already, and while the
    /// session lives.
    #[must_use]
    pub fn without(&self, group: Group) -> Option<Self> {
        self.row.end.as_ref()?;
        let commitments = self.commitments(group, Members::of_end(&self.row, &self.proofs))?;
        let mut kept = Self { row: self.row.clone(), proofs: self.proofs.without(group, commitments) };
        let session = &mut kept.row;
        match group {
            Group::Addresses => {
                session.client_info.ip = cut(session.client_info.ip);
                session.last_ip = cut(session.last_ip);
            }
            Group::Person => {
                session.username = Username::erased();
                session.device_name = None;
                session.name = None;
                session.client_info.user_agent = None;
                session.end.as_mut()?.note = None;
            }
        }
        Some(kept)
    }

    /// The record of its start.
    #[must_use]
    pub fn start(&self) -> Record {
        Record::of_start(&self.row, &self.proofs)
    }

    /// The record of its end; `None` while it lives.
    #[must_use]
    pub fn end(&self) -> Option<Record> {
        Record::of_end(&self.row, &self.proofs)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::attempt::AttemptOutcome;
    use crate::model::client::LoginClient;
    use crate::model::id::AttemptId;
    use crate::model::record::{Column, Value, samples, tables};
    use crate::model::session::End;

    fn attempt() -> WithProofs<Attempt> {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        WithProofs::new(Attempt {
            id: AttemptId::new(at),
            at,
            username: "alice".to_owned(),
            user_id: None,
            outcome: AttemptOutcome::WrongPassword,
            ip: "192.0.2.77".parse().unwrap(),
            user_agent: Some("curl".to_owned()),
            client: LoginClient::Unnamed,
            session_id: None,
            request_id: "r".to_owned(),
        })
    }

    #[test]
    fn prv_02_a_record_is_the_same_after_its_members_were_removed() {
        let kept = attempt();
        let no_address = kept.without(Group::Addresses).unwrap();
        assert_eq!(no_address.row.ip.to_string(), "192.0.2.0");
        assert_eq!(no_address.record(), kept.record());
        assert_eq!(no_address.without(Group::Addresses), None);
        let nobody = no_address.without(Group::Person).unwrap();
        assert_eq!((nobody.row.username.as_str(), nobody.row.user_agent.as_deref()), (ERASED, None));
        assert_eq!(nobody.record(), kept.record());
        assert_eq!(kept.without(Group::Person).unwrap().record(), kept.record());
    }

    #[test]
    fn what_is_left_cannot_be_changed_either() {
        let kept = attempt();
        let cut = kept.without(Group::Addresses).unwrap().without(Group::Person).unwrap();
        for ip in ["192.0.2.1", "192.0.3.0", "192.0.2.77"] {
            let changed = WithProofs { row: Attempt { ip: ip.parse().unwrap(), ..cut.row.clone() }, ..cut.clone() };
            assert_ne!(changed.record(), kept.record(), "{ip}");
        }
        let renamed = Attempt { username: "alice".to_owned(), ..cut.row.clone() };
        assert_ne!(WithProofs { row: renamed, ..cut.clone() }.record(), kept.record());
        let with_agent = Attempt { user_agent: Some(String::new()), ..cut.row.clone() };
        assert_ne!(WithProofs { row: with_agent, ..cut.clone() }.record(), kept.record());
        assert_ne!(WithProofs { proofs: Proofs::default(), ..cut.clone() }.record(), kept.record());
        assert_ne!(WithProofs { proofs: Proofs::new(), ..kept.clone() }.record(), kept.record());
    }

    /// What the columns of a row say, by their names and groups.
    type Said = Vec<(&'static str, Option<Group>, String)>;

    fn said<Row>(row: &Row, hand: impl FnOnce(&Row, &mut dyn FnMut(&'static Column, Value<'_>))) -> Said {
        let mut said = Vec::new();
        hand(row, &mut |column, value| said.push((column.name, column.shape.group(), format!("{value:?}"))));
        said
    }

    /// Everything of the group is another thing afterwards, and nothing else.
    fn is_removed(group: Group, before: &Said, after: &Said) {
        for ((name, of, before), (_, _, after)) in before.iter().zip(after) {
            assert_eq!(before != after, *of == Some(group), "{name}: {before}, {after}");
        }
    }

    #[test]
    fn what_is_removed_of_a_row_is_every_column_of_the_group() {
        let attempt = WithProofs::new(Attempt { ip: [192, 0, 2, 77].into(), ..samples::attempt() });
        let event = WithProofs::new(samples::event());
        let session = samples::session();
        let end = session.end.clone().map(|end| End { note: Some("N".to_owned()), ..end });
        let session = WithProofs::new(Session { end, ..session });
        let of_attempt = |kept: &WithProofs<Attempt>| said(&kept.row, |row, mut to| tables::attempt(row, &mut to));
        let of_event = |kept: &WithProofs<RecordedEvent>| said(&kept.row, |row, mut to| tables::event(row, &mut to));
        let of_session = |kept: &WithProofs<Session>| {
            said(&kept.row, |row, mut to| {
                tables::session_start(row, &mut to);
                tables::session_end(row, &mut to);
            })
        };
        for group in [Group::Addresses, Group::Person] {
            is_removed(group, &of_attempt(&attempt), &of_attempt(&attempt.without(group).unwrap()));
            is_removed(group, &of_event(&event), &of_event(&event.without(group).unwrap()));
            is_removed(group, &of_session(&session), &of_session(&session.without(group).unwrap()));
        }
    }
}
