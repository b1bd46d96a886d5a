//! All that a request, a job or a command may reach; built once.

use std::path::PathBuf;
use std::sync::Arc;

use crate::alert::{self, Alerts, InvalidNotifier};
use crate::audit::History;
use crate::audit::backlog::{self, Backlog};
use crate::audit::chain::{self, Chain, CheckpointKey, NotSigned};
use crate::audit::maintenance::{self, Maintenance};
use crate::audit::retention::{self, Retention};
use crate::audit::shipping::{self, InvalidSink, Shipping};
use crate::authentication::{self, Authentication};
use crate::client::{self, Clients};
use crate::clock::Clock;
use crate::coherence::{self, Coherence};
use crate::config::{Algorithm, Config, shown_file};
use crate::credential::password::{Passwords, PasswordsError};
use crate::credential::throttle::ThrottleDigests;
use crate::keyring::{KeyPurpose, Keyring};
use crate::master_key::{MasterKey, MasterKeyError};
use crate::model::user::RolePolicy;
use crate::refusals::Refusals;
use crate::session::{self, Sessions};
use crate::signed_removal::RemovalKey;
use crate::signing_keys::{Signing, SigningError};
use crate::store::{Db, OpenError, Settings, Store, StoreError, chain as records, signing_keys};
use crate::telemetry::Metrics;
use crate::token::keys::{KeyError, SigningKey};
use crate::user::{self, Users};
use crate::vault::{self, Vault, VaultError};

/// The words by which the service is known; they may not make up a password.
const PRODUCT_WORDS: &[&str] = &["vigie"];

/// The application: every room, built once from the configuration, for requests, jobs and commands.
#[derive(Debug)]
pub struct App {
    /// The configuration it was built from.
    pub config: Config,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// The store; operations use it, nothing else should need to.
    pub store: Store,
    /// The keys of the installation.
    pub vault: Vault,
    /// Makes changes known to every node.
    pub coherence: Coherence,
    /// What was refused, and is not written yet.
    pub refusals: Refusals,
    /// Says who somebody is.
    pub authentication: Authentication,
    /// What may be done with sessions.
    pub sessions: Sessions,
    /// What may be done with accounts.
    pub users: Users,
    /// What may be done with registered applications.
    pub clients: Clients,
    /// The connection history, for those who may read it.
    pub history: History,
    /// The record chain, which makes the history provably unaltered (P6).
    pub chain: Chain,
    /// Verifies it now and then.
    pub maintenance: Maintenance,
    /// Looks whether sealing goes on.
    pub backlog: Backlog,
    /// What removes what is older than it is kept.
    pub retention: Retention,
    /// What reviewers should look at.
    pub alerts: Alerts,
    /// Ships events to other systems (`[shipping]`).
    pub shipping: Shipping,
    /// The metrics of this server.
    pub metrics: Arc<Metrics>,
}

/// The application cannot be built; each message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened or migrated.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Migrations are missing, and the configuration says not to apply them.
    #[error("the database lacks the migrations {}: run `vigie migrate`", .0.join(", "))]
    Migrations(Vec<String>),
    /// There is no usable master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The keys of the installation cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The rules for passwords cannot be used.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
    /// The webhook or the mail server cannot be used.
    #[error(transparent)]
    Outlet(#[from] InvalidNotifier),
    /// The shared secret cannot be used.
    #[error("tokens.hs256_secret_file: {}: {reason}", shown_file(path))]
    SharedSecret {
        /// The file with the shared secret.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The history is not what was signed.
    #[error("the history was altered, and nothing can be sealed any more: {0}; `docs/record-chain.md` says what to do")]
    Record(NotSigned),
    /// Events cannot be sent as it is configured.
    #[error(transparent)]
    Sink(#[from] InvalidSink),
    /// The database cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What creates the first administrator, where no terminal shows it.
const SETUP_TOKEN: &str = "setup-token";

impl App {
    /// The file for what creates the first administrator, where no terminal shows it.
    #[must_use]
    pub fn setup_token_file(&self) -> PathBuf {
        self.config.data.dir.join(SETUP_TOKEN)
    }

    /// Removes that file: the set-up is done.
    pub fn remove_setup_token(&self) {
        let path = self.setup_token_file();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), cause = %error, "this file is of no use any more, and cannot be removed");
            }
            _ => {}
        }
    }

    /// Opens the database, brings it up to date, and makes sure that a key signs.
    pub async fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let store = open_store(&config)?;
        migrate(&store, &config).await?;
        if let Err(error) = store.close_to_others() {
            tracing::warn!(cause = %error, "the files of the database cannot be closed to others: run `chmod 600` on them");
        }
        let master = master_key(&config, &store).await?;
        let (vault, keyring) = Vault::open(&store, master, clock.now(), misfit).await?;
        let metrics = Arc::new(Metrics::default());
        let foundation =
            Foundation { config: &config, store: &store, clock: &clock, keyring: &keyring, metrics: &metrics };
        let passwords = Passwords::new(&config.passwords, PRODUCT_WORDS)?;
        let foreign = shared_secret(&config)?;
        let keys = chain::Keys::new(&keyring, vault.database());
        let removal_key = Arc::clone(&keys.removal_key);
        let chain = Chain::new(store.clone(), Arc::clone(&clock), vault.clone(), keys, &config.data.dir);
        let signing = Arc::new(Signing::new(store.clone(), Arc::clone(&clock), vault.clone(), &config.tokens, foreign));
        signing.prepare().await?;
        let refusals = Refusals::new(store.clone(), Arc::clone(&clock));
        let alerts = foundation.alerts(&refusals)?;
        let coherence = foundation.coherence(&signing, &alerts);
        let authentication = foundation.authentication(&passwords, &refusals, &alerts);
        let dependencies = session::Dependencies {
            store: store.clone(),
            clock: Arc::clone(&clock),
            authentication: authentication.clone(),
            refusals: refusals.clone(),
            refresh_key: keyring.key(KeyPurpose::RefreshToken).clone(),
            signing,
            coherence: coherence.clone(),
            alerts: alerts.clone(),
            metrics: Arc::clone(&metrics),
        };
        let sessions = Sessions::new(dependencies, &config);
        let users = Users::new(user::Dependencies {
            store: store.clone(),
            clock: Arc::clone(&clock),
            passwords,
            throttles: ThrottleDigests::new(&keyring),
            vault: vault.clone(),
            roles: RolePolicy { admin: config.roles.admin.clone(), auditor: config.roles.auditor.clone() },
            end_on_role_change: config.sessions.end_on_role_change,
            alerts: alerts.clone(),
            authentication: authentication.clone(),
            refusals: refusals.clone(),
            sessions: sessions.clone(),
            removal_key: Arc::clone(&removal_key),
        });
        users.refresh_schemes().await?;
        let clients = foundation.clients(&coherence, &sessions, &refusals, &alerts);
        let history = History::new(
            store.clone(),
            Arc::clone(&clock),
            authentication.clone(),
            sessions.clone(),
            refusals.clone(),
            &config.audit,
        );
        let maintenance = foundation.maintenance(&chain, &alerts);
        maintenance.begin_key().await?;
        let backlog = foundation.backlog(&alerts);
        let retention = foundation.retention(&chain);
        let shipping = foundation.shipping(removal_key, &chain)?;
        Ok(Self {
            config,
            clock,
            store,
            vault,
            coherence,
            refusals,
            authentication,
            sessions,
            users,
            clients,
            history,
            chain,
            maintenance,
            backlog,
            retention,
            alerts,
            shipping,
            metrics,
        })
    }

    /// Writes what is still in memory, then closes the store.
    pub async fn close(&self) {
        if let Err(error) = self.sessions.flush_last_seen().await {
            tracing::warn!(cause = %error, "last uses of sessions not written on shutdown");
        }
        if let Err(error) = self.refusals.write_all().await {
            tracing::warn!(cause = %error, "the last refusals could not be recorded at the stop");
        }
        if let Err(error) = self.sessions.alert_to_last_ended_uses().await {
            tracing::warn!(cause = %error, "alerts of uses of ended sessions not raised on shutdown");
        }
        if let Err(error) = self.clients.write_last_uses().await {
            tracing::warn!(cause = %error, "last uses of clients not written on shutdown");
        }
        if let Err(error) = self.clients.alert_to_failures().await {
            tracing::warn!(cause = %error, "alerts of failed client authentications not raised on shutdown");
        }
        self.seal_and_sign().await;
        let store = self.store.clone();
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store did not close cleanly");
        }
    }

    /// Whatever this process wrote is sealed and signed when it stops: who has the database alone finds nothing that waits.
    async fn seal_and_sign(&self) {
        if let Err(error) = self.chain.seal().await {
            return tracing::warn!(cause = %error, "the last records are sealed at the next start");
        }
        match self.chain.checkpoint().await {
            Ok(_) => {}
            Err(NotSigned::Store(error)) => tracing::warn!(cause = %error, "checkpoint postponed to the next start"),
            Err(NotSigned::Damaged(damage)) => {
                tracing::error!(%damage, "checkpoint not signed: the history was altered");
            }
        }
    }
}

/// What most rooms stand on, while they are built.
struct Foundation<'a> {
    config: &'a Config,
    store: &'a Store,
    clock: &'a Arc<dyn Clock>,
    keyring: &'a Keyring,
    metrics: &'a Arc<Metrics>,
}

impl Foundation<'_> {
    fn alerts(&self, refusals: &Refusals) -> Result<Alerts, InvalidNotifier> {
        let dependencies = alert::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            report_link_key: self.keyring.key(KeyPurpose::ReportLink).clone(),
            refusals: refusals.clone(),
            metrics: Arc::clone(self.metrics),
        };
        Alerts::new(dependencies, self.config)
    }

    fn coherence(&self, signing: &Arc<Signing>, alerts: &Alerts) -> Coherence {
        let dependencies = coherence::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            signing: Arc::clone(signing),
            alerts: alerts.clone(),
            metrics: Arc::clone(self.metrics),
        };
        Coherence::new(dependencies, self.config)
    }

    fn authentication(&self, passwords: &Passwords, refusals: &Refusals, alerts: &Alerts) -> Authentication {
        let dependencies = authentication::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            passwords: passwords.clone(),
            keys: authentication::Keys::new(self.keyring),
            refusals: refusals.clone(),
            alerts: alerts.clone(),
            metrics: Arc::clone(self.metrics),
        };
        Authentication::new(dependencies, self.config)
    }

    fn clients(&self, coherence: &Coherence, sessions: &Sessions, refusals: &Refusals, alerts: &Alerts) -> Clients {
        let dependencies = client::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            coherence: coherence.clone(),
            sessions: sessions.clone(),
            refusals: refusals.clone(),
            alerts: alerts.clone(),
        };
        Clients::new(dependencies, self.config)
    }

    fn maintenance(&self, chain: &Chain, alerts: &Alerts) -> Maintenance {
        let dependencies = maintenance::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            chain: chain.clone(),
            alerts: alerts.clone(),
            metrics: Arc::clone(self.metrics),
        };
        Maintenance::new(dependencies, self.config.audit.verify_every)
    }

    fn backlog(&self, alerts: &Alerts) -> Backlog {
        Backlog::new(backlog::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            alerts: alerts.clone(),
            metrics: Arc::clone(self.metrics),
        })
    }

    fn retention(&self, chain: &Chain) -> Retention {
        Retention::new(retention::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            chain: chain.clone(),
            metrics: Arc::clone(self.metrics),
            rules: self.config.retention,
        })
    }

    fn shipping(&self, removal_key: Arc<RemovalKey>, chain: &Chain) -> Result<Shipping, InvalidSink> {
        let dependencies = shipping::Dependencies {
            store: self.store.clone(),
            clock: Arc::clone(self.clock),
            metrics: Arc::clone(self.metrics),
            removal_key,
            history: chain.key().origin().to_owned(),
        };
        Shipping::new(dependencies, self.config)
    }
}

impl From<NotSigned> for StartError {
    fn from(error: NotSigned) -> Self {
        match error {
            NotSigned::Store(error) => Self::Store(error),
            damaged @ NotSigned::Damaged(_) => Self::Record(damaged),
        }
    }
}

/// Opens the configured database.
pub fn open_store(config: &Config) -> Result<Store, StartError> {
    let settings = Settings {
        address: config.database.url.clone(),
        pool_size: config.database.pool_size,
        wait: config.database.wait,
    };
    Ok(Store::open(settings)?)
}

async fn migrate(store: &Store, config: &Config) -> Result<(), StartError> {
    if config.database.migrate_on_start {
        let migrated = store.migrate().await?;
        for name in migrated.applied {
            tracing::info!(migration = %name, "migration applied");
        }
        return Ok(());
    }
    let pending = store.pending_migrations().await?;
    if pending.is_empty() { Ok(()) } else { Err(StartError::Migrations(pending)) }
}

/// A new master key is only made for a new installation: one that exists has keys encrypted with the one it had.
async fn master_key(config: &Config, store: &Store) -> Result<MasterKey, StartError> {
    match MasterKey::load(config) {
        Err(MasterKeyError::Missing { path }) => {
            if !store.read(is_new).await? {
                return Err(MasterKeyError::Missing { path }.into());
            }
            match MasterKey::create(config) {
                // Another process that started at the same time was first.
                Err(MasterKeyError::Exists { .. }) => Ok(MasterKey::load(config)?),
                made => Ok(made?),
            }
        }
        loaded => Ok(loaded?),
    }
}

/// Whether nothing in the database was made with a master key yet.
pub(crate) fn is_new(db: &mut Db) -> Result<bool, StoreError> {
    Ok(vault::is_to_be_made(db)? && signing_keys::list(db)?.is_empty() && records::newest_checkpoint(db)?.is_none())
}

/// What was signed with other keys than these: they are not to take the place of those.
fn misfit(db: &mut Db, keyring: &Keyring, database: &str) -> Result<Option<String>, StoreError> {
    let Some(newest) = records::newest_checkpoint(db)? else { return Ok(None) };
    let opened = CheckpointKey::new(keyring, database).open(&newest.note);
    Ok(opened.err().map(|_| format!("the checkpoint of {} records", newest.size)))
}

/// The HS256 secret that another application shares, where one is configured. Like the master key it is refused when others
/// can read it.
pub(crate) fn shared_secret(config: &Config) -> Result<Option<SigningKey>, StartError> {
    let path = &config.tokens.hs256_secret_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let failed = |reason: String| StartError::SharedSecret { path: path.clone(), reason };
    let secret = crate::master_key::read_secret(path).map_err(failed)?;
    let key = SigningKey::from_secret_bytes(Algorithm::Hs256, &secret)
        .map_err(|error: KeyError| failed(error.to_string()))?;
    Ok(Some(key))
}
