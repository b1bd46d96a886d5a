//! What shows that members of a row are what was sealed, also after they were removed before the row itself.
//!
//! Two groups of members can be removed, for they are removed at different times: addresses when they are old, and what names
//! a person when the person is erased. A record's digest does not cover these members themselves, but a commitment to them:
//! SHA-256 of random bytes, the salt, and the members. While the members are there it is computed from them; when they are
//! removed it takes the place of the salt, and without the salt nobody can find out by guessing what they were.

use arrayvec::ArrayVec;

/// A SHA-256 digest (FIPS 180-4): 32 bytes.
pub type Digest = [u8; 32];

/// Bytes of a salt.
const SALT: usize = 16;
/// The most commitments that a group of a row is made of.
const PARTS: usize = 2;

/// The commitments to the members of a group, in the order of its parts.
pub(in crate::model) type Commitments = ArrayVec<Digest, PARTS>;

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
    /// The bytes that the database keeps; `None` for [`Proof::Clear`].
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Clear => None,
            Self::Salt(salt) => Some(salt.to_vec()),
            Self::Removed(commitments) => Some(commitments.concat()),
        }
    }

    /// Reads the bytes that the database keeps.
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
    /// The proof of its addresses ([`Group::Addresses`]).
    pub addresses: Proof,
    /// The proof of what names a person in it ([`Group::Person`]).
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

    /// Those of the row without the members of a group.
    pub(in crate::model) fn without(&self, group: Group, commitments: Commitments) -> Self {
        let mut proofs = self.clone();
        match group {
            Group::Addresses => proofs.addresses = Proof::Removed(commitments),
            Group::Person => proofs.person = Proof::Removed(commitments),
        }
        proofs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
