//! Waiting for what comes about by itself: until it is so and no longer, and a test that waits in vain says what for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Longer than anything takes that comes about at all, also on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions: short beside what is waited for.
const PACE: Duration = Duration::from_millis(5);

/// What may be asked for until it comes: a condition, a value, or a value and otherwise what is there instead.
pub trait Awaited {
    /// What there is once it has come.
    type Value;

    /// That, or what there is instead.
    fn come(self) -> Result<Self::Value, String>;
}

impl Awaited for bool {
    type Value = ();

    fn come(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("no".to_owned()) }
    }
}

impl<T> Awaited for Option<T> {
    type Value = T;

    fn come(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: Debug> Awaited for Result<T, E> {
    type Value = T;

    fn come(self) -> Result<T, String> {
        self.map_err(|instead| format!("{instead:?}"))
    }
}

/// Asks until it has come; fails with `what`, a sentence such as "the node holds a lease", where it does not.
pub async fn until<A: Awaited>(what: &str, mut ask: impl AsyncFnMut() -> A) -> A::Value {
    let begun = Instant::now();
    loop {
        match ask().await.come() {
            Ok(value) => return value,
            Err(instead) => assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}, but {instead}"),
        }
        tokio::time::sleep(PACE).await;
    }
}

/// The same where nothing is asynchronous.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "what is waited for has its own time")]
pub fn until_blocking<A: Awaited>(what: &str, mut ask: impl FnMut() -> A) -> A::Value {
    let begun = Instant::now();
    loop {
        match ask().come() {
            Ok(value) => return value,
            Err(instead) => assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}, but {instead}"),
        }
        std::thread::sleep(PACE);
    }
}
