//! Loading: `config/default.toml` ← a file ← the environment. Every fault is found at once.

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

use super::faults::{Faults, InvalidConfig};
use super::setting::Setting as _;
use super::values::{self, shown_key};
use super::{Config, DEFAULT, variables};

impl Config {
    /// Reads the defaults, then `file`, then `environment` (pairs of name and value), and checks the result.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, InvalidConfig> {
        let mut faults = Faults::default();
        let (defaults, mut given) = (default_table(), merge(file, environment, &mut faults));
        let mut shown = Value::Table(given.clone());
        values::refuse_control_characters("", &shown, &mut faults);
        Self::mask(&mut shown);
        values::refuse_other_types("", &mut given, &shown, &defaults, &mut faults);
        values::refuse_special_files("", &given, &mut faults);
        let config = deserialize_reporting_all(given, &defaults, &mut faults);
        config.check(&mut faults);
        faults.none_or(config)
    }
}

/// The effective configuration as TOML, secrets masked: what `vigie config print` shows.
pub fn printable(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<String, InvalidConfig> {
    let mut faults = Faults::default();
    let mut given = Value::Table(merge(file, environment, &mut faults));
    Config::mask(&mut given);
    let printed = toml::to_string(&given).map_err(|error| faults.add("", error.to_string()));
    faults.none_or(printed.unwrap_or_default())
}

/// The environment as far as it is text. Where one of our variables is not, nothing is: without it, the default would hold,
/// and an empty database be served.
pub fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, InvalidConfig> {
    let (mut pairs, mut faults) = (Vec::new(), Faults::default());
    for (name, value) in variables {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            (Ok(name), Err(_)) if is_ours(&name) => faults.add(shown_key(&name), "is not UTF-8"),
            (Err(name), _) if is_ours(&name.to_string_lossy()) => {
                faults.add(shown_key(&name.to_string_lossy()), "is no name of a key: it is not UTF-8");
            }
            _ => {}
        }
    }
    faults.none_or(pairs)
}

fn is_ours(name: &str) -> bool {
    variables::is_read(name) || variables::is_misspelt(name, "")
}

fn default_table() -> Table {
    DEFAULT.parse().expect("config/default.toml is TOML: a test reads it")
}

/// What is given, each value as it was written; what has no place is a fault.
fn merge(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>, faults: &mut Faults) -> Table {
    let mut merged = default_table();
    match file.map(read_file).transpose() {
        Ok(table) => merge_file(&mut merged, table.unwrap_or_default(), faults),
        Err(message) => faults.add("", message),
    }
    merge_environment(&mut merged, environment, faults);
    merged
}

fn read_file(path: &Path) -> Result<Table, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", shown_path(path)))?;
    text.parse().map_err(|error| format!("{} {}", shown_path(path), not_toml(&text, &error)))
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

fn merge_file(merged: &mut Table, file: Table, faults: &mut Faults) {
    for (section, value) in file {
        match merged.get_mut(&section) {
            Some(Value::Table(known)) => merge_section(known, &section, value, faults),
            _ => faults.add(shown_key(&section), "no such section"),
        }
    }
}

/// A section may hold others.
fn merge_section(known: &mut Table, path: &str, given: Value, faults: &mut Faults) {
    let Value::Table(given) = given else {
        return faults.add(path, format!("is a section: write its keys below [{path}]"));
    };
    for (key, value) in given {
        let path = format!("{path}.{}", shown_key(&key));
        match known.get_mut(&key) {
            Some(Value::Table(inner)) => merge_section(inner, &path, value, faults),
            Some(known) => *known = value,
            None => faults.add(path, "no such key"),
        }
    }
}

fn merge_environment(merged: &mut Table, environment: impl IntoIterator<Item = (String, String)>, faults: &mut Faults) {
    let mut database_url = None;
    for (name, text) in environment {
        if name == variables::DATABASE {
            database_url = Some(text);
        } else if let Some(path) = name.strip_prefix(variables::PREFIX) {
            merge_variable(merged, shown_key(&name), path, &text, faults);
        } else if variables::is_misspelt(&name, &text) {
            let right = variables::right_spelling(&name, merged);
            faults.add(shown_key(&name), format!("is read by nobody, because it is misspelt: write {right}"));
        }
    }
    if let (Some(url), Some(Value::Table(database))) = (database_url, merged.get_mut("database")) {
        database.insert("url".into(), Value::String(url));
    }
}

fn merge_variable(merged: &mut Table, name: &str, path: &str, text: &str, faults: &mut Faults) {
    let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
    if keys.len() < 2 {
        return faults.add(name, "is not VIGIE__SECTION__KEY");
    }
    let path = keys.join(".");
    match find(merged, &keys) {
        None | Some(Value::Table(_)) => faults.add(shown_key(&path), format!("no such key (from {name})")),
        Some(value) => match values::from_text(&path, value, text) {
            Ok(parsed) => *value = parsed,
            Err(message) => faults.add(path, format!("{message} (from {name})")),
        },
    }
}

/// What stands in a table under a key within sections.
fn find<'a>(table: &'a mut Table, keys: &[impl AsRef<str>]) -> Option<&'a mut Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get_mut(first.as_ref())?, |value, key| value.as_table_mut()?.get_mut(key.as_ref()))
}

/// Deserialises; where a value does not fit, notes the fault, puts the default in its place and goes on, so that
/// one start shows every fault.
fn deserialize_reporting_all(mut table: Table, defaults: &Table, faults: &mut Faults) -> Config {
    loop {
        let error = match serde_path_to_error::deserialize::<_, Config>(Value::Table(table.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let path = error.path().to_string();
        // What follows a bracket is the place in a list.
        let keys: Vec<&str> = path.split('[').next().unwrap_or_default().split('.').collect();
        let value = find(&mut table, &keys).expect("every key is in the defaults");
        faults.add_first(&keys.join("."), values::in_plain_words(value, error.inner().message()));
        *value = find(&mut defaults.clone(), &keys).cloned().expect("the defaults are valid: a test loads them");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::support::{load, owned};
    use crate::config::{DatabaseAddress, Fault};

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
        assert!(matches!(config.database.url, DatabaseAddress::Sqlite(path) if path == Path::new("wins.db")));
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
    fn printing_masks_secrets() {
        let environment = owned(&[
            ("DATABASE_URL", "postgres://app:hunter2@db/vigie?sslmode=require"),
            ("VIGIE__KEYS__MASTER_KEY", "c2VjcmV0"),
            ("VIGIE__ALERTS__WEBHOOK_URL", "https://hooks.example.org/T0/hunter2"),
            ("VIGIE__SHIPPING__WEBHOOK__URL", "https://siem.example.org/T0/hunter2"),
            ("VIGIE__MAIL__SMTP_URL", "smtps://vigie:hunter2@mail.example.org"),
        ]);
        let printed = printable(None, environment).unwrap();
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
            assert_eq!(faults, [Fault { key: name.to_owned(), message: "is not UTF-8".to_owned() }]);
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
            ("DATABASE_URL", "sqlite:postgres://db/x", "database.url", "an address"),
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

    /// Whoever mistakes the variables writes an address where a file should be.
    #[test]
    fn an_address_in_the_place_of_a_file_is_not_repeated() {
        for path in ["postgres://vigie:hunter2@db/x", "vigie:hunter2@db", "sqlite://hunter2"] {
            let message = Config::load(Some(Path::new(path)), []).unwrap_err().to_string();
            assert!(message.contains("the file that --config or VIGIE_CONFIG names cannot be read"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        let message = Config::load(Some(Path::new("nowhere.toml")), []).unwrap_err().to_string();
        assert!(message.contains("nowhere.toml cannot be read"), "{message}");
    }
}
