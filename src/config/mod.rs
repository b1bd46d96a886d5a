//! The configuration: what the operator decides. It knows what each key means and which values make sense, and nothing of
//! what is done with them.
//!
//! `config/default.toml` ← a file ← the environment ([`Config::load`]). Each section has a file: its keys, the types that
//! read them (a value that was read needs no second look), its `check` and its `weaknesses`. All sections are checked in
//! `check`: every fault is found at once and named by its key. What may be secret has a type that is only shown masked.

mod alerts;
mod audit;
mod check;
mod clients;
mod console;
mod data;
mod database;
mod database_address;
mod faults;
mod gate;
mod load;
mod log;
mod loopback;
mod mail;
mod mask;
mod nodes;
mod passwords;
mod published;
mod retention;
mod roles;
mod secret_url;
mod server;
mod sessions;
mod setting;
mod shipping;
#[cfg(test)]
mod support;
mod throttle;
mod tokens;
mod values;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

pub use alerts::Alerts;
pub use audit::Audit;
pub use clients::Clients;
pub use console::{Accent, Console, Contact};
pub use data::{Data, Keys};
pub use database::Database;
pub use database_address::DatabaseAddress;
pub(crate) use database_address::{PostgresAddress, is_shown};
use faults::Faults;
pub use faults::{Fault, InvalidConfig};
pub use gate::{Gate, Site};
pub use load::{environment, printable};
pub use log::{Log, LogFormat, LogLevel};
pub(crate) use loopback::is_loopback;
pub use mail::{Language, Mail};
pub(crate) use mask::{MASK, shown_file};
pub use nodes::{LONGEST_LEASE, Nodes};
pub use passwords::Passwords;
pub use published::Published;
pub use retention::{Months, Retention};
pub use roles::Roles;
pub use secret_url::SecretUrl;
pub use server::Server;
pub use sessions::Sessions;
use setting::section;
pub use shipping::{FileSink, HostAndPort, Shipping, ShippingFormat, SyslogSink, WebhookSink};
pub use throttle::Throttle;
pub use tokens::{Algorithm, Audience, Tokens};

/// The reference: every key with its meaning and default.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

section! {
    /// The whole configuration, checked: one field a section.
    pub struct Config {
        pub server: Server,
        pub log: Log,
        pub data: Data,
        pub database: Database,
        pub keys: Keys,
        pub tokens: Tokens,
        pub sessions: Sessions,
        pub clients: Clients,
        pub console: Console,
        pub gate: Gate,
        pub passwords: Passwords,
        pub throttle: Throttle,
        pub alerts: Alerts,
        pub mail: Mail,
        pub audit: Audit,
        pub roles: Roles,
        pub nodes: Nodes,
        pub retention: Retention,
        pub shipping: Shipping,
    }
}

impl Config {
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
}
