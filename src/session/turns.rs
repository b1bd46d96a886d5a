//! Takes tries in turns, so that many at once cannot outrun the count of their failures: those on one account one after the
//! other, and of those from one source no more at a time than may still fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use crate::store::throttles::ThrottleKey;

/// Tries on one account that may wait; further ones are turned away.
const WAITING: usize = 32;
/// The same of those that wait for others of their source.
const WAITING_FOR_SOURCES: usize = 512;

/// Whose turn it is, for each account and source that is being tried now.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: Mutex<HashMap<ThrottleKey, Arc<AsyncMutex<()>>>>,
    sources: Arc<Sources>,
}

/// Held while a try on an account is under way.
#[derive(Debug)]
pub(super) struct Turn {
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
pub(super) struct Place {
    sources: Arc<Sources>,
    /// How many were under way of each source when this one began, itself among them.
    began_among: Vec<(ThrottleKey, usize)>,
}

impl Turns {
    /// Waits for the turn of a try; `None` where too many wait already.
    pub async fn take(&self, key: ThrottleKey) -> Option<Turn> {
        let line = {
            let mut lines = locked(&self.lines);
            if lines.len() > 1024 {
                lines.retain(|_, line| Arc::strong_count(line) > 1);
            }
            Arc::clone(lines.entry(key).or_default())
        };
        if Arc::strong_count(&line) > WAITING + 2 {
            return None;
        }
        Some(Turn { _guard: line.lock_owned().await })
    }

    /// A place among the tries from these sources, where each has room for so many; `None` where one has none.
    pub fn enter(&self, room: &[(ThrottleKey, usize)]) -> Option<Place> {
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
        Some(Place { sources: Arc::clone(&self.sources), began_among })
    }

    /// Resolves when a try leaves its place after this call.
    pub fn one_leaves(&self) -> Notified<'_> {
        self.sources.left.notified()
    }

    /// Counts one that waits for that, until it is dropped; `None` where too many wait already.
    pub fn wait(&self) -> Option<impl Drop + '_> {
        Waits::new(&self.sources)
    }
}

impl Place {
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

impl Drop for Place {
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
