//! What a demonstration takes from the configuration: the address to listen on, where it is this machine's own. Nothing else: it
//! would send made-up events to the collectors of the house, and sign with its secrets.

use std::net::SocketAddr;

use toml::{Table, Value};

use crate::config::{InvalidConfig, printable};

/// What is configured, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Configured {
    /// The address to listen on, where one is given on the loopback interface.
    pub listen: Option<SocketAddr>,
    /// The keys that are left aside.
    aside: Vec<String>,
    /// Whether it has faults: then all of it is left aside.
    is_faulty: bool,
}

impl Configured {
    /// Reads the configuration in force, as `vigie config print` shows it.
    pub(super) fn read(shown: Result<String, InvalidConfig>) -> Self {
        let table = |shown: Result<String, InvalidConfig>| shown.ok()?.parse::<Table>().ok();
        let (Some(given), Some(defaults)) = (table(shown), table(printable(None, []))) else {
            return Self { is_faulty: true, ..Self::default() };
        };
        let mut keys = Vec::new();
        add_differing(&given, &defaults, "", &mut keys);
        let listen = listen(&given).filter(|_| keys.iter().any(|key| key == LISTEN));
        keys.retain(|key| key != LISTEN || listen.is_none());
        Self { listen, aside: keys, is_faulty: false }
    }

    /// Says in a line what is left aside; `None` where that is nothing.
    pub(super) fn warning(&self) -> Option<String> {
        let but = if self.listen.is_some() { " but the address to listen on" } else { "" };
        match &self.aside[..] {
            _ if self.is_faulty => Some("What is configured has faults; nothing of it is used.".to_owned()),
            [] if self.listen.is_none() => None,
            [] => Some(format!("Nothing that is configured is used{but}.")),
            keys => Some(format!("Nothing that is configured is used{but}; left aside: {}.", keys.join(", "))),
        }
    }
}

const LISTEN: &str = "server.listen";

fn listen(given: &Table) -> Option<SocketAddr> {
    let listen: SocketAddr = given.get("server")?.get("listen")?.as_str()?.parse().ok()?;
    listen.ip().is_loopback().then_some(listen)
}

fn add_differing(given: &Table, defaults: &Table, section: &str, keys: &mut Vec<String>) {
    for (key, value) in given {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match (value, defaults.get(key)) {
            (Value::Table(given), Some(Value::Table(defaults))) => add_differing(given, defaults, &path, keys),
            (value, Some(default)) if value == default => {}
            _ => keys.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(pairs: &[(&str, &str)]) -> Configured {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Configured::read(printable(None, pairs))
    }

    #[test]
    fn only_an_address_of_this_machine_is_used_and_the_rest_is_named_without_its_values() {
        assert_eq!(configured(&[]).warning(), None);
        let given = [
            ("VIGIE__SERVER__LISTEN", "127.0.0.1:0"),
            ("VIGIE__SHIPPING__WEBHOOK__URL", "https://collector.example.org/x"),
            ("DATABASE_URL", "postgres://vigie:hidden@db.example.org/vigie"),
        ];
        let given = configured(&given);
        assert_eq!(given.listen, Some("127.0.0.1:0".parse().unwrap()));
        assert_eq!(given.aside, ["database.url", "shipping.webhook.url"]);
        assert!(
            given
                .warning()
                .is_some_and(|warning| warning.contains("shipping.webhook.url") && !warning.contains("example"))
        );
        for everywhere in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
            let given = configured(&[("VIGIE__SERVER__LISTEN", everywhere)]);
            assert_eq!((given.listen, &given.aside[..]), (None, &["server.listen".to_owned()][..]));
        }
        assert!(configured(&[("VIGIE__NO__SUCH", "key")]).warning().is_some_and(|warning| warning.contains("faults")));
    }
}
