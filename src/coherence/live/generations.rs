//! A bounded cache of conclusions, each good only for the generation of what it was drawn from.
//!
//! Whoever draws a conclusion reads the generation first and the grounds after it. Grounds are replaced before the
//! generation is raised. So a conclusion from old grounds always carries an old generation, and counts no more.

use std::fmt::Debug;
use std::hash::Hash;

use quick_cache::sync::Cache;

/// The cache. Values are cheap to clone.
pub struct Generations<K, V> {
    kept: Cache<K, (u64, V)>,
}

impl<K: Eq + Hash, V: Clone> Generations<K, V> {
    /// An empty cache for at most `capacity` conclusions.
    pub fn new(capacity: usize) -> Self {
        Self { kept: Cache::new(capacity) }
    }

    /// The conclusion, if it was drawn in this generation.
    pub fn get(&self, key: &K, generation: u64) -> Option<V> {
        self.kept.get(key).filter(|(of, _)| *of == generation).map(|(_, value)| value)
    }

    /// Remembers a conclusion drawn in `generation`.
    pub fn remember(&self, key: K, generation: u64, value: V) {
        self.kept.insert(key, (generation, value));
    }

    /// Forgets everything, to free the memory.
    pub fn clear(&self) {
        self.kept.clear();
    }
}

impl<K, V> Debug for Generations<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generations").finish_non_exhaustive()
    }
}
