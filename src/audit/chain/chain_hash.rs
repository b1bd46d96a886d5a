//! How each record is linked to the one before: by its *chain hash*, HMAC-SHA256 under a key that is not in the database.
//! Whoever can only write there can make none, so nothing that is sealed can be changed, put in another order, taken out or
//! put in.
//!
//! Before there was a key, chain hashes were plain SHA-256. From which record on which key counts stands in `link_keys`
//! with a MAC by that key, and in every checkpoint signed since: the switch cannot be taken back unseen.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use tlog_tiles::Hash;

use super::checkpoint::Checkpoint;
use crate::key::{Key, sha256};
use crate::keyring::{KeyPurpose, Keyring};
use crate::model::record::Digest;
use crate::store::link_keys::{self, LinkStart};
use crate::store::{Db, StoreError};

/// A key that links the records of one history.
pub struct ChainHashKey(hmac::Key);

impl ChainHashKey {
    /// All that there are in a keyring, by their numbers from 1 on.
    #[must_use]
    pub fn all(keyring: &Keyring) -> Arc<[Self]> {
        let earlier = keyring.earlier(KeyPurpose::Link);
        earlier.iter().map(|earlier| &earlier.key).chain([keyring.key(KeyPurpose::Link)]).map(Self::new).collect()
    }

    fn new(key: &Key) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.bytes()))
    }

    /// The chain hash of a record with this leaf hash that follows one with the chain hash `before`.
    fn chain_hash(&self, before: &Digest, leaf: Hash) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(before);
        context.update(&leaf.0);
        fixed(context.sign().as_ref())
    }

    /// That this key, of this number, counts from the record at this position on.
    pub(super) fn start(&self, number: i32, first: i64) -> LinkStart {
        LinkStart { number, first, mac: fixed(hmac::sign(&self.0, &covered(number, first)).as_ref()) }
    }

    fn made(&self, start: &LinkStart) -> bool {
        hmac::verify(&self.0, &covered(start.number, start.first), &start.mac).is_ok()
    }
}

impl fmt::Debug for ChainHashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainHashKey")
    }
}

/// Never as long as what a chain hash covers.
fn covered(number: i32, first: i64) -> Vec<u8> {
    [b"link key".as_slice(), &number.to_be_bytes(), &first.to_be_bytes()].concat()
}

fn fixed(bytes: &[u8]) -> Digest {
    let mut fixed = [0; 32];
    fixed.copy_from_slice(bytes);
    fixed
}

/// Which key links which records of a history.
#[derive(Debug, Clone)]
pub struct ChainHashKeys {
    /// By their numbers, from 1 on.
    keys: Arc<[ChainHashKey]>,
    /// The position of the first record of each.
    firsts: Vec<i64>,
}

impl ChainHashKeys {
    /// No key links any: as it was before there was one.
    #[must_use]
    pub fn plain() -> Self {
        Self { keys: Arc::new([]), firsts: Vec::new() }
    }

    /// What `link_keys` says. Rows that the server's own keys did not make are no rows, and each key has its row.
    pub(super) fn read(db: &mut Db, keys: &Arc<[ChainHashKey]>) -> Result<Self, StoreError> {
        let starts = link_keys::list(db)?;
        let is_genuine =
            |(number, (start, key)): (i32, (&LinkStart, &ChainHashKey))| start.number == number && key.made(start);
        let are_genuine = starts.len() == keys.len() && (1..).zip(starts.iter().zip(keys.iter())).all(is_genuine);
        if !are_genuine || !starts.is_sorted_by_key(|start| start.first) {
            return Err(StoreError::Corrupt("link_keys: these are not the rows that the server made".to_owned()));
        }
        Ok(Self { keys: Arc::clone(keys), firsts: starts.iter().map(|start| start.first).collect() })
    }

    /// The chain hash of the record at a position.
    pub(super) fn chain_hash(&self, position: i64, before: &Digest, leaf: Hash) -> Digest {
        match self.firsts.iter().rposition(|first| *first <= position) {
            Some(number) => self.keys[number].chain_hash(before, leaf),
            None => plain_chain_hash(before, leaf),
        }
    }

    /// The newest key and from where it counts: what checkpoints sign.
    pub(super) fn newest(&self) -> Option<(u32, u64)> {
        let number = u32::try_from(self.firsts.len()).ok()?;
        Some((number, super::size(*self.firsts.last()?)))
    }

    /// Whether these are the keys that the checkpoint saw.
    pub(super) fn agree_with(&self, checkpoint: &Checkpoint) -> bool {
        let first = |number: usize| self.firsts.get(number).map(|first| super::size(*first));
        match checkpoint.link_key {
            Some((number, seen)) => number.checked_sub(1).and_then(|number| first(number as usize)) == Some(seen),
            None => first(0).is_none_or(|first| checkpoint.size <= first),
        }
    }
}

fn plain_chain_hash(before: &Digest, leaf: Hash) -> Digest {
    sha256(&[before, &leaf.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: Checkpoint = Checkpoint { size: 7, root: Hash([0; 32]), link_key: None };

    fn key(number: u8) -> ChainHashKey {
        ChainHashKey::new(&Key::from_bytes([number; 32]))
    }

    #[test]
    fn each_record_is_linked_with_the_key_that_counts_from_there_on() {
        let hash_keys = ChainHashKeys { keys: Arc::new([key(1), key(2)]), firsts: vec![3, 5] };
        let (before, leaf) = ([1; 32], Hash([2; 32]));
        let hashes: Vec<Digest> = (0..7).map(|position| hash_keys.chain_hash(position, &before, leaf)).collect();
        let expected =
            [plain_chain_hash(&before, leaf), key(1).chain_hash(&before, leaf), key(2).chain_hash(&before, leaf)];
        assert_eq!(hashes, [0, 0, 0, 1, 1, 2, 2].map(|one: usize| expected[one]));
        assert_ne!(expected[1], expected[2]);
    }

    #[test]
    fn a_start_is_made_by_its_own_key_alone() {
        let start = key(1).start(1, 5);
        assert!(key(1).made(&start) && !key(2).made(&start));
        assert!(!key(1).made(&LinkStart { first: 6, ..start }));
        assert!(!key(1).made(&LinkStart { number: 2, ..start }));
    }

    #[test]
    fn a_checkpoint_agrees_with_the_keys_it_saw() {
        let hash_keys = ChainHashKeys { keys: Arc::new([key(1), key(2)]), firsts: vec![3, 5] };
        let seen = |link_key| Checkpoint { link_key, ..CHECKPOINT };
        assert!(hash_keys.agree_with(&seen(Some((1, 3)))) && hash_keys.agree_with(&seen(Some((2, 5)))));
        assert!(!hash_keys.agree_with(&seen(Some((1, 4)))) && !hash_keys.agree_with(&seen(Some((3, 6)))));
        assert!(!hash_keys.agree_with(&seen(Some((0, 3)))), "numbers begin with 1");
        assert!(!hash_keys.agree_with(&seen(None)), "signed after the first key, and does not know of it");
        assert!(hash_keys.agree_with(&Checkpoint { size: 3, ..CHECKPOINT }), "signed before");
        assert!(
            ChainHashKeys::plain().agree_with(&CHECKPOINT) && !ChainHashKeys::plain().agree_with(&seen(Some((1, 3))))
        );
    }
}
