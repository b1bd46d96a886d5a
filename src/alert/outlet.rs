//! What is needed to tell others: secrets of other services, each in a file that only its owner may read.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::master_key;

/// The webhook or the mail server cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct InvalidOutlet {
    key: &'static str,
    reason: String,
}

impl InvalidOutlet {
    pub(super) fn new(key: &'static str, reason: &str) -> Self {
        Self { key, reason: reason.to_owned() }
    }
}

/// The text in a file, without white space at its ends. One that others can read is refused, like the master key.
pub(super) fn read_secret(key: &'static str, path: &Path) -> Result<Zeroizing<String>, InvalidOutlet> {
    let failed = |reason: &dyn std::fmt::Display| InvalidOutlet::new(key, &format!("{}: {reason}", path.display()));
    let secret = master_key::read_secret(path).map_err(|reason| failed(&reason))?;
    let text = std::str::from_utf8(&secret).map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Whether those who are told could be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Nobody is configured.
    Off,
    /// They are there, and who they should be.
    Reached,
    /// They are not, or not in time.
    NotReached(String),
}

impl Reach {
    /// What came of trying, which may take so long.
    pub(super) async fn within(patience: Duration, trying: impl Future<Output = Result<(), String>>) -> Self {
        match tokio::time::timeout(patience, trying).await {
            Ok(Ok(())) => Self::Reached,
            Ok(Err(why)) => Self::NotReached(why),
            Err(_) => Self::NotReached(format!("no answer in {} seconds", patience.as_secs())),
        }
    }
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
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_secret("mail.password_file", file.path()).unwrap_err().to_string();
        assert!(refused.starts_with("mail.password_file: ") && refused.contains("chmod 600"), "{refused}");
        let missing = read_secret("mail.password_file", Path::new("/nowhere/at all")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/at all"));
    }
}
