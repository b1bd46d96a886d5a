//! Locks by key, so that many tries at once cannot outrun the count of their failures: those on one account come one after the
//! other, and of those from one source no more are under way than may still fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use crate::store::throttles::ThrottleKey;

/// Tries on one account that may wait; further ones are turned away.
const WAITING: usize = 32;
/// The same of those that wait for others of their source.
const WAITING_FOR_SOURCES: usize = 512;

/// A lock for each account that is being tried now, and so many slots for each source.
#[derive(Debug, Default)]
pub(super) struct KeyedLocks {
    locks: Mutex<HashMap<ThrottleKey, Arc<AsyncMutex<()>>>>,
    sources: Arc<Sources>,
}

/// Held while a try on an account is under way.
#[derive(Debug)]
pub(super) struct KeyedLock {
    _guard: OwnedMutexGuard<()>,
}

/// How many tries of each source are under way.
#[derive(Debug, Default)]
struct Sources {
    under_way: Mutex<HashMap<ThrottleKey, usize>>,
    left: Notify,
    waiting: Mutex<usize>,
}

/// Held while a try from its sources is under way.
#[derive(Debug)]
pub(super) struct Slot {
    sources: Arc<Sources>,
    /// How many were under way of each source when this one began, itself among them.
    began_among: Vec<(ThrottleKey, usize)>,
}

impl KeyedLocks {
    /// Waits for the lock of an account; `None` where too many wait already.
    pub async fn lock(&self, key: ThrottleKey) -> Option<KeyedLock> {
        let lock = {
            let mut locks = locked(&self.locks);
            if locks.len() > 1024 {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(key).or_default())
        };
        if Arc::strong_count(&lock) > WAITING + 2 {
            return None;
        }
        Some(KeyedLock { _guard: lock.lock_owned().await })
    }

    /// A slot among the tries from these sources, where each has room for so many; `None` where one has none.
    pub fn take_slot(&self, room: &[(ThrottleKey, usize)]) -> Option<Slot> {
        let mut under_way = locked(&self.sources.under_way);
        let is_full = |(key, room): &(ThrottleKey, usize)| under_way.get(key).is_some_and(|count| count >= room);
        if room.iter().any(is_full) {
            return None;
        }
        let began_among = room
            .iter()
            .map(|(key, _)| {
                let count = under_way.entry(*key).or_default();
                *count += 1;
                (*key, *count)
            })
            .collect();
        Some(Slot { sources: Arc::clone(&self.sources), began_among })
    }

    /// Resolves when a slot is freed after this call.
    pub fn slot_freed(&self) -> Notified<'_> {
        self.sources.left.notified()
    }

    /// Counts one that waits for that, until it is dropped; `None` where too many wait already.
    pub fn wait(&self) -> Option<impl Drop + '_> {
        Waits::new(&self.sources)
    }
}

impl Slot {
    /// Whether there is room, as it was found since, for all that were under way when this one began. Who has failed in between
    /// is counted twice, and never not at all.
    pub fn fits(&self, room: &[(ThrottleKey, usize)]) -> bool {
        let began_among =
            |key: &ThrottleKey| self.began_among.iter().find(|(of, _)| of == key).map(|(_, count)| *count);
        room.iter().all(|(key, room)| began_among(key).is_none_or(|count| count <= *room))
    }
}

/// Counts one that waits.
struct Waits<'a>(&'a Sources);

impl<'a> Waits<'a> {
    fn new(sources: &'a Sources) -> Option<Self> {
        let mut waiting = locked(&sources.waiting);
        if *waiting >= WAITING_FOR_SOURCES {
            return None;
        }
        *waiting += 1;
        Some(Self(sources))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        *locked(&self.0.waiting) -= 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut under_way = locked(&self.sources.under_way);
        for (key, _) in &self.began_among {
            if let Some(count) = under_way.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    under_way.remove(key);
                }
            }
        }
        drop(under_way);
        self.sources.left.notify_waiters();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
