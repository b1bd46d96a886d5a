//! Takes tries on one account one after the other, so that many at once cannot outrun the count of their failures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::store::throttles::ThrottleKey;

/// Tries on one account that may wait; further ones are turned away.
const WAITING: usize = 32;

/// Whose turn it is, for each account that is being tried now.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: Mutex<HashMap<ThrottleKey, Arc<AsyncMutex<()>>>>,
}

/// Held while a try is under way.
#[derive(Debug)]
pub(super) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits for the turn of a try; `None` where too many wait already.
    pub async fn take(&self, key: ThrottleKey) -> Option<Turn> {
        let line = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
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
}
