//! A bounded map that is filled from the store while changes arrive.
//!
//! Whoever misses an entry announces a load before asking the store. A change that arrives meanwhile marks the load stale:
//! what was read may be older than the change, so it is not kept. Without the mark, an answer read before an end could be
//! put down after it, and a session would come back to life.
//!
//! Whoever keeps an entry elsewhere, to save the look-up, keeps the version with it that was there before the look-up. An entry
//! is removed before its version changes, so that one with the present version is as it was.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use quick_cache::sync::Cache;

use super::sync::{AtomicU32, Mutex, MutexGuard, Ordering, PoisonError};

/// Versions at most. Keys share them: a change of one entry costs the others that share its version a look-up.
const VERSIONS: usize = 1 << 16;

/// The map. Values are cheap to clone. Where it is full, what was not asked for lately makes room.
pub struct Map<K, V> {
    kept: Cache<K, V>,
    versions: Box<[AtomicU32]>,
    hasher: ahash::RandomState,
    under_way: Mutex<HashMap<K, Pending>>,
}

/// Loads and write barriers of one key that are under way.
#[derive(Debug, Default)]
struct Pending {
    count: usize,
    stale: bool,
}

/// A load, announced before the store is asked.
pub struct PendingLoad<'map, K: Copy + Eq + Hash, V: Clone> {
    map: &'map Map<K, V>,
    key: K,
}

impl<K: Copy + Eq + Hash, V: Clone> Map<K, V> {
    /// An empty map for at most `capacity` entries.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            kept: Cache::new(capacity),
            versions: (0..capacity.clamp(1, VERSIONS)).map(|_| AtomicU32::new(0)).collect(),
            hasher: ahash::RandomState::new(),
            under_way: Mutex::new(HashMap::new()),
        }
    }

    /// The entry, if it is there.
    pub fn get(&self, key: &K) -> Option<V> {
        self.kept.get(key)
    }

    /// What changes when an entry is forgotten or replaced. Read it before the entry that is to be kept with it.
    pub fn version(&self, key: &K) -> u32 {
        self.version_of(key).load(Ordering::SeqCst)
    }

    fn version_of(&self, key: &K) -> &AtomicU32 {
        #[expect(clippy::cast_possible_truncation, reason = "any part of a hash will do")]
        let place = self.hasher.hash_one(key) as usize;
        &self.versions[place % self.versions.len()]
    }

    /// Announces that the store is about to be asked for the entry.
    pub fn begin_load(&self, key: K) -> PendingLoad<'_, K, V> {
        self.under_way().entry(key).or_default().count += 1;
        PendingLoad { map: self, key }
    }

    /// Removes the entry: it is not as it was.
    pub fn invalidate(&self, key: &K) {
        let mut under_way = self.under_way();
        if let Some(pending) = under_way.get_mut(key) {
            pending.stale = true;
        }
        self.remove(key);
    }

    /// Removes the entry and keeps nothing in its place until the write barrier is lowered: it is about to change.
    pub fn raise_barrier(&self, key: K) {
        let mut under_way = self.under_way();
        let pending = under_way.entry(key).or_default();
        pending.count += 1;
        pending.stale = true;
        self.remove(&key);
    }

    fn remove(&self, key: &K) {
        self.kept.remove(key);
        // Not before: an entry that is still there must not be found with the new version.
        self.raise_version(key);
    }

    fn raise_version(&self, key: &K) {
        self.version_of(key).fetch_add(1, Ordering::SeqCst);
    }

    /// Lowers a write barrier. What was looked up under it is not kept.
    pub fn lower_barrier(&self, key: K) {
        self.done(key);
    }

    /// Removes every entry; what is being looked up meanwhile is not kept.
    pub fn clear(&self) {
        let mut under_way = self.under_way();
        for pending in under_way.values_mut() {
            pending.stale = true;
        }
        self.kept.clear();
        for version in &self.versions {
            version.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.kept.len()
    }

    fn done(&self, key: K) {
        let mut under_way = self.under_way();
        if let Some(pending) = under_way.get_mut(&key) {
            pending.count -= 1;
            if pending.count == 0 {
                under_way.remove(&key);
            }
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<K, Pending>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V: Clone> PendingLoad<'_, K, V> {
    /// Keeps what the store said, unless something changed since the load was announced. `true` where it was kept.
    pub fn keep(self, value: V) -> bool {
        let under_way = self.map.under_way();
        let is_fresh = under_way.get(&self.key).is_some_and(|pending| !pending.stale);
        if is_fresh {
            // Under the lock: a change that comes now waits, and then finds the entry.
            self.map.kept.insert(self.key, value);
            self.map.raise_version(&self.key);
        }
        is_fresh
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Drop for PendingLoad<'_, K, V> {
    fn drop(&mut self) {
        self.map.done(self.key);
    }
}

impl<K, V> Debug for Map<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Map").finish_non_exhaustive()
    }
}
