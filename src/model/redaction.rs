//! Redaction: what can be removed from a row of the history before the row itself, so that its record still verifies.
//!
//! Two groups of members, for they are removed at different times: addresses when they are old, and what names a person
//! when the person is erased. A record's digest does not cover these members themselves, but a commitment to them: SHA-256
//! of random bytes, the salt, and the members. While the members are there it is computed from them; when they are removed
//! it takes the place of the salt, and without the salt nobody can find out by guessing what they were.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use chrono::{DateTime, Utc};

use super::address::cut;
use super::attempt::Attempt;
use super::audit::{RecordedEvent, erased_details};
use super::record::{Digest, Members, Record};
use super::session::Session;
use super::user::Username;

/// The name of a person who was erased.
pub const ERASED: &str = "(erased)";
/// What is left of the details of an event then, as text.
pub(super) const ERASED_DETAILS: &str = r#"{"erased":true}"#;

/// Bytes of a salt.
const SALT: usize = 16;
/// The most commitments that a group of a row is made of.
const PARTS: usize = 2;

/// The commitments to the members of a group, in the order of its parts.
pub(super) type Commitments = ArrayVec<Digest, PARTS>;

/// Members that are removed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Addresses: what is left of each is its network.
    Addresses,
    /// What names or describes a person: names, devices, notes, user agents, details.
    Person,
}

/// How it is shown that the members of a group are what was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proof {
    /// The digest covers them as they are, as all digests did once: they can only be removed with the row.
    #[default]
    Clear,
    /// They are there, and the digest covers the commitments made with this salt.
    Salt([u8; SALT]),
    /// They were removed: the commitments.
    Removed(Commitments),
}

/// Bytes that are no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} bytes are no proof")]
pub struct InvalidProof(usize);

impl Proof {
    /// As it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Clear => None,
            Self::Salt(salt) => Some(salt.to_vec()),
            Self::Removed(commitments) => Some(commitments.concat()),
        }
    }

    /// From what is kept.
    pub fn from_bytes(bytes: Option<&[u8]>) -> Result<Self, InvalidProof> {
        let Some(bytes) = bytes else { return Ok(Self::Clear) };
        if let Ok(salt) = bytes.try_into() {
            return Ok(Self::Salt(salt));
        }
        let (parts, rest) = bytes.as_chunks();
        if parts.is_empty() || !rest.is_empty() {
            return Err(InvalidProof(bytes.len()));
        }
        parts.try_into().map(Self::Removed).map_err(|_| InvalidProof(bytes.len()))
    }
}

/// The proofs of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Of its addresses.
    pub addresses: Proof,
    /// Of what names a person.
    pub person: Proof,
}

impl Proofs {
    /// Those of a new row: random salts.
    ///
    /// # Panics
    /// If the system has no random source: nothing safe can be done then.
    #[must_use]
    pub fn new() -> Self {
        let mut salts = [[0; SALT]; 2];
        getrandom::fill(salts.as_flattened_mut()).expect("the system has a random source");
        let [addresses, person] = salts.map(Proof::Salt);
        Self { addresses, person }
    }

    /// The proof of a group.
    #[must_use]
    pub const fn of(&self, group: Group) -> &Proof {
        match group {
            Group::Addresses => &self.addresses,
            Group::Person => &self.person,
        }
    }

    /// Whether the members of a group were removed.
    #[must_use]
    pub const fn is_removed(&self, group: Group) -> bool {
        matches!(self.of(group), Proof::Removed(_))
    }

    fn without(&self, group: Group, commitments: Commitments) -> Self {
        let mut proofs = self.clone();
        match group {
            Group::Addresses => proofs.addresses = Proof::Removed(commitments),
            Group::Person => proofs.person = Proof::Removed(commitments),
        }
        proofs
    }
}

/// A row of the history, with its proofs.
#[derive(Debug, Clone, PartialEq)]
pub struct WithProofs<T> {
    /// What it says.
    pub row: T,
    /// What shows that it is what was sealed.
    pub proofs: Proofs,
}

impl<T> WithProofs<T> {
    /// A new row.
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

/// Where a person was named.
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

    /// Its record.
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

    /// Its record.
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
        let commitments = self.commitments(group, Members::of_end(&self.row, &self.proofs)?)?;
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

/// Whether this is what is left of an address.
pub(super) fn is_cut(ip: IpAddr) -> bool {
    cut(ip) == ip
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::model::attempt::AttemptOutcome;
    use crate::model::id::AttemptId;

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
            client_id: None,
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

    #[test]
    fn a_proof_is_read_as_it_was_written() {
        let salt = Proofs::new().addresses;
        for proof in [Proof::Clear, salt, Proof::Removed([[7; 32], [8; 32]].into())] {
            assert_eq!(Proof::from_bytes(proof.to_bytes().as_deref()), Ok(proof));
        }
        for length in [0, 15, 17, 33, 96] {
            assert_eq!(Proof::from_bytes(Some(&vec![1; length])), Err(InvalidProof(length)));
        }
    }
}
