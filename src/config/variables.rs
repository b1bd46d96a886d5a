//! Which variables of the environment are meant for Vigie, and how a misspelt one is written.

use toml::{Table, Value};
use unicode_normalization::UnicodeNormalization as _;

pub const PREFIX: &str = "VIGIE__";
pub const DATABASE: &str = "DATABASE_URL";
const FILE: &str = "VIGIE_CONFIG";

/// What others read: the tour of `examples/`, the tests and the benchmarks.
const OF_OTHERS: &[&str] = &["VIGIE_URL", "VIGIE_SETUP_TOKEN"];
const PREFIXES_OF_OTHERS: &[&str] = &["VIGIE_TEST_", "VIGIE_BENCH_"];

/// Whether the configuration reads the variable.
pub fn is_read(name: &str) -> bool {
    name == DATABASE || name.starts_with(PREFIX)
}

/// Whether a variable that nobody reads was meant for the configuration.
pub fn is_misspelt(name: &str, value: &str) -> bool {
    let plain = plain(name);
    let is_meant = plain.starts_with("vigie_") || plain == "database_url" || plain == "databaseurl";
    let is_known = is_read(name) || name == FILE || is_of_others(name) || is_of_kubernetes(name, value);
    is_meant && !is_known
}

/// How the variable is written that was meant by this name.
pub fn right_spelling(name: &str, defaults: &Table) -> String {
    let plain = plain(name);
    let key = plain.strip_prefix("vigie_").unwrap_or_default();
    match plain.as_str() {
        "database_url" | "databaseurl" => DATABASE.to_owned(),
        "vigie_config" | "vigie_config_file" => FILE.to_owned(),
        _ => meant(key, PREFIX.trim_end_matches('_'), defaults).unwrap_or_else(|| "VIGIE__SECTION__KEY".to_owned()),
    }
}

/// The variable of the key whose path, with one `_` between its words, is `key`.
fn meant(key: &str, section: &str, defaults: &Table) -> Option<String> {
    defaults.iter().find_map(|(name, value)| {
        let rest = key.strip_prefix(name.as_str())?;
        let variable = format!("{section}__{}", name.to_uppercase());
        match value {
            Value::Table(inner) => meant(rest.strip_prefix('_')?, &variable, inner),
            _ => rest.is_empty().then_some(variable),
        }
    })
}

/// The name in lower case and plain letters, with one `_` for what stands between its words, and none at its ends; without what
/// files of variables leave in it that are not read as one: a byte order mark, and `export`.
fn plain(name: &str) -> String {
    let name: String = name.nfkc().collect();
    let name = name.trim_start_matches('\u{feff}').trim_start();
    let name = name.strip_prefix("export ").unwrap_or(name);
    let is_between = |character: char| "_.-".contains(character) || character.is_whitespace();
    let words: Vec<&str> = name.split(is_between).filter(|word| !word.is_empty()).collect();
    words.join("_").to_lowercase()
}

fn is_of_others(name: &str) -> bool {
    OF_OTHERS.contains(&name) || PREFIXES_OF_OTHERS.iter().any(|prefix| name.starts_with(prefix))
}

/// What Kubernetes sets in every container beside a service whose name begins with `vigie`: `VIGIE_SERVICE_HOST`,
/// `VIGIE_SERVICE_PORT_HTTP`, `VIGIE_PORT=tcp://…`, `VIGIE_PORT_8080_TCP_ADDR`.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let has_number = |(_, behind): (&str, &str)| behind.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.split_once("_PORT_").is_some_and(has_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::support::{assert_fault, load, owned};
    use crate::config::{DEFAULT, printable};

    #[test]
    fn a_misspelt_variable_is_a_fault_that_names_the_right_one() {
        for (name, right) in [
            ("VIGIE_DATABASE_URL", "VIGIE__DATABASE__URL"),
            ("VIGIE_DATABASE__URL", "VIGIE__DATABASE__URL"),
            ("vigie__database__url", "VIGIE__DATABASE__URL"),
            ("Vigie__Database__Url", "VIGIE__DATABASE__URL"),
            ("VIGIE.DATABASE.URL", "VIGIE__DATABASE__URL"),
            ("VIGIE-DATABASE-URL", "VIGIE__DATABASE__URL"),
            (" VIGIE__DATABASE__URL", "VIGIE__DATABASE__URL"),
            ("_VIGIE__DATABASE__URL", "VIGIE__DATABASE__URL"),
            ("VIGIE_SHIPPING_FILE_MAX_MIB", "VIGIE__SHIPPING__FILE__MAX_MIB"),
            ("VIGIE_SHIPPING_SYSLOG_CA_FILE", "VIGIE__SHIPPING__SYSLOG__CA_FILE"),
            ("VIGIE_KEYS_MASTER_KEY", "VIGIE__KEYS__MASTER_KEY"),
            ("VIGIE_KEYS_MASTER_KEY_FILE", "VIGIE__KEYS__MASTER_KEY_FILE"),
            ("VIGIE_NO_SUCH", "VIGIE__SECTION__KEY"),
            ("VIGIE_PORT", "VIGIE__SECTION__KEY"),
            ("database_url", "DATABASE_URL"),
            ("DATABASE_URL ", "DATABASE_URL"),
            ("Database-Url", "DATABASE_URL"),
            ("DATABASEURL", "DATABASE_URL"),
            ("\u{feff}DATABASE_URL", "DATABASE_URL"),
            ("export DATABASE_URL", "DATABASE_URL"),
            ("\u{feff}VIGIE__DATABASE__URL", "VIGIE__DATABASE__URL"),
            ("ＶIGIE__DATABASE__URL", "VIGIE__DATABASE__URL"),
            ("VIGIE_CONFIG_FILE", "VIGIE_CONFIG"),
            ("vigie_config", "VIGIE_CONFIG"),
        ] {
            let value = "postgres:hunter2";
            assert_fault(name, value, name, &format!("write {right}"));
            assert!(!load(&[(name, value)]).unwrap_err().to_string().contains("hunter2"), "{name}");
            assert!(printable(None, owned(&[(name, value)])).is_err(), "{name}");
        }
        assert_fault("VIGIE_V:HUNTER2@H", "x", "********", "VIGIE__SECTION__KEY");
    }

    #[test]
    fn what_others_read_is_no_fault() {
        for (name, value) in [
            ("VIGIE_CONFIG", "vigie.toml"),
            ("VIGIE_TEST_POSTGRES", "postgres://db/x"),
            ("VIGIE_BENCH_ROWS", "1"),
            ("VIGIE_URL", "http://127.0.0.1:8080"),
            ("VIGIE_SETUP_TOKEN", "vgt_x"),
            ("VIGIE_SERVICE_HOST", "10.0.0.1"),
            ("VIGIE_SERVICE_PORT_HTTP", "8080"),
            ("VIGIE_PORT", "tcp://10.0.0.1:8080"),
            ("VIGIE_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("VIGIE_DATABASE_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
            ("VIGIES", "x"),
            ("PGDATABASE_URL", "x"),
            ("MY_DATABASE_URL", "x"),
        ] {
            assert!(load(&[(name, value)]).is_ok(), "{name}");
        }
    }

    #[test]
    fn every_key_is_found_by_its_words() {
        let defaults: Table = DEFAULT.parse().unwrap();
        for (section, keys) in &defaults {
            for key in keys.as_table().unwrap().iter().filter(|(_, value)| !value.is_table()).map(|(key, _)| key) {
                let right = format!("VIGIE__{section}__{key}").to_uppercase();
                assert_eq!(right_spelling(&format!("vigie.{section}.{key}"), &defaults), right);
            }
        }
    }
}
