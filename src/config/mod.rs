//! Configuration: `config/default.toml` ← a file ← the environment. Every fault is found at once and named by its key.

mod checks;
mod database_address;
mod masked;
mod values;
mod weaknesses;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use toml::{Table, Value};

use crate::model::words;

pub(crate) use database_address::{DatabaseAddress, is_shown};
pub use masked::SecretUrl;
use values::{quoted, shown_key};

/// The reference: every key with its meaning and default.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

const ENVIRONMENT_PREFIX: &str = "VIGIE__";
const DATABASE_VARIABLE: &str = "DATABASE_URL";

/// The whole configuration, checked. `config/default.toml` says what each key means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the server is reached.
    pub server: Server,
    /// What is logged, and how.
    pub log: Log,
    /// What this machine keeps.
    pub data: Data,
    /// The store.
    pub database: Database,
    /// The key that seals the signing keys.
    pub keys: Keys,
    /// Access tokens.
    pub tokens: Tokens,
    /// Lifetimes and limits of sessions.
    pub sessions: Sessions,
    /// What a password must be, and how it is kept.
    pub passwords: Passwords,
    /// What failed logins cost.
    pub throttle: Throttle,
    /// What reviewers are alerted to.
    pub alerts: Alerts,
    /// How mail leaves.
    pub mail: Mail,
    /// How the record is watched.
    pub audit: Audit,
    /// Which roles may do what.
    pub roles: Roles,
    /// How nodes check tokens from memory.
    pub nodes: Nodes,
    /// How long the history is kept.
    pub retention: Retention,
    /// Where events are sent.
    pub shipping: Shipping,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Server {
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "web_address")]
    pub public_url: url::Url,
    #[serde(deserialize_with = "optional_address")]
    pub metrics_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    pub cors_origins: Vec<String>,
    pub workers: usize,
    #[serde(deserialize_with = "duration")]
    pub shutdown_timeout: Duration,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// `[data]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Data {
    pub dir: PathBuf,
}

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Database {
    pub url: SecretString,
    pub pool_size: u32,
    #[serde(deserialize_with = "duration")]
    pub wait: Duration,
    pub migrate_on_start: bool,
}

/// `[keys]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Keys {
    pub master_key_file: PathBuf,
    pub master_key: SecretString,
}

/// `[tokens]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Tokens {
    pub algorithm: Algorithm,
    #[serde(deserialize_with = "duration")]
    pub access_ttl: Duration,
    pub issuer: String,
    pub audience: String,
    pub legacy_claims: bool,
    pub hs256_secret_file: PathBuf,
    #[serde(deserialize_with = "duration")]
    pub clock_tolerance: Duration,
}

words! {
    /// How access tokens are signed (RFC 7518 §3.1, RFC 8037).
    pub enum Algorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256, 3072 bits.
        Rs256 = "RS256",
        /// HMAC with SHA-256.
        Hs256 = "HS256",
    }
}

/// `[sessions]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Sessions {
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub lifetime: Duration,
    pub max_per_user: u32,
    #[serde(deserialize_with = "duration")]
    pub refresh_grace: Duration,
    pub end_on_role_change: bool,
    #[serde(deserialize_with = "duration")]
    pub reauthentication_after: Duration,
    pub reauthentication_for_exports: bool,
}

/// `[passwords]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Passwords {
    pub min_length: usize,
    pub argon2_memory_kib: u32,
    pub argon2_iterations: u32,
    pub argon2_parallelism: u32,
    pub argon2_below_floor: bool,
    pub hashing_threads: usize,
    pub hashing_queue: usize,
    pub blocklist_file: PathBuf,
    pub context_words: Vec<String>,
}

/// `[throttle]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Throttle {
    pub free_failures: u32,
    #[serde(deserialize_with = "duration")]
    pub first_delay: Duration,
    #[serde(deserialize_with = "duration")]
    pub max_delay: Duration,
    pub daily_failures: u32,
    pub locked_after: u32,
    pub address_failures: u32,
    pub network_failures: u32,
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    pub overall_failures: u32,
    #[serde(deserialize_with = "duration")]
    pub overall_delay: Duration,
}

/// `[alerts]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Alerts {
    pub failures_before_login: u32,
    pub names_from_network: u32,
    pub accounts_sprayed: u32,
    pub ends_at_once: u32,
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    pub most_of_a_kind: u32,
    #[serde(deserialize_with = "duration")]
    pub overdue_after: Duration,
    #[serde(deserialize_with = "optional_url")]
    pub webhook_url: Option<SecretUrl>,
    pub webhook_secret_file: PathBuf,
}

/// `[audit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Audit {
    #[serde(deserialize_with = "duration")]
    pub verify_every: Duration,
    pub purpose_required: bool,
}

/// `[mail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Mail {
    #[serde(deserialize_with = "optional_url")]
    pub smtp_url: Option<SecretUrl>,
    pub from: String,
    pub password_file: PathBuf,
    pub ca_file: PathBuf,
    pub reviewers: Vec<String>,
    pub language: Language,
}

words! {
    /// In which language people are written to.
    pub enum Language {
        /// French.
        Fr = "fr",
        /// English.
        En = "en",
    }
}

/// `[roles]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Roles {
    pub admin: Vec<String>,
    pub auditor: Vec<String>,
}

/// No node's lease is longer than this, which the column `nodes.lease_ms` also takes for granted.
pub const LONGEST_LEASE: Duration = Duration::from_mins(1);

/// `[nodes]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Nodes {
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
    pub live_view: bool,
    pub live_sessions: usize,
}

/// `[retention]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Retention {
    pub run: bool,
    #[serde(deserialize_with = "months")]
    pub sessions: u32,
    #[serde(deserialize_with = "months")]
    pub attempts: u32,
    #[serde(deserialize_with = "months")]
    pub audit: u32,
    #[serde(deserialize_with = "months")]
    pub addresses: u32,
}

/// `[shipping]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct Shipping {
    pub syslog: SyslogSink,
    pub file: FileSink,
    pub webhook: WebhookSink,
}

/// How events are written for other systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShippingFormat {
    /// As in the API.
    Vigie,
    /// As events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

/// `[shipping.syslog]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct SyslogSink {
    pub address: String,
    pub tls: bool,
    pub ca_file: PathBuf,
    pub format: ShippingFormat,
}

impl SyslogSink {
    /// The address without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(host, _)| host)
    }

    fn is_valid(&self) -> bool {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        self.address.is_empty() || url::Host::parse(self.host()).is_ok() && port.is_some_and(|port| port > 0)
    }
}

/// `[shipping.file]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct FileSink {
    pub path: PathBuf,
    pub max_mib: u32,
    pub keep: u32,
    pub format: ShippingFormat,
}

/// `[shipping.webhook]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml says what each key means")]
pub struct WebhookSink {
    #[serde(deserialize_with = "optional_url")]
    pub url: Option<SecretUrl>,
    pub secret_file: PathBuf,
    pub ca_file: PathBuf,
    pub format: ShippingFormat,
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, as `section.key`; empty where the whole file cannot be read.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Fault {
    fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// The configuration cannot be used; every fault is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} fault(s):{}", .0.len(), listed(.0))]
pub struct InvalidConfig(pub Vec<Fault>);

/// One line a fault.
fn listed(faults: &[Fault]) -> String {
    use std::fmt::Write as _;
    faults.iter().fold(String::new(), |mut lines, fault| {
        let _ = write!(
            lines,
            "
  {}: {}",
            fault.key, fault.message
        );
        lines
    })
}

impl Config {
    /// Reads the defaults, then `file`, then `environment` (pairs of name and value), and checks the result.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, InvalidConfig> {
        let defaults = default_table();
        let mut faults = Vec::new();
        let mut merged = defaults.clone();
        if let Some(path) = file {
            match read_file(path) {
                Ok(table) => merge_file(&mut merged, table, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        merge_environment(&mut merged, environment, &mut faults);
        refuse_control_characters("", &Value::Table(merged.clone()), &mut faults);
        values::refuse_other_types("", &mut merged, &defaults, &mut faults);
        let config = deserialize_reporting_all(merged, &defaults, &mut faults);
        config.check(&mut faults);
        if faults.is_empty() { Ok(config) } else { Err(InvalidConfig(faults)) }
    }

    /// The issuer of tokens: `[tokens] issuer`, or the public address without its closing slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        if self.tokens.issuer.is_empty() {
            self.server.public_url.as_str().trim_end_matches('/').to_owned()
        } else {
            self.tokens.issuer.clone()
        }
    }

    /// Where the master key is kept when it is not given in the environment.
    #[must_use]
    pub fn master_key_path(&self) -> PathBuf {
        if self.keys.master_key_file.as_os_str().is_empty() {
            self.data.dir.join("master.key")
        } else {
            self.keys.master_key_file.clone()
        }
    }

    fn check(&self, faults: &mut Vec<Fault>) {
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds && !faults.iter().any(|fault| fault.key == key) {
                faults.push(Fault::new(key, message));
            }
        };
        self.check_database(&mut require);
        self.check_paths(&mut require);
        self.check_public_address(&mut require);
        self.check_log(&mut require);
        require((1..=256).contains(&self.database.pool_size), "database.pool_size", "must be 1 to 256");
        require(!self.database.wait.is_zero(), "database.wait", "must be longer than zero");
        require(
            !self.server.cors_origins.iter().any(|origin| !is_origin(origin)),
            "server.cors_origins",
            "each must be scheme://host[:port], without a path and without *",
        );

        let tokens = &self.tokens;
        require(!tokens.access_ttl.is_zero(), "tokens.access_ttl", "must be longer than zero");
        require(tokens.access_ttl <= DAY, "tokens.access_ttl", "must be at most 24h");
        require(!tokens.audience.is_empty(), "tokens.audience", "must not be empty");
        let is_alone = !tokens.audience.starts_with(['[', '{', '"', '\'']);
        require(is_alone, "tokens.audience", "is one text: write it alone, without brackets and quotes around it");
        require(tokens.clock_tolerance <= Duration::from_mins(1), "tokens.clock_tolerance", "must be at most 60s");
        let foreign_secret = !tokens.hs256_secret_file.as_os_str().is_empty();
        require(
            !foreign_secret || tokens.algorithm == Algorithm::Hs256,
            "tokens.hs256_secret_file",
            "is only used with algorithm = \"HS256\"",
        );

        let sessions = &self.sessions;
        require(!sessions.idle_timeout.is_zero(), "sessions.idle_timeout", "must be longer than zero");
        require(
            sessions.idle_timeout <= sessions.lifetime,
            "sessions.idle_timeout",
            "must not be longer than sessions.lifetime",
        );
        require(sessions.lifetime <= 366 * DAY, "sessions.lifetime", "must be at most 366d");
        require(sessions.refresh_grace <= Duration::from_mins(5), "sessions.refresh_grace", "must be at most 5m");

        let passwords = &self.passwords;
        require((8..=128).contains(&passwords.min_length), "passwords.min_length", "must be 8 to 128");
        let at_floor = passwords.argon2_memory_kib >= 19_456 && passwords.argon2_iterations >= 2;
        require(
            at_floor || passwords.argon2_below_floor,
            "passwords.argon2_memory_kib",
            "the cost must be at least 19456 KiB with 2 iterations",
        );
        require(passwords.argon2_iterations >= 1, "passwords.argon2_iterations", "must be at least 1");
        require((1..=64).contains(&passwords.argon2_parallelism), "passwords.argon2_parallelism", "must be 1 to 64");
        let enough = passwords.argon2_memory_kib >= 8 * passwords.argon2_parallelism.max(1);
        require(
            enough && passwords.argon2_memory_kib <= 4_194_304,
            "passwords.argon2_memory_kib",
            "must be at least 8 KiB a lane and at most 4 GiB",
        );
        require(passwords.hashing_threads <= 1024, "passwords.hashing_threads", "must be at most 1024");
        require(passwords.hashing_queue >= 1, "passwords.hashing_queue", "must be at least 1");

        let throttle = &self.throttle;
        require(throttle.free_failures >= 1, "throttle.free_failures", "must be at least 1");
        require(
            throttle.first_delay <= throttle.max_delay,
            "throttle.first_delay",
            "must not be longer than throttle.max_delay",
        );
        require(throttle.max_delay <= DAY, "throttle.max_delay", "must be at most 24h");
        require((1..=50).contains(&throttle.locked_after), "throttle.locked_after", "must be 1 to 50");
        require(throttle.address_failures >= 1, "throttle.address_failures", "must be at least 1");
        require(throttle.network_failures >= 1, "throttle.network_failures", "must be at least 1");
        require(!throttle.window.is_zero(), "throttle.window", "must be longer than zero");
        require(
            throttle.overall_delay <= throttle.window,
            "throttle.overall_delay",
            "must not be longer than throttle.window",
        );
        self.check_alerts(&mut require);
        self.check_roles(&mut require);

        let leases = Duration::from_millis(200)..=LONGEST_LEASE;
        require(leases.contains(&self.nodes.lease), "nodes.lease", "must be 200ms to 1m");
        require(self.nodes.live_sessions >= 1, "nodes.live_sessions", "must be at least 1");

        self.check_retention(&mut require);

        self.check_shipping(&mut require);
    }

    fn check_database(&self, require: &mut impl FnMut(bool, &str, &str)) {
        if let Err(reason) = DatabaseAddress::read(self.database.url.expose_secret()) {
            require(false, "database.url", reason);
        }
    }

    fn check_shipping(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let Shipping { syslog, file, webhook } = &self.shipping;
        require(syslog.is_valid(), "shipping.syslog.address", "must be host:port");
        require((1..=1_048_576).contains(&file.max_mib), "shipping.file.max_mib", "must be 1 to 1048576");
        require(file.keep <= 10_000, "shipping.file.keep", "must be at most 10000");
        if let Some(url) = &webhook.url {
            let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
            require(is_private, "shipping.webhook.url", "must be an https address, or http to this very machine");
            let names_nobody = url.username().is_empty() && url.password().is_none();
            require(names_nobody, "shipping.webhook.url", "must hold no name and no password");
            let has_secret = !webhook.secret_file.as_os_str().is_empty();
            require(has_secret, "shipping.webhook.secret_file", "must name a file: shipments are signed");
        }
    }

    fn check_retention(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let Retention { sessions, attempts, audit, addresses, .. } = self.retention;
        for (key, kept) in [("sessions", sessions), ("attempts", attempts), ("audit", audit)] {
            let message = "must be \"6 months\" to \"36 months\" (docs/retention.md says why)";
            require((6..=36).contains(&kept), &format!("retention.{key}"), message);
        }
        let least = sessions.min(attempts).min(audit);
        require(
            addresses >= 1 && addresses <= least,
            "retention.addresses",
            "must be at least \"1 months\", and not longer than the history is kept",
        );
    }

    fn check_alerts(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let alerts = &self.alerts;
        require(
            !alerts.window.is_zero() && alerts.window <= DAY,
            "alerts.window",
            "must be longer than zero, at most 24h",
        );
        require(alerts.most_of_a_kind >= 1, "alerts.most_of_a_kind", "must be at least 1");
        require(!alerts.overdue_after.is_zero(), "alerts.overdue_after", "must be longer than zero");
        if let Some(url) = &alerts.webhook_url {
            let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
            require(is_private, "alerts.webhook_url", "must be an https address, or http to this very machine");
            let has_secret = !alerts.webhook_secret_file.as_os_str().is_empty();
            require(has_secret, "alerts.webhook_secret_file", "is needed with alerts.webhook_url");
        }
        let mail = &self.mail;
        if let Some(url) = &mail.smtp_url {
            require(matches!(url.scheme(), "smtp" | "smtps"), "mail.smtp_url", "must begin with smtp:// or smtps://");
            require(url.host_str().is_some_and(|host| !host.is_empty()), "mail.smtp_url", "names no server");
            require(url.password().is_none(), "mail.smtp_url", "must hold no password: use mail.password_file");
            let has_password = !mail.password_file.as_os_str().is_empty();
            let needs_password = !url.username().is_empty();
            require(has_password == needs_password, "mail.password_file", "goes with a user name in mail.smtp_url");
            require(mail.from.parse::<lettre::message::Mailbox>().is_ok(), "mail.from", "must be an e-mail address");
        }
        let is_address = |text: &String| crate::model::user::Email::parse(text).is_ok();
        require(mail.reviewers.iter().all(is_address), "mail.reviewers", "each must be an e-mail address");
        let can_be_reached = mail.reviewers.is_empty() || mail.smtp_url.is_some();
        require(can_be_reached, "mail.reviewers", "can only be written to with mail.smtp_url");
    }

    /// The filter that `[log] level` describes.
    pub fn log_filter(&self) -> Result<tracing_subscriber::EnvFilter, tracing_subscriber::filter::ParseError> {
        tracing_subscriber::EnvFilter::builder().parse(&self.log.level)
    }
}

/// The environment as far as it is text. Where one of our variables is not, nothing is: without it, the default would hold,
/// and an empty database be served.
pub fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, InvalidConfig> {
    let (mut pairs, mut faults) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            (Ok(name), Err(_)) if is_ours(&name) => faults.push(Fault::new(shown_key(&name), "is not UTF-8")),
            (Err(name), _) if is_ours(&name.to_string_lossy()) => {
                let name = name.to_string_lossy();
                faults.push(Fault::new(shown_key(&name), "is no name of a key: it is not UTF-8"));
            }
            _ => {}
        }
    }
    if faults.is_empty() { Ok(pairs) } else { Err(InvalidConfig(faults)) }
}

fn is_ours(name: &str) -> bool {
    name == DATABASE_VARIABLE || name.starts_with(ENVIRONMENT_PREFIX)
}

/// The effective configuration as TOML, secrets masked: what `vigie config print` shows.
pub fn printable(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<String, InvalidConfig> {
    let mut faults = Vec::new();
    let mut merged = default_table();
    if let Some(path) = file {
        merge_file(&mut merged, read_file(path).map_err(|fault| InvalidConfig(vec![fault]))?, &mut faults);
    }
    merge_environment(&mut merged, environment, &mut faults);
    if !faults.is_empty() {
        return Err(InvalidConfig(faults));
    }
    for (path, shown) in SECRET {
        mask(&mut merged, path, *shown);
    }
    toml::to_string(&merged).map_err(|error| InvalidConfig(vec![Fault::new("", error.to_string())]))
}

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn default_table() -> Table {
    DEFAULT.parse().expect("config/default.toml is TOML: a test reads it")
}

fn read_file(path: &Path) -> Result<Table, Fault> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::new("", format!("{} cannot be read: {error}", shown_path(path))))?;
    text.parse::<Table>().map_err(|error| Fault::new("", format!("{} {}", shown_path(path), not_toml(&text, &error))))
}

/// Where the address of a database stands in the place of a file, its password is not repeated.
fn shown_path(path: &Path) -> String {
    let text = path.display().to_string();
    let may_be_an_address = text.contains("://") || text.contains('@');
    if may_be_an_address { "the file that --config or VIGIE_CONFIG names".to_owned() } else { text }
}

/// Where a file is not TOML, and why. The line is not repeated: it may hold a secret.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!(" in line {}", before.matches('\n').count() + 1)).unwrap_or_default();
    let said = error.message();
    // Where a number is too large, the reader quotes it, and the types of its own language.
    let is_of_a_number = ["invalid type", "too large", "overflowed"].iter().any(|words| said.contains(words));
    format!("is not TOML{line}: {}", if is_of_a_number { "a number is too large" } else { said })
}

fn merge_file(merged: &mut Table, file: Table, faults: &mut Vec<Fault>) {
    for (section, value) in file {
        match merged.get_mut(&section) {
            Some(Value::Table(known)) => merge_section(known, &section, value, faults),
            _ => faults.push(Fault::new(shown_key(&section), "no such section")),
        }
    }
}

/// A section may hold others.
fn merge_section(known: &mut Table, path: &str, given: Value, faults: &mut Vec<Fault>) {
    let Value::Table(given) = given else {
        return faults.push(Fault::new(path, format!("is a section: write its keys below [{path}]")));
    };
    for (key, value) in given {
        let path = format!("{path}.{}", shown_key(&key));
        match known.get_mut(&key) {
            Some(Value::Table(inner)) => merge_section(inner, &path, value, faults),
            Some(known) => *known = value,
            None => faults.push(Fault::new(path, "no such key")),
        }
    }
}

fn merge_environment(
    merged: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
    faults: &mut Vec<Fault>,
) {
    let mut database_url = None;
    for (name, text) in environment {
        if name == DATABASE_VARIABLE {
            database_url = Some(text);
            continue;
        }
        let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if keys.len() < 2 {
            faults.push(Fault::new(shown_key(&name), "is not VIGIE__SECTION__KEY"));
            continue;
        }
        let (path, name) = (keys.join("."), shown_key(&name));
        match find(merged, &keys) {
            None | Some(Value::Table(_)) => {
                faults.push(Fault::new(shown_key(&path), format!("no such key (from {name})")));
            }
            Some(value) => match values::from_text(&path, value, &text) {
                Ok(parsed) => *value = parsed,
                Err(message) => faults.push(Fault::new(path, format!("{message} (from {name})"))),
            },
        }
    }
    if let (Some(url), Some(Value::Table(database))) = (database_url, merged.get_mut("database")) {
        database.insert("url".into(), Value::String(url));
    }
}

/// What stands in a table under a key within sections.
fn find<'a>(table: &'a mut Table, keys: &[impl AsRef<str>]) -> Option<&'a mut Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get_mut(first.as_ref())?, |value, key| value.as_table_mut()?.get_mut(key.as_ref()))
}

/// No value of ours holds a control character; a file of variables that was written on Windows leaves one at each end.
fn refuse_control_characters(path: &str, value: &Value, faults: &mut Vec<Fault>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                refuse_control_characters(&path, value, faults);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| refuse_control_characters(path, item, faults)),
        Value::String(text) if text.contains(char::is_control) => {
            faults.push(Fault::new(
                path,
                "holds a control character, such as the carriage return of a line from Windows",
            ));
        }
        _ => {}
    }
}

/// Deserialises; where a value does not fit, notes the fault, puts the default in its place and goes on, so that
/// one start shows every fault.
fn deserialize_reporting_all(mut table: Table, defaults: &Table, faults: &mut Vec<Fault>) -> Config {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(Value::Table(table.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let path = error.path().to_string();
        // What follows a bracket is the place in a list.
        let keys: Vec<&str> = path.split('[').next().unwrap_or_default().split('.').collect();
        let key = keys.join(".");
        let found = find(&mut table, &keys).map(|found| &*found);
        let message = if is_secret(&key) {
            NOT_THE_TEXT.to_owned()
        } else {
            values::in_plain_words(found, error.into_inner().message())
        };
        if !faults.iter().any(|fault| fault.key == key) {
            faults.push(Fault::new(key, message));
        }
        let default = find(&mut defaults.clone(), &keys).cloned().expect("the defaults are valid: a test loads them");
        *find(&mut table, &keys).expect("every key is in the defaults") = default;
    }
}

/// How a value that is a secret, or may hold one, is shown.
type Shown = fn(&str) -> String;

/// The keys whose values are never quoted.
const SECRET: &[(&str, Shown)] = &[
    ("keys.master_key", |_| masked::MASK.to_owned()),
    ("database.url", masked::login_address),
    ("mail.smtp_url", masked::login_address),
    ("alerts.webhook_url", masked::web_address),
    ("shipping.webhook.url", masked::web_address),
];

fn is_secret(path: &str) -> bool {
    SECRET.iter().any(|(secret, _)| *secret == path)
}

/// Said of a secret that does not fit: what was found is not repeated.
const NOT_THE_TEXT: &str = "is not what belongs here: a text, and of an address such as https://host/path";

fn mask(table: &mut Table, path: &str, shown: Shown) {
    let keys: Vec<&str> = path.split('.').collect();
    match find(table, &keys) {
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => *text = shown(text),
        // It fits nowhere, but may be a password all the same.
        Some(other) => *other = Value::String(masked::MASK.to_owned()),
        None => {}
    }
}

pub(crate) fn is_loopback(url: &url::Url) -> bool {
    url.host().is_some_and(|host| is_local(&host))
}

fn is_local(host: &url::Host<impl AsRef<str>>) -> bool {
    match host {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        // Of schemes that browsers do not know, IPv4 addresses are not read as such.
        url::Host::Domain(name) => {
            let name = name.as_ref();
            name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// An origin as browsers write it (RFC 6454 §6.2): scheme, host and a port that is not the scheme's own.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|_| {
        serde::de::Error::custom(format!("{} is not a duration such as \"90s\", \"15m\" or \"12h\"", quoted(&text)))
    })
}

/// Calendar months: "12 months".
fn months<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = text.strip_suffix("months").or_else(|| text.strip_suffix("month")).map(str::trim);
    let months = number.and_then(|number| number.parse().ok());
    months.ok_or_else(|| {
        serde::de::Error::custom(format!("{} is not a number of months such as \"12 months\"", quoted(&text)))
    })
}

fn optional_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SecretUrl>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    // The text is not repeated: it may hold a secret.
    text.parse()
        .map(|url| Some(SecretUrl(url)))
        .map_err(|_| serde::de::Error::custom("is not an address such as https://host/path"))
}

fn optional_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    socket_address(&text).map(Some)
}

fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    socket_address(&String::deserialize(deserializer)?)
}

fn socket_address<E: serde::de::Error>(text: &str) -> Result<SocketAddr, E> {
    text.parse().map_err(|_| {
        let text = quoted(text);
        E::custom(format!("{text} is not an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\""))
    })
}

fn web_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<url::Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        let shown = quoted(if text.contains('@') { masked::MASK } else { &text });
        serde::de::Error::custom(format!("{shown} is not an address such as \"https://vigie.example.org\""))
    })
}

/// Networks; an address alone is a network of one.
fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: &String| {
        let one = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(one).ok_or_else(|| {
            let text = quoted(text);
            serde::de::Error::custom(format!("{text} is neither an address nor a network, such as \"10.0.0.0/8\""))
        })
    };
    Vec::<String>::deserialize(deserializer)?.iter().map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
        Config::load(None, pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_are_valid_and_have_no_weakness() {
        let config = load(&[]).unwrap();
        assert_eq!(config.weaknesses(), vec![]);
        assert_eq!(config.issuer(), "http://127.0.0.1:8080");
    }

    #[test]
    fn the_environment_sets_every_type_of_key() {
        let config = load(&[
            ("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
            ("VIGIE__SESSIONS__IDLE_TIMEOUT", "5m"),
            ("VIGIE__SESSIONS__MAX_PER_USER", "3"),
            ("VIGIE__TOKENS__LEGACY_CLAIMS", "true"),
            ("VIGIE__DATABASE__URL", "sqlite:other.db"),
            ("DATABASE_URL", "sqlite:wins.db"),
            ("PATH", "/bin"),
        ])
        .unwrap();
        assert_eq!(config.server.trusted_proxies.len(), 2);
        assert_eq!(config.sessions.idle_timeout, Duration::from_mins(5));
        assert_eq!(config.sessions.max_per_user, 3);
        assert!(config.tokens.legacy_claims);
        assert_eq!(config.database.url.expose_secret(), "sqlite:wins.db");
    }

    #[test]
    fn every_fault_is_listed_with_its_key() {
        let InvalidConfig(faults) = load(&[
            ("VIGIE__SERVER__LISTEN", "nowhere"),
            ("VIGIE__SERVER__LISTENN", "127.0.0.1:1"),
            ("VIGIE__TOKENS__ACCESS_TTL", "25h"),
            ("VIGIE__SESSIONS__MAX_PER_USER", "many"),
            ("VIGIE__SESSIONS__IDLE_TIMEOUT", "13h"),
            ("VIGIE__DATABASE__URL", "mysql://nobody"),
            ("VIGIE__TOKENS__ALGORITHM", "none"),
        ])
        .unwrap_err();
        let mut keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "database.url",
                "server.listen",
                "server.listenn",
                "sessions.idle_timeout",
                "sessions.max_per_user",
                "tokens.access_ttl",
                "tokens.algorithm"
            ]
        );
    }

    #[test]
    fn telling_others_asks_for_all_that_it_needs() {
        let keys = |pairs: &[(&str, &str)]| -> Vec<String> {
            let Err(InvalidConfig(faults)) = load(pairs) else { return vec![] };
            faults.into_iter().map(|fault| fault.key).collect()
        };
        let url = |url| ("VIGIE__ALERTS__WEBHOOK_URL", url);
        let secret = ("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", "secret");
        assert_eq!(keys(&[url("https://example.org/hook"), secret]), [""; 0]);
        assert_eq!(keys(&[url("http://127.0.0.1:8/hook"), secret]), [""; 0]);
        assert_eq!(keys(&[url("http://example.org/hook"), secret]), ["alerts.webhook_url"]);
        assert_eq!(keys(&[url("hook"), secret]), ["alerts.webhook_url"]);
        assert_eq!(keys(&[url("https://example.org/hook")]), ["alerts.webhook_secret_file"]);

        let smtp = |url| ("VIGIE__MAIL__SMTP_URL", url);
        let from = ("VIGIE__MAIL__FROM", "Vigie <vigie@example.org>");
        let reviewers = ("VIGIE__MAIL__REVIEWERS", "a@example.org, b@example.org");
        assert_eq!(keys(&[smtp("smtp://mail.example.org"), from, reviewers]), [""; 0]);
        assert_eq!(keys(&[smtp("smtp://mail.example.org")]), ["mail.from"]);
        assert_eq!(keys(&[smtp("mail.example.org"), from]), ["mail.smtp_url"]);
        assert_eq!(keys(&[smtp("smtps://v:x@mail.example.org"), from]), ["mail.smtp_url", "mail.password_file"]);
        assert_eq!(keys(&[smtp("smtps://v@mail.example.org"), from]), ["mail.password_file"]);
        assert_eq!(keys(&[reviewers]), ["mail.reviewers"]);
        assert_eq!(keys(&[smtp("smtp://m.example.org"), from, ("VIGIE__MAIL__REVIEWERS", "a")]), ["mail.reviewers"]);
        assert_eq!(keys(&[("VIGIE__MAIL__LANGUAGE", "de")]), ["mail.language"]);
    }

    #[test]
    fn the_history_is_kept_for_months_within_the_range() {
        let keys = |pairs: &[(&str, &str)]| -> Vec<String> {
            let Err(InvalidConfig(faults)) = load(pairs) else { return vec![] };
            faults.into_iter().map(|fault| fault.key).collect()
        };
        let config = load(&[("VIGIE__RETENTION__SESSIONS", "36 months"), ("VIGIE__RETENTION__RUN", "false")]).unwrap();
        assert_eq!((config.retention.sessions, config.retention.audit, config.retention.addresses), (36, 12, 6));
        assert!(!config.retention.run);
        assert_eq!(keys(&[("VIGIE__RETENTION__SESSIONS", "5 months")]), ["retention.sessions", "retention.addresses"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__ATTEMPTS", "37 months")]), ["retention.attempts"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__AUDIT", "1 year")]), ["retention.audit"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__AUDIT", "365d")]), ["retention.audit"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__ADDRESSES", "13 months")]), ["retention.addresses"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__ADDRESSES", "0 months")]), ["retention.addresses"]);
        assert_eq!(keys(&[("VIGIE__RETENTION__ADDRESSES", "1 month")]), [""; 0]);
    }

    #[test]
    fn sections_within_sections_are_read_and_their_faults_named() {
        let config = load(&[
            ("VIGIE__SHIPPING__SYSLOG__ADDRESS", "collector.example:6514"),
            ("VIGIE__SHIPPING__SYSLOG__FORMAT", "ocsf"),
            ("VIGIE__SHIPPING__FILE__KEEP", "3"),
        ])
        .unwrap();
        assert_eq!(config.shipping.syslog.host(), "collector.example");
        assert_eq!(config.shipping.syslog.format, ShippingFormat::Ocsf);
        assert_eq!(config.shipping.file.keep, 3);

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[shipping]\nfile = \"x\"\n[shipping.syslog]\ntsl = true\n[shipping.webhook]\nurl = \"https://a@b/\"",
        )
        .unwrap();
        let environment = [
            ("VIGIE__SHIPPING__SYSLOG__ADDRESS", "collector.example"),
            ("VIGIE__SHIPPING__FILE__FORMAT", "xml"),
            ("VIGIE__SHIPPING__SYSLOG", "x"),
            ("VIGIE__SHIPPING", "x"),
        ];
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let InvalidConfig(faults) = Config::load(Some(file.path()), pairs).unwrap_err();
        let mut keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "VIGIE__SHIPPING",
                "shipping.file",
                "shipping.file.format",
                "shipping.syslog",
                "shipping.syslog.address",
                "shipping.syslog.tsl",
                "shipping.webhook.secret_file",
                "shipping.webhook.url",
            ]
        );
    }

    #[test]
    fn what_leaves_the_house_in_the_clear_is_a_weakness() {
        let open = load(&[
            ("VIGIE__SHIPPING__SYSLOG__ADDRESS", "collector.example:514"),
            ("VIGIE__SHIPPING__SYSLOG__TLS", "false"),
        ]);
        let keys: Vec<String> = open.unwrap().weaknesses().into_iter().map(|weak| weak.key).collect();
        assert_eq!(keys, ["shipping.syslog.tls"]);
        let local = [("VIGIE__SHIPPING__SYSLOG__ADDRESS", "[::1]:514"), ("VIGIE__SHIPPING__SYSLOG__TLS", "false")];
        assert_eq!(load(&local).unwrap().weaknesses(), vec![]);
    }

    #[test]
    fn printing_masks_secrets() {
        let environment = [
            ("DATABASE_URL", "postgres://app:hunter2@db/vigie?sslmode=require"),
            ("VIGIE__KEYS__MASTER_KEY", "c2VjcmV0"),
            ("VIGIE__ALERTS__WEBHOOK_URL", "https://hooks.example.org/T0/hunter2"),
            ("VIGIE__SHIPPING__WEBHOOK__URL", "https://siem.example.org/T0/hunter2"),
            ("VIGIE__MAIL__SMTP_URL", "smtps://vigie:hunter2@mail.example.org"),
        ];
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let printed = printable(None, pairs).unwrap();
        assert!(!printed.contains("hunter2") && !printed.contains("c2VjcmV0"), "{printed}");
        assert!(printed.contains("sslmode=require") && printed.contains("https://hooks.example.org/****"), "{printed}");
    }

    #[test]
    fn a_fault_repeats_neither_a_line_of_the_file_nor_a_secret() {
        for (text, said) in [
            ("[keys]\nmaster_key = \"hunter2\nx = 1", "in line 2"),
            ("[database]\nurl = hunter2", "in line 2"),
            ("[keys]\nmaster_key = 1702", "keys.master_key"),
            ("[database]\nurl = [\"hunter2\"]", "database.url"),
            ("[shipping.webhook]\nurl = [\"hunter2\"]", "shipping.webhook.url"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let fault = Config::load(Some(file.path()), []).unwrap_err().to_string();
            assert!(fault.contains(said) && !fault.contains("hunter2") && !fault.contains("1702"), "{fault}");
            if let Ok(printed) = printable(Some(file.path()), []) {
                assert!(!printed.contains("hunter2") && !printed.contains("1702"), "{printed}");
            }
        }
    }

    #[test]
    fn debugging_shows_no_secret() {
        let config = load(&[
            ("DATABASE_URL", "postgres://app:hunter2@db/vigie"),
            ("VIGIE__KEYS__MASTER_KEY", "hunter2"),
            ("VIGIE__ALERTS__WEBHOOK_URL", "https://hooks.example.org/T0/hunter2"),
            ("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", "secret"),
            ("VIGIE__SHIPPING__WEBHOOK__URL", "https://siem.example.org/T0/?hunter2"),
            ("VIGIE__SHIPPING__WEBHOOK__SECRET_FILE", "secret"),
        ]);
        let debugged = format!("{:?}", config.unwrap());
        assert!(debugged.contains("siem.example.org") && !debugged.contains("hunter2"), "{debugged}");
    }

    #[test]
    fn a_variable_of_ours_that_is_not_text_is_a_fault() {
        use std::os::unix::ffi::OsStringExt as _;
        let broken = || OsString::from_vec(b"sqlite:\xff.db".to_vec());
        for name in ["DATABASE_URL", "VIGIE__TOKENS__AUDIENCE"] {
            let InvalidConfig(faults) = environment([(name.into(), broken())]).unwrap_err();
            assert_eq!(faults, [Fault::new(name, "is not UTF-8")]);
        }
        let others = [("LESSOPEN".into(), broken()), ("VIGIE_CONFIG".into(), broken()), ("A".into(), "b".into())];
        assert_eq!(environment(others).unwrap(), [("A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn a_value_that_would_be_taken_for_another_is_a_fault_that_names_it() {
        for (name, value, key, said) in [
            ("DATABASE_URL", "sqlite:x.db\r", "database.url", "control character"),
            ("DATABASE_URL", "sqlite:x.db?mode=rwc", "database.url", "no parameters"),
            ("DATABASE_URL", "sqlite:~/x.db", "database.url", "whole path"),
            ("DATABASE_URL", "sqlite::memory:", "database.url", "a file"),
            ("DATABASE_URL", "sqlite:file:x.db", "database.url", "a file"),
            ("DATABASE_URL", "sqlite://localhost/tmp/x.db", "database.url", "sqlite:PATH"),
            ("DATABASE_URL", "sqlite: x.db", "database.url", "blank"),
            ("DATABASE_URL", "postgres://db/x?sslmode=verify-full&sslmode=disable", "database.url", "twice"),
            ("DATABASE_URL", "postgres://db/x?%73slmode=disable", "database.url", "does not know"),
            ("VIGIE__TOKENS__AUDIENCE", "vigie\r", "tokens.audience", "control character"),
            ("VIGIE__TOKENS__ISSUER", "https://a\n", "tokens.issuer", "control character"),
            ("VIGIE__DATA__DIR", "data\r", "data.dir", "control character"),
            ("VIGIE__ROLES__ADMIN", "[\"admin\",\"root\"]", "roles.admin", "`a,b`"),
            ("VIGIE__SERVER__LISTEN", "localhost:8080", "server.listen", "`localhost:8080`"),
            ("VIGIE__SERVER__LISTEN", ":8080", "server.listen", "\"127.0.0.1:8080\""),
            ("VIGIE__SERVER__METRICS_LISTEN", ":9090", "server.metrics_listen", "`:9090`"),
            ("VIGIE__SERVER__PUBLIC_URL", "vigie.example.org", "server.public_url", "`vigie.example.org`"),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "proxy", "server.trusted_proxies", "`proxy`"),
        ] {
            let InvalidConfig(faults) = load(&[(name, value)]).unwrap_err();
            assert!(faults.len() == 1 && faults[0].key == key && faults[0].message.contains(said), "{faults:?}");
        }
    }

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        let config = load(&[("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1, 10.1.0.0/16")]).unwrap();
        let shown: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1/32", "::1/128", "10.1.0.0/16"]);
    }
}
