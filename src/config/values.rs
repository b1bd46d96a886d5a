//! Values as they are given: text in the environment, and in a file a type, which should be the one that belongs there. What is
//! said of them repeats little, and no word that only programs use.

use toml::{Table, Value};

use super::faults::Faults;
use super::mask::{MASK, NOT_THE_TEXT, is_harmless};
use crate::regular_file;

/// Of a value no more than so many characters are repeated.
const MOST_QUOTED: usize = 100;

/// Said of a path at which there is something else.
pub const NOT_A_REGULAR_FILE: &str = "names no regular file, but a directory, a device or a pipe";

/// Their items are checked one by one, and may hold what others may not: a quote in the name of a person, an address in brackets.
const CHECKED_ITEMS: &[&str] = &["mail.reviewers", "server.cors_origins"];

/// A value within a message, unless it may be a secret that was meant for another key.
pub fn quoted(text: &str) -> String {
    let text = if is_harmless(text) { text } else { MASK };
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// The name of a key that nobody knows. One that could be an address, with a password in it, is not repeated.
pub fn shown_key(name: &str) -> &str {
    if name.contains([':', '@', '/']) { MASK } else { name }
}

/// Reads text from the environment as a value of the type that the default has.
pub fn from_text(key: &str, default: &Value, text: &str) -> Result<Value, String> {
    let read = match default {
        Value::Integer(_) => text.trim().parse().map(Value::Integer).ok(),
        Value::Boolean(_) => text.trim().parse().map(Value::Boolean).ok(),
        Value::Array(_) => return list(key, text),
        _ => Some(Value::String(text.to_owned())),
    };
    read.ok_or_else(|| format!("{} {}", quoted(text), is_not(default)))
}

/// What another separator or a bracket leaves in an item would be taken for a part of it.
fn list(key: &str, text: &str) -> Result<Value, String> {
    let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    let is_foreign = |character: char| character.is_whitespace() || "\"';[]".contains(character);
    let is_another = !CHECKED_ITEMS.contains(&key) && items.iter().any(|item| item.contains(is_foreign));
    if is_another || text.trim_start().starts_with('[') {
        return Err(format!(
            "{} is no list here: write the values alone, with commas between them, such as `a,b`",
            quoted(text)
        ));
    }
    Ok(Value::Array(items.into_iter().map(|item| Value::String(item.to_owned())).collect()))
}

/// Notes each value of another type than the default's, and puts the default in its place. What `shown` masks is not repeated,
/// and of a number or a list, which is no secret, only what is harmless.
pub fn refuse_other_types(section: &str, given: &mut Table, shown: &Value, defaults: &Table, faults: &mut Faults) {
    for (key, default) in defaults {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        let (Some(value), Some(shown)) = (given.get_mut(key), shown.get(key)) else { continue };
        if let (Value::Table(given), Value::Table(defaults)) = (&mut *value, default) {
            refuse_other_types(&path, given, shown, defaults, faults);
        } else if let Some(message) = misfit(value, default) {
            let is_shown = !default.is_str() || shown.to_string() == value.to_string();
            faults.add_first(&path, if is_shown { message } else { NOT_THE_TEXT.to_owned() });
            *value = default.clone();
        }
    }
}

/// What is wrong with the type of a value; of a list also with those of its items, which all are texts.
fn misfit(value: &Value, default: &Value) -> Option<String> {
    if let (Value::Array(items), Value::Array(_)) = (value, default) {
        let other = items.iter().find(|item| !item.is_str())?;
        return Some(format!("{} in it is not a text in quotes", shown(other)));
    }
    (!value.same_type(default)).then(|| format!("{} {}", shown(value), is_not(default)))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        // Whatever is in it may have been meant for another key.
        Value::Table(_) => "a section".to_owned(),
        other => quoted(&other.to_string()),
    }
}

fn is_not(default: &Value) -> &'static str {
    match default {
        Value::Integer(_) => "is not a whole number",
        Value::Boolean(_) => "is neither true nor false",
        Value::Array(_) => "is not a list, such as [\"10.0.0.0/8\"]",
        _ => "is not a text in quotes, such as \"90s\" for a duration",
    }
}

/// No value of ours holds a control character; a file of variables that was written on Windows leaves one at each end.
pub fn refuse_control_characters(path: &str, value: &Value, faults: &mut Faults) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                refuse_control_characters(&path, value, faults);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| refuse_control_characters(path, item, faults)),
        Value::String(text) if text.contains(char::is_control) => {
            faults.add(path, "holds a control character, such as the carriage return of a line from Windows");
        }
        _ => {}
    }
}

/// No file of settings is anything but a regular file, which alone has an end: the start would be refused when it is opened.
pub fn refuse_special_files(section: &str, given: &Table, faults: &mut Faults) {
    for (key, value) in given {
        let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
        match value {
            Value::Table(table) => refuse_special_files(&path, table, faults),
            Value::String(file) if key.ends_with("_file") => {
                faults.add_if(regular_file::is_something_else(file.as_ref()), &path, NOT_A_REGULAR_FILE);
            }
            _ => {}
        }
    }
}

/// What is said of a value that has the right type and does not fit all the same.
pub fn in_plain_words(value: &Value, said: &str) -> String {
    match value {
        Value::Integer(number) if *number < 0 => format!("`{number}` is less than 0"),
        Value::Integer(number) => format!("`{number}` is too large: {} is the most", u32::MAX),
        Value::String(text) if said.starts_with("unknown variant") => {
            let known = said.rsplit_once(", expected ").map_or("", |(_, known)| known);
            format!("{} is not {known}", quoted(text))
        }
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Fault, InvalidConfig};

    fn faults(text: &str) -> Vec<Fault> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let InvalidConfig(faults) = Config::load(Some(file.path()), []).unwrap_err();
        faults
    }

    #[test]
    fn a_value_of_another_type_is_told_in_plain_words() {
        for (text, key, said) in [
            ("[database]\npool_size = \"x\"", "database.pool_size", "`x` is not a whole number"),
            ("[passwords]\nmin_length = 1.5", "passwords.min_length", "`1.5` is not a whole number"),
            ("[passwords]\nmin_length = nan", "passwords.min_length", "`nan` is not a whole number"),
            ("[sessions]\nmax_per_user = true", "sessions.max_per_user", "`true` is not a whole number"),
            ("[sessions]\nmax_per_user = -1", "sessions.max_per_user", "`-1` is less than 0"),
            ("[sessions]\nmax_per_user = 4294967296", "sessions.max_per_user", "`4294967296` is too large"),
            ("[server]\nworkers = -1", "server.workers", "`-1` is less than 0"),
            ("[tokens]\nlegacy_claims = \"yes\"", "tokens.legacy_claims", "`yes` is neither true nor false"),
            (
                "[server]\ntrusted_proxies = \"x\"",
                "server.trusted_proxies",
                "`x` is not a list, such as [\"10.0.0.0/8\"]",
            ),
            ("[server]\ntrusted_proxies = [1]", "server.trusted_proxies", "`1` in it is not a text in quotes"),
            ("[sessions]\nlifetime = 90", "sessions.lifetime", "`90` is not a text in quotes, such as \"90s\""),
            ("[data]\ndir = [\"x\"]", "data.dir", "is not a text in quotes"),
            ("[data]\ndir = { x = \"hunter2\" }", "data.dir", "a section is not a text in quotes"),
            ("[log]\nformat = \"xml\"", "log.format", "`xml` is not `text` or `json`"),
            ("[keys]\nmaster_key = 1702", "keys.master_key", NOT_THE_TEXT),
            ("[database]\npool_size = 99999999999999999999", "", "a number is too large"),
            ("[keys]\nmaster_key = 99999999999999999999", "", "a number is too large"),
        ] {
            let faults = faults(text);
            assert!(
                faults.len() == 1 && faults[0].key == key && faults[0].message.contains(said),
                "{text}: {faults:?}"
            );
            let foreign = ["expected", "u32", "usize", "i128", "sequence", "variant", "hunter2", "1702", "9999999999"];
            assert!(!foreign.iter().any(|word| faults[0].message.contains(word)), "{text}: {faults:?}");
        }
    }

    #[test]
    fn what_was_meant_for_another_key_is_not_repeated() {
        for key in [
            "DATABASE__POOL_SIZE",
            "TOKENS__LEGACY_CLAIMS",
            "SERVER__LISTEN",
            "SERVER__METRICS_LISTEN",
            "SERVER__PUBLIC_URL",
            "SERVER__TRUSTED_PROXIES",
            "LOG__FORMAT",
            "TOKENS__ALGORITHM",
            "MAIL__LANGUAGE",
            "DATABASE__WAIT",
            "NODES__LEASE",
            "RETENTION__AUDIT",
            "SHIPPING__FILE__FORMAT",
            "ROLES__ADMIN",
        ] {
            for secret in ["postgres://v:hunter2zz@h/x?x=\"", "v:hunter2zz@[h", "[hunter2zz="] {
                let given = [(format!("VIGIE__{key}"), secret.to_owned())];
                // Any word may be the name of a role.
                let Err(message) = Config::load(None, given) else { continue };
                assert!(!message.to_string().contains("hunter2"), "{key}: {message}");
            }
        }
        for text in [
            "[database]\npool_size = \"postgres://v:hunter2@h/x\"",
            "[server]\ntrusted_proxies = \"postgres://v:hunter2@h/x\"",
            "[server]\ntrusted_proxies = [[\"postgres://v:hunter2@h/x\"]]",
            "[tokens]\nlegacy_claims = { x = \"hunter2\" }",
        ] {
            let faults = faults(text);
            assert!(faults.len() == 1 && !faults[0].message.contains("hunter2"), "{text}: {faults:?}");
        }
    }

    #[test]
    fn no_more_than_the_beginning_of_a_value_is_repeated() {
        let long = "é".repeat(5000);
        for (section, key, value) in [
            ("server", "listen", format!("\"{long}\"")),
            ("server", "public_url", format!("\"{long}\"")),
            ("server", "trusted_proxies", format!("[\"{long}\"]")),
            ("server", "workers", format!("\"{long}\"")),
            ("server", "cors_origins", format!("\"{long}\"")),
            ("tokens", "access_ttl", format!("\"{long}\"")),
            ("tokens", "algorithm", format!("\"{long}\"")),
            ("tokens", "audience", format!("[\"{long}\"]")),
            ("retention", "audit", format!("\"{long}\"")),
            ("log", "format", format!("\"{long}\"")),
        ] {
            let faults = faults(&format!("[{section}]\n{key} = {value}"));
            assert!(faults.iter().all(|fault| fault.message.chars().count() < 250), "{section}.{key}: {faults:?}");
        }
        assert_eq!(quoted(&long).chars().count(), MOST_QUOTED + 3);
        assert_eq!(quoted("short"), "`short`");
    }

    #[test]
    fn a_list_in_the_environment_is_values_with_commas_between_them() {
        let none = Value::Array(Vec::new());
        for (key, text) in [
            ("roles.admin", "\"admin\",\"root\""),
            ("roles.admin", "'admin'"),
            ("roles.admin", "admin;root"),
            ("roles.admin", "admin root"),
            ("roles.admin", "[\"admin\"]"),
            ("roles.admin", "admin]"),
            ("mail.reviewers", "[\"a@example.org\"]"),
            ("server.trusted_proxies", "10.0.0.0/8 192.0.2.1"),
        ] {
            let message = from_text(key, &none, text).unwrap_err();
            assert!(message.contains("write the values alone, with commas between them"), "{text}: {message}");
        }
        for (key, text, items) in [
            ("roles.admin", "admin, root", 2),
            ("roles.admin", "", 0),
            ("mail.reviewers", "o'brien@example.org,\"a b\"@example.org", 2),
            ("server.cors_origins", "http://[::1]:3000,https://example.org", 2),
            ("server.trusted_proxies", "::1/128,10.0.0.0/8", 2),
        ] {
            let read = from_text(key, &none, text).unwrap();
            assert_eq!(read.as_array().map(Vec::len), Some(items), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_key_that_could_be_an_address_is_not_repeated() {
        for text in [
            "[\"postgres://vigie:hunter2@db/x\"]",
            "\"postgres://vigie:hunter2@db/x\" = 1",
            "[database]\n\"postgres://vigie:hunter2@db/x\" = 1",
            "[database]\n\"hunter2@db\" = \"x\"",
            "[shipping.syslog]\n\"hunter2/x\" = \"x\"",
        ] {
            let faults = faults(text);
            assert!(faults.len() == 1 && faults[0].key.ends_with(MASK), "{faults:?}");
            assert!(!format!("{faults:?}").contains("hunter2"), "{faults:?}");
        }
        let name = "VIGIE__DATABASE__POSTGRES://V:HUNTER2@DB".to_owned();
        let message = Config::load(None, [(name, "x".to_owned())]).unwrap_err().to_string();
        assert!(message.contains("no such key") && !message.to_lowercase().contains("hunter2"), "{message}");
        assert_eq!(shown_key("listenn"), "listenn");
    }
}
