//! Who are you? A password is compared with an account's: throttled, one try on an account at a time, each try recorded with its
//! true reason. To the person trying, an unknown name, a wrong password and a disabled user look and cost the same (ATH-01).
//!
//! | file | knows |
//! |---|---|
//! | `password` | the steps of a try, and where the password is compared |
//! | `keyed_lock` | which tries wait for which, so that many at once cannot outrun the count of their failures |
//! | `known_device` | what exempts from the limits of an address |
//! | `attempts` | how a try is written down |
//! | `throttle_list` | what is closed now, for administrators |
//!
//! What a failure costs is `credential::throttle`; what follows from a success is its caller's (`session::start`).

mod attempts;
mod keyed_lock;
pub mod known_device;
pub mod password;
mod throttle_list;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::config;
use crate::credential::password::Passwords;
use crate::credential::throttle::{Throttle, ThrottleDigests};
use crate::key::Key;
use crate::keyring::{KeyPurpose, Keyring};
use crate::refusals::Refusals;
use crate::store::{Db, Store, StoreError};
use crate::telemetry::Metrics;
use keyed_lock::KeyedLocks;
use known_device::DeviceToken;

/// The ways to prove who one is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authentication {
    inner: Arc<Inner>,
}

/// What authentication stands on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Compares passwords with stored hashes, and hashes new ones.
    pub passwords: Passwords,
    /// The keys under which names, addresses and networks are digested.
    pub keys: Keys,
    /// Notes what was refused.
    pub refusals: Refusals,
    /// Raises alerts for reviewers, in the transaction of what they are about.
    pub alerts: Alerts,
    /// The metrics of this server, which operations count in.
    pub metrics: Arc<Metrics>,
}

/// The keys under which names are digested.
#[derive(Debug)]
pub struct Keys {
    unknown_name: Key,
    earlier_unknown_names: Vec<Key>,
    throttles: ThrottleDigests,
}

impl Keys {
    /// The keys for it in this keyring.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let earlier = keyring.earlier(KeyPurpose::UnknownName).into_iter();
        Self {
            unknown_name: keyring.key(KeyPurpose::UnknownName).clone(),
            earlier_unknown_names: earlier.map(|earlier| earlier.key).collect(),
            throttles: ThrottleDigests::new(keyring),
        }
    }
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    throttle: Throttle,
    locks: KeyedLocks,
    /// Where a try that has begun is finished, also when whoever tried has gone.
    runtime: Handle,
}

impl Authentication {
    /// By these rules. Tries are finished on the runtime in which this is called: it outlives every request.
    #[must_use]
    pub fn new(dependencies: Dependencies, config: &config::Config) -> Self {
        let throttle = Throttle::new(config.throttle.clone());
        let inner = Inner { dependencies, throttle, locks: KeyedLocks::default(), runtime: Handle::current() };
        Self { inner: Arc::new(inner) }
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.dependencies.clock.now()
    }

    /// Removes throttling counts that no rule looks at any more, and devices that are not known any more; returns how many
    /// counts that were.
    pub async fn prune(&self) -> Result<usize, StoreError> {
        let (authentication, now) = (self.clone(), self.now());
        let prune = move |db: &mut Db| {
            DeviceToken::prune(db, now)?;
            authentication.inner.throttle.prune(db, now)
        };
        self.store().write(prune).await
    }
}
