//! How the chain grows, and the Merkle tree above it (RFC 6962 §2.1).

use std::cell::RefCell;
use std::ops::Range;

use tlog_tiles::{
    EMPTY_HASH, Error, Hash, HashReader, node_hash, record_hash, split_stored_hash_index, stored_hash_index,
};

use super::chain_hash::ChainHashKeys;
use super::size;
use crate::model::record::{Digest, Record};
use crate::store::chain::{self, Head, SealedRecord, TreeHash};
use crate::store::{Db, StoreError};

/// Hashes of subtrees this high and higher are kept; lower ones are made from at most 256 records again.
pub(super) const KEPT_FROM: u8 = 8;

/// The leaf of a record.
#[must_use]
pub fn leaf(record: &Record) -> Hash {
    record_hash(&record.to_bytes())
}

/// A chain that grows, and what is to be written of that.
#[derive(Debug)]
pub struct TreeBuilder {
    /// How the chain stands now.
    pub head: Head,
    /// The records that were appended with [`TreeBuilder::append`], in their places.
    pub sealed: Vec<SealedRecord>,
    /// Hashes of subtrees that became whole.
    pub hashes: Vec<TreeHash>,
    hash_keys: ChainHashKeys,
}

impl TreeBuilder {
    /// From here on, linked by these keys.
    #[must_use]
    pub const fn of(head: Head, hash_keys: ChainHashKeys) -> Self {
        Self { head, sealed: Vec::new(), hashes: Vec::new(), hash_keys }
    }

    /// A builder of an empty chain, whose records are linked by these keys.
    #[must_use]
    pub const fn new(hash_keys: ChainHashKeys) -> Self {
        Self::of(Head { size: 0, chain_hash: [0; 32], peaks: Vec::new() }, hash_keys)
    }

    /// Appends a record, and keeps it in [`TreeBuilder::sealed`].
    pub fn append(&mut self, record: Record) {
        self.grow(leaf(&record));
        self.sealed.push(SealedRecord { position: self.head.size - 1, record, chain_hash: self.head.chain_hash });
    }

    /// The same without keeping the record, which has this leaf.
    pub fn grow(&mut self, leaf: Hash) {
        self.head.chain_hash = self.hash_keys.chain_hash(self.head.size, &self.head.chain_hash, leaf);
        // As in a binary counter: two whole subtrees of one height become one of the next.
        let (mut hash, mut number, mut level) = (leaf, size(self.head.size), 0);
        while number & 1 == 1
            && let Some(left) = self.head.peaks.pop()
        {
            (hash, number, level) = (node_hash(Hash(left), hash), number >> 1, level + 1);
            if level >= KEPT_FROM {
                self.hashes.push(TreeHash { place: place(level, number), hash: hash.0 });
            }
        }
        self.head.peaks.push(hash.0);
        self.head.size += 1;
    }
}

fn place(level: u8, number: u64) -> i64 {
    i64::try_from(stored_hash_index(level, number)).unwrap_or(i64::MAX)
}

/// The places of all hashes that become whole when the records from `from` on and before `before` are appended.
pub(super) fn places(from: i64, before: i64) -> Range<i64> {
    place(0, size(from))..place(0, size(before))
}

/// The root of a tree with these peaks.
pub(super) fn root(peaks: &[Digest]) -> Hash {
    let mut peaks = peaks.iter().rev().map(|peak| Hash(*peak));
    let last = peaks.next().unwrap_or(EMPTY_HASH);
    peaks.fold(last, |right, left| node_hash(left, right))
}

/// The roots of the whole subtrees that make up the tree over the first `records`, as they are kept; the largest first.
pub(super) fn peaks(db: &mut Db, records: u64) -> Result<Vec<Digest>, StoreError> {
    let stored = Stored::new(db);
    // Each begins where those before it, which are larger, end.
    let number = |level: u8| records >> level & !1;
    let levels = (0..64).rev().filter(|level| records >> level & 1 == 1);
    levels.map(|level| Ok(stored.read(stored_hash_index(level, number(level)))?.0)).collect()
}

/// Reads the tree from the database. The library knows no such errors: the first is kept aside.
pub(super) struct Stored<'db> {
    db: RefCell<&'db mut Db>,
    failed: RefCell<Option<StoreError>>,
}

impl<'db> Stored<'db> {
    pub const fn new(db: &'db mut Db) -> Self {
        Self { db: RefCell::new(db), failed: RefCell::new(None) }
    }

    /// What the library made of the tree, or why it could not be read.
    pub fn result<T>(self, made: Result<T, Error>) -> Result<T, StoreError> {
        if let Some(error) = self.failed.into_inner() {
            return Err(error);
        }
        made.map_err(|error| StoreError::Corrupt(format!("the tree of records: {error}")))
    }

    fn read(&self, index: u64) -> Result<Hash, StoreError> {
        let missing = || StoreError::Corrupt("the tree of records has a gap".to_owned());
        let (level, number) = split_stored_hash_index(index);
        let mut db = self.db.borrow_mut();
        if level >= KEPT_FROM {
            return chain::tree_hash(&mut db, place(level, number))?.map(Hash).ok_or_else(missing);
        }
        let bound = |number: u64| i64::try_from(number << level).unwrap_or(i64::MAX);
        let (from, before) = (bound(number), bound(number + 1));
        let mut builder = TreeBuilder::new(ChainHashKeys::plain());
        for sealed in chain::page(&mut db, from, before, before - from)? {
            builder.grow(leaf(&sealed.record));
        }
        if builder.head.size == before - from { Ok(root(&builder.head.peaks)) } else { Err(missing()) }
    }
}

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let read = |index: &u64| {
            self.read(*index).map_err(|error| {
                self.failed.borrow_mut().get_or_insert(error);
                Error::IndexesNotInTree
            })
        };
        indexes.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tlog_tiles::{stored_hashes, tree_hash};

    use super::*;
    use crate::model::record::RecordKind;

    fn record(number: i64) -> Record {
        let at = DateTime::from_timestamp_micros(number).unwrap();
        Record { kind: RecordKind::Event, subject: number.to_string(), at, form: 1, digest: [7; 32] }
    }

    struct Plain(RefCell<Vec<Hash>>);

    impl HashReader for Plain {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            let hashes = self.0.borrow();
            Ok(indexes.iter().map(|index| hashes[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn the_tree_is_that_of_the_library() {
        let plain = Plain(RefCell::default());
        let mut builder = TreeBuilder::new(ChainHashKeys::plain());
        assert_eq!(root(&builder.head.peaks), EMPTY_HASH);
        for number in 0..1200 {
            let made = stored_hashes(number, &record(i64::try_from(number).unwrap()).to_bytes(), &plain).unwrap();
            plain.0.borrow_mut().extend(made);
            builder.append(record(i64::try_from(number).unwrap()));
            assert_eq!(root(&builder.head.peaks), tree_hash(number + 1, &plain).unwrap(), "of {number}");
        }
        for hash in &builder.hashes {
            assert_eq!(plain.0.borrow()[usize::try_from(hash.place).unwrap()], Hash(hash.hash));
        }
        // Four of 256 records, two of 512, one of 1024.
        assert_eq!(builder.hashes.len(), 7);
        for (from, before, count) in [(0, 255, 0), (255, 256, 1), (256, 512, 2), (512, 1200, 4), (0, 1200, 7)] {
            let places = places(from, before);
            let inside = builder.hashes.iter().filter(|hash| places.contains(&hash.place));
            assert_eq!(inside.count(), count, "from {from} before {before}");
        }
    }

    #[test]
    fn each_chain_hash_covers_every_record_before_it() {
        let (mut one, mut other) = (TreeBuilder::new(ChainHashKeys::plain()), TreeBuilder::new(ChainHashKeys::plain()));
        one.append(record(1));
        other.append(record(2));
        assert_ne!(one.head.chain_hash, other.head.chain_hash);
        one.append(record(3));
        other.append(record(3));
        assert_ne!(one.head.chain_hash, other.head.chain_hash);
    }
}
