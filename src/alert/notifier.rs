//! What is needed to tell others: secrets of other services, each in a file that only its owner may read.

use std::path::Path;

use zeroize::Zeroizing;

use crate::config::shown_file;
use crate::master_key;

/// The webhook or the mail server cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct InvalidNotifier {
    key: &'static str,
    reason: String,
}

impl InvalidNotifier {
    pub(super) fn new(key: &'static str, reason: &str) -> Self {
        Self { key, reason: reason.to_owned() }
    }
}

/// The text in a file, without white space at its ends. One that others can read is refused, like the master key.
pub(super) fn read_secret(key: &'static str, path: &Path) -> Result<Zeroizing<String>, InvalidNotifier> {
    let failed = |reason: &dyn std::fmt::Display| InvalidNotifier::new(key, &format!("{}: {reason}", shown_file(path)));
    let secret = master_key::read_secret(path).map_err(|reason| failed(&reason))?;
    let text = std::str::from_utf8(&secret).map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b" an example \n").unwrap();
        assert_eq!(read_secret("mail.password_file", file.path()).unwrap().as_str(), "an example");
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = read_secret("mail.password_file", file.path()).unwrap_err().to_string();
        assert!(refused.starts_with("mail.password_file: ") && refused.contains("chmod 600"), "{refused}");
        let missing = read_secret("mail.password_file", Path::new("/nowhere/at all")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/at all"));
    }
}
