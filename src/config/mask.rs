//! What may be a secret, wherever it was written, and what is shown in its place.

use std::path::Path;

use toml::Value;

/// Stands where something is not shown.
pub const MASK: &str = "********";

/// Said of a secret that does not fit: what was found is not repeated.
pub const NOT_THE_TEXT: &str = "is not what belongs here: a text, and of an address such as https://host/path";

/// Said of a text that was written in the place of the file that should hold it.
pub const NOT_A_PATH: &str =
    "looks like a secret or an address, and there is no such file: write the path of a file, which holds the secret";

/// No password or token that is made by a machine is shorter.
const SHORTEST_TOKEN: usize = 32;

/// Puts what may be shown of a text in its place. What is no text fits nowhere, but may be a password all the same.
pub fn mask_text(given: &mut Value, shown: impl Fn(&str) -> String) {
    match given {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => *text = shown(text),
        other => *other = Value::String(MASK.to_owned()),
    }
}

/// Masks what was meant for another key: each text that holds a login, where none belongs.
pub fn mask_logins(given: &mut Value) {
    match given {
        Value::String(text) if holds_login(text) => MASK.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(mask_logins),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| mask_logins(value)),
        _ => {}
    }
}

/// Masks what was written in the place of a path, if `key` takes one. A directory, and a file that is made, may not be there yet.
pub fn mask_path(key: &str, given: &mut Value) {
    let Value::String(text) = given else { return };
    let is_masked = match key {
        "dir" | "path" => is_no_path(text),
        _ => key.ends_with("_file") && may_be_no_path(text),
    };
    if is_masked {
        MASK.clone_into(text);
    }
}

/// The path of a file as messages show it: one that is not there may be the secret itself.
pub fn shown_file(path: &Path) -> String {
    let text = path.display().to_string();
    if may_be_no_path(&text) {
        format!("{MASK} (there is no such file, and the key wants the path of one)")
    } else {
        text
    }
}

/// Whether nothing in it stands for something else: behind `%26` there may be a password that was meant as a parameter.
pub fn is_plain(text: &str) -> bool {
    let text = text.replace("%2F", "/").replace("%2f", "/");
    text.chars().all(|character| character.is_alphanumeric() || "-._~+/,:".contains(character))
}

/// Whether a text is rather a secret or an address than the path of a file. What is there is a file, whatever its name.
pub fn is_no_path(text: &str) -> bool {
    let looks_so = text.contains("://") || holds_login(text) || is_key(text);
    looks_so && !Path::new(text).exists()
}

/// The same, and a name alone, which may be a password.
fn may_be_no_path(text: &str) -> bool {
    let is_name = !text.is_empty() && !text.contains(['/', '.']) && !Path::new(text).exists();
    is_name || is_no_path(text)
}

/// Whether a value that does not fit may be repeated: a number, a word, a host and its port, or an address of the network.
pub fn is_harmless(text: &str) -> bool {
    let (_, behind) = text.rsplit_once(':').unwrap_or_default();
    let is_port = behind.bytes().all(|byte| byte.is_ascii_digit());
    let is_ipv6 =
        text.matches(':').count() > 1 && text.chars().all(|it| it.is_ascii_hexdigit() || ":./[]".contains(it));
    let may_be_login = text.contains(['@', '=']) || text.contains("://") || holds_login(text);
    !may_be_login && (is_port || is_ipv6) && !is_token(text) && !is_key(text)
}

/// A user and a password, an address that may hold them in some other way, a password that is named so, or the secret of a
/// webhook.
pub fn holds_login(text: &str) -> bool {
    let is_web = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let is_address = text.contains("://") && !is_web;
    let names_password = text.to_ascii_lowercase().contains("password=");
    is_address || names_password || text.starts_with("whsec_") || (text.contains('@') && text.contains(':'))
}

/// 32 bytes in base64 or hexadecimal. Without its `=`, base64 may be an absolute path too.
fn is_key(text: &str) -> bool {
    let is_base64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte));
    let has = |is_so: fn(&u8) -> bool| text.bytes().any(|byte| is_so(&byte));
    let is_mixed = || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    match text.strip_suffix('=') {
        Some(text) => text.len() == 43 && is_base64(text),
        None if text.len() == 43 => is_base64(text) && !text.starts_with('/') && is_mixed(),
        None => text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
    }
}

/// Letters and digits without a blank, as many as only machines write.
fn is_token(text: &str) -> bool {
    text.len() >= SHORTEST_TOKEN
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        for text in [
            "postgres://v:hunter2zz@h/x",
            "postgres://h/x",
            "v:hunter2zz@h",
            "hunter2zz@h",
            "vigie:hunter2zz",
            "password=hunter2zz",
            "whsec_hunter2zz",
            KEY,
            KEY.trim_end_matches('='),
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ] {
            assert!(!is_harmless(text), "{text}");
        }
        for text in ["localhost:8080", ":8080", "vigie.example.org", "2001:db8::/129", "many", "-1", "1.5", ""] {
            assert!(is_harmless(text), "{text}");
        }
    }

    #[test]
    fn a_secret_in_the_place_of_its_file_is_not_shown() {
        for text in [KEY, KEY.trim_end_matches('='), "whsec_hunter2", "https://u:hunter2@h/list", "https://h/hunter2"] {
            assert!(is_no_path(text), "{text}");
            assert!(!shown_file(Path::new(text)).contains(text), "{text}");
        }
        for text in ["hunter2", "correct horse"] {
            assert!(!is_no_path(text) && shown_file(Path::new(text)).starts_with(MASK), "{text}");
        }
        // An absolute path of as many characters as a key has.
        for text in ["/var/lib/vigie/secrets/Node1/the-masterkey1", "master.key", "keys/master", "/nowhere/at all"] {
            assert_eq!(shown_file(Path::new(text)), text);
        }
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join(KEY.replace('/', "_"));
        std::fs::write(&there, "x").unwrap();
        assert_eq!(shown_file(&there), there.display().to_string());
    }

    #[test]
    fn a_text_with_a_login_is_masked_wherever_it_stands() {
        for text in ["https://v:hunter2@h", "postgres://h/x?password=hunter2", "v:hunter2@h:514", "password=hunter2"] {
            for mut given in [Value::String(text.to_owned()), Value::Array(vec![Value::String(text.to_owned())])] {
                mask_logins(&mut given);
                assert!(given.to_string().contains(MASK) && !given.to_string().contains("hunter2"), "{given}");
            }
        }
        for text in ["https://vigie.example.org", "http://localhost:3000", "Vigie <vigie@example.org>", "[::1]:8080"] {
            let mut given = Value::String(text.to_owned());
            mask_logins(&mut given);
            assert_eq!(given.as_str(), Some(text));
        }
    }
}
