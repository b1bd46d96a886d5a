//! What each type of a setting says of itself: how it is read, and how it is shown. Sections are made of such types, so
//! that nothing is used that does not fit, and no secret is printed by mistake.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::{Deserialize as _, Deserializer, Error as _};
use toml::Value;

use super::mask::{MASK, NOT_A_PATH, is_no_path, mask_logins, mask_text};
use super::values::quoted;

/// What is longer leaves the calendar when it is counted from today.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

/// A type of the configuration.
pub trait Setting: Sized {
    /// Reads a value; the error says what belongs there.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Masks what may be secret in a value as it was given for this type: it need not fit.
    fn mask(given: &mut Value) {
        mask_logins(given);
    }
}

/// A type that is written as one text. Where it may be left out, `Option` of it reads "" as none.
pub trait Text: Sized {
    /// How a text is shown that was given for this type, whether or not it fits. `None`: as it is, unless it holds a login.
    const SHOWN: Option<fn(&str) -> String> = None;

    /// Reads the text; otherwise says what belongs there.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A section: unknown keys are refused, and what is read and shown of it follows from the types of its keys.
macro_rules! section {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$key_meta:meta])* pub $key:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[$key_meta])*
                #[doc = "`config/default.toml` says what it means."]
                #[serde(deserialize_with = "crate::config::setting::Setting::read")]
                pub $key: $type,
            )+
        }

        impl $crate::config::setting::Setting for $name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }

            fn mask(given: &mut toml::Value) {
                $(if let Some(value) = given.get_mut(stringify!($key)) {
                    <$type as $crate::config::setting::Setting>::mask(value);
                    $crate::config::mask::mask_path(stringify!($key), value);
                })+
            }
        }
    };
}
pub(super) use section;

/// Numbers and words, which are read as everywhere and are no secret.
macro_rules! plain {
    ($($type:ty),+) => {
        $(impl $crate::config::setting::Setting for $type {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        })+
    };
}
pub(super) use plain;

/// A word of a closed list.
macro_rules! word {
    ($type:ty) => {
        impl $crate::config::setting::Text for $type {
            fn parse(text: &str) -> Result<Self, String> {
                let unknown = |$crate::model::UnknownWord { word, known }| {
                    format!("{} is none of {}", $crate::config::values::quoted(&word), known.join(", "))
                };
                text.parse().map_err(unknown)
            }
        }
    };
}
pub(super) use word;

plain!(bool, u32, usize);

impl<T: Text> Setting for T {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    fn mask(given: &mut Value) {
        match T::SHOWN {
            Some(shown) => mask_text(given, shown),
            None => mask_logins(given),
        }
    }
}

impl<T: Text> Setting for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { T::parse(&text).map(Some).map_err(D::Error::custom) }
    }

    fn mask(given: &mut Value) {
        T::mask(given);
    }
}

impl<T: Text> Setting for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| T::parse(text)).collect::<Result<_, _>>().map_err(D::Error::custom)
    }

    fn mask(given: &mut Value) {
        match given {
            Value::Array(items) => items.iter_mut().for_each(T::mask),
            other => T::mask(other),
        }
    }
}

impl Text for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Text for SecretString {
    const SHOWN: Option<fn(&str) -> String> = Some(|_| MASK.to_owned());

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Text for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let said = |_| format!("{} is not a duration such as \"90s\", \"15m\" or \"12h\"", quoted(text));
        let duration = humantime::parse_duration(text).map_err(said)?;
        if duration > LONGEST { Err("must be at most 36500d".to_owned()) } else { Ok(duration) }
    }
}

/// No path is expanded, and none is trimmed: what is meant for a shell would be a file of that name. What was meant to be
/// in a file is none, and is not repeated.
impl Text for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim() != text {
            Err("holds a blank before or behind a path, or nothing else".to_owned())
        } else if is_no_path(text) {
            Err(NOT_A_PATH.to_owned())
        } else if text.contains(['~', '$']) {
            Err("holds a ~ or a $, which nobody expands: write the whole path".to_owned())
        } else {
            Ok(text.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::mask::MASK;
    use crate::config::printable;
    use crate::config::support::{assert_fault, load, owned};

    /// Every key that takes the path of a file.
    const FILES: [&str; 9] = [
        "keys.master_key_file",
        "tokens.hs256_secret_file",
        "passwords.blocklist_file",
        "alerts.webhook_secret_file",
        "mail.password_file",
        "mail.ca_file",
        "shipping.syslog.ca_file",
        "shipping.webhook.secret_file",
        "shipping.webhook.ca_file",
    ];

    fn variable(key: &str) -> String {
        format!("VIGIE__{}", key.replace('.', "__").to_uppercase())
    }

    #[test]
    fn a_secret_in_the_place_of_its_file_is_a_fault_that_does_not_repeat_it() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for file in FILES {
            let name = variable(file);
            for secret in [key, "https://u:hunter2@h/list", "whsec_hunter2"] {
                assert_fault(&name, secret, file, "the path of a file");
                let message = load(&[(&name, secret)]).unwrap_err().to_string();
                let printed = printable(None, owned(&[(&name, secret)])).unwrap();
                assert!(!message.contains(secret) && !printed.contains(secret), "{message}{printed}");
            }
            let printed = printable(None, owned(&[(&name, "hunter2")])).unwrap();
            assert!(printed.contains(MASK) && !printed.contains("hunter2"), "{printed}");
            let printed = printable(None, owned(&[(&name, "secrets/file")])).unwrap();
            assert!(printed.contains("secrets/file"), "{printed}");
        }
    }

    #[test]
    fn a_login_in_any_place_is_printed_masked() {
        for key in [
            "server.listen",
            "server.trusted_proxies",
            "server.cors_origins",
            "tokens.issuer",
            "tokens.audience",
            "log.level",
            "log.format",
            "database.wait",
            "nodes.lease",
            "retention.audit",
            "roles.admin",
            "mail.from",
            "shipping.syslog.address",
            "shipping.file.path",
        ] {
            let name = variable(key);
            for login in ["postgres://v:hunter2zz@h/x", "https://v:hunter2zz@h"] {
                let printed = printable(None, owned(&[(&name, login)])).unwrap();
                assert!(printed.contains(MASK) && !printed.contains("hunter2"), "{key}: {printed}");
                if let Err(message) = load(&[(&name, login)]) {
                    assert!(!message.to_string().contains("hunter2"), "{key}: {message}");
                }
            }
        }
    }

    #[test]
    fn what_is_there_and_no_regular_file_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().to_str().unwrap();
        for key in FILES {
            for path in ["/dev/zero", directory] {
                assert_fault(&variable(key), path, key, "no regular file");
            }
        }
        assert_fault("DATABASE_URL", &format!("sqlite:{directory}"), "database.url", "no regular file");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_fault("VIGIE__DATA__DIR", file.path().to_str().unwrap(), "data.dir", "a directory");
    }

    #[test]
    fn a_path_that_only_a_shell_would_expand_is_a_fault() {
        for key in FILES.into_iter().chain(["data.dir", "shipping.file.path"]) {
            let name = variable(key);
            for (path, said) in
                [("~/x", "~"), ("$HOME/x", "$"), ("/x/${Y}", "$"), (" /x", "blank"), ("/x ", "blank"), ("  ", "blank")]
            {
                assert_fault(&name, path, key, said);
            }
            if key != "data.dir" {
                assert!(load(&[(&name, "")]).is_ok(), "{key}");
            }
        }
        assert_fault("VIGIE__DATA__DIR", "", "data.dir", "a directory");
        assert!(load(&[("VIGIE__DATA__DIR", "/var/my data")]).is_ok());
    }
}
