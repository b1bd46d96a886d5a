//! Checks of settings that look right, and would be taken for something else.

use std::path::PathBuf;

use super::{Config, Roles};
use crate::model::user::Role;

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];

impl Config {
    /// No path is expanded, and none is trimmed: what is meant for a shell would be a file of that name.
    pub(super) fn check_paths(&self, require: &mut impl FnMut(bool, &str, &str)) {
        require(!self.data.dir.as_os_str().is_empty(), "data.dir", "must name a directory");
        for (key, path) in self.paths() {
            let text = path.to_string_lossy();
            require(text.trim() == text, key, "holds a blank before or behind a path, or nothing else");
            require(!text.contains(['~', '$']), key, "holds a ~ or a $, which nobody expands: write the whole path");
        }
    }

    fn paths(&self) -> [(&'static str, &PathBuf); 11] {
        [
            ("data.dir", &self.data.dir),
            ("keys.master_key_file", &self.keys.master_key_file),
            ("tokens.hs256_secret_file", &self.tokens.hs256_secret_file),
            ("passwords.blocklist_file", &self.passwords.blocklist_file),
            ("alerts.webhook_secret_file", &self.alerts.webhook_secret_file),
            ("mail.password_file", &self.mail.password_file),
            ("mail.ca_file", &self.mail.ca_file),
            ("shipping.syslog.ca_file", &self.shipping.syslog.ca_file),
            ("shipping.file.path", &self.shipping.file.path),
            ("shipping.webhook.secret_file", &self.shipping.webhook.secret_file),
            ("shipping.webhook.ca_file", &self.shipping.webhook.ca_file),
        ]
    }

    pub(super) fn check_log(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let fits = self.log.level.split(',').all(is_directive) && self.log_filter().is_ok();
        require(
            fits,
            "log.level",
            "must be trace, debug, info, warn, error or off, also for single modules, such as \"info,vigie::session=debug\"",
        );
    }

    pub(super) fn check_roles(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let Roles { admin, auditor } = &self.roles;
        require(!admin.is_empty(), "roles.admin", "must name at least one role");
        for (key, roles) in [("roles.admin", admin), ("roles.auditor", auditor)] {
            let are_roles = roles.iter().all(|role| Role::parse(role).is_ok());
            require(are_roles, key, "each must be a role: 1 to 64 visible characters, and no white space at its ends");
        }
        let is_apart = !auditor.iter().any(|role| admin.contains(role));
        require(is_apart, "roles.auditor", "names a role of roles.admin, whose users may read the history anyway");
    }

    /// The public address becomes the issuer of tokens, and the beginning of links.
    pub(super) fn check_public_address(&self, require: &mut impl FnMut(bool, &str, &str)) {
        let url = &self.server.public_url;
        let fits = matches!(url.scheme(), "http" | "https");
        require(fits, "server.public_url", "must be an http or https address");
        let names_nobody = url.username().is_empty() && url.password().is_none();
        require(names_nobody, "server.public_url", "must hold no user and no password");
        let is_bare = url.query().is_none() && url.fragment().is_none();
        require(is_bare, "server.public_url", "must hold neither a ? nor a #, and nothing behind them");
    }
}

/// A level, or `target=level`. Any other word alone would be the name of a module, and nothing else be logged.
fn is_directive(text: &str) -> bool {
    let (target, level) = text.split_once('=').map_or((None, text), |(target, level)| (Some(target), level));
    target.is_none_or(is_target) && LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
}

/// Whoever writes `level=info` means all modules, and none has that name.
fn is_target(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:".contains(&byte);
    !text.is_empty() && text != "level" && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, InvalidConfig};

    fn load(name: &str, value: &str) -> Result<Config, InvalidConfig> {
        Config::load(None, [(name.to_owned(), value.to_owned())])
    }

    /// Fails unless the setting is one fault, of this key, that says so.
    fn assert_fault(name: &str, value: &str, key: &str, said: &str) {
        let InvalidConfig(faults) = load(name, value).unwrap_err();
        assert!(faults.iter().all(|fault| fault.key == key) && faults.len() == 1, "{name}={value}: {faults:?}");
        assert!(faults[0].message.contains(said), "{name}={value}: {faults:?}");
    }

    #[test]
    fn a_path_that_only_a_shell_would_expand_is_a_fault() {
        for key in [
            "data.dir",
            "keys.master_key_file",
            "tokens.hs256_secret_file",
            "passwords.blocklist_file",
            "alerts.webhook_secret_file",
            "mail.password_file",
            "mail.ca_file",
            "shipping.syslog.ca_file",
            "shipping.file.path",
            "shipping.webhook.secret_file",
            "shipping.webhook.ca_file",
        ] {
            let name = format!("VIGIE__{}", key.replace('.', "__").to_uppercase());
            for (path, said) in
                [("~/x", "~"), ("$HOME/x", "$"), ("/x/${Y}", "$"), (" /x", "blank"), ("/x ", "blank"), ("  ", "blank")]
            {
                assert_fault(&name, path, key, said);
            }
            if key != "data.dir" {
                assert!(load(&name, "").is_ok(), "{key}");
            }
        }
        assert_fault("VIGIE__DATA__DIR", "", "data.dir", "a directory");
        assert!(load("VIGIE__DATA__DIR", "/var/my data").is_ok());
    }

    #[test]
    fn a_level_of_the_log_is_one_that_there_is() {
        for level in [
            "",
            "warning",
            "verbose",
            "none",
            "level=info",
            "info;debug",
            "info,",
            "info,vigie=verbose",
            "vigie=",
            "=info",
            "Vigie=info",
            "info, vigie=debug",
            "vigie[x]=info",
            "3",
        ] {
            assert_fault("VIGIE__LOG__LEVEL", level, "log.level", "trace, debug, info, warn, error or off");
        }
        for level in ["off", "INFO", "trace", "info,actix_server=warn", "vigie::session=debug,error", "h2=off"] {
            assert!(load("VIGIE__LOG__LEVEL", level).is_ok(), "{level}");
        }
    }

    #[test]
    fn roles_are_roles_and_in_one_list() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (roles, key) in [
            ("admin = [\"\"]", "roles.admin"),
            ("admin = [\"admin\", \" \"]", "roles.admin"),
            ("admin = []", "roles.admin"),
            ("auditor = [\"\"]", "roles.auditor"),
            ("auditor = [\"auditor \"]", "roles.auditor"),
            ("auditor = [\"auditor\", \"admin\"]", "roles.auditor"),
        ] {
            std::fs::write(file.path(), format!("[roles]\n{roles}")).unwrap();
            let InvalidConfig(faults) = Config::load(Some(file.path()), []).unwrap_err();
            assert!(faults.len() == 1 && faults[0].key == key, "{roles}: {faults:?}");
        }
        std::fs::write(file.path(), "[roles]\nadmin = [\"chef de service\"]\nauditor = []").unwrap();
        assert!(Config::load(Some(file.path()), []).is_ok());
    }

    #[test]
    fn what_becomes_the_issuer_and_the_audience_is_nothing_else() {
        let url = "server.public_url";
        for (address, said) in [
            ("https://hunter2@vigie.example.org", "no user"),
            ("https://v:hunter2@vigie.example.org", "no password"),
            ("https://vigie.example.org/?hunter2", "a ?"),
            ("https://vigie.example.org/#hunter2", "a #"),
            ("ftp://vigie.example.org/", "http or https"),
        ] {
            assert_fault("VIGIE__SERVER__PUBLIC_URL", address, url, said);
            let told = load("VIGIE__SERVER__PUBLIC_URL", address).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(load("VIGIE__SERVER__PUBLIC_URL", "https://example.org/vigie/").is_ok());
        for audience in ["[\"vigie\"]", "{\"aud\":1}", "\"vigie\"", "'vigie'"] {
            assert_fault("VIGIE__TOKENS__AUDIENCE", audience, "tokens.audience", "alone");
        }
    }

    /// Whoever mistakes the variables writes an address where a file should be.
    #[test]
    fn an_address_in_the_place_of_a_file_is_not_repeated() {
        for path in ["postgres://vigie:hunter2@db/x", "vigie:hunter2@db", "sqlite://hunter2"] {
            let told = Config::load(Some(std::path::Path::new(path)), []).unwrap_err().to_string();
            assert!(told.contains("the file that --config or VIGIE_CONFIG names cannot be read"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        let told = Config::load(Some(std::path::Path::new("nowhere.toml")), []).unwrap_err().to_string();
        assert!(told.contains("nowhere.toml cannot be read"), "{told}");
    }
}
