//! A bounded cache of conclusions, each good only for the version of what it was drawn from.
//!
//! Whoever draws a conclusion reads the version first and the grounds after it. Grounds are replaced before the
//! version is raised. So a conclusion from old grounds always carries an old version, and counts no more.

use std::fmt::Debug;
use std::hash::Hash;

use quick_cache::sync::Cache;

/// The cache. Values are cheap to clone.
pub struct VersionedCache<K, V> {
    kept: Cache<K, (u64, V)>,
}

impl<K: Eq + Hash, V: Clone> VersionedCache<K, V> {
    /// An empty cache for at most `capacity` conclusions.
    pub fn new(capacity: usize) -> Self {
        Self { kept: Cache::new(capacity) }
    }

    /// The conclusion, if it was drawn in this version.
    pub fn get(&self, key: &K, version: u64) -> Option<V> {
        self.kept.get(key).filter(|(of, _)| *of == version).map(|(_, value)| value)
    }

    /// Remembers a conclusion drawn in `version`.
    pub fn remember(&self, key: K, version: u64, value: V) {
        self.kept.insert(key, (version, value));
    }

    /// Forgets everything, to free the memory.
    pub fn clear(&self) {
        self.kept.clear();
    }
}

impl<K, V> Debug for VersionedCache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionedCache").finish_non_exhaustive()
    }
}
