//! What is needed to tell others: secrets of other services, each in a file that only its owner may read.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

/// More than any secret needs, in bytes; what follows in the file is not read.
const LONGEST: u64 = 1024;

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
    let failed = |reason: String| InvalidOutlet::new(key, &format!("{}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    if crate::master_key::is_open_to_others(&file).map_err(|error| failed(error.to_string()))? {
        return Err(failed("open to others: run `chmod 600` on it".to_owned()));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
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
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_secret("mail.password_file", file.path()).unwrap_err().to_string();
        assert!(refused.starts_with("mail.password_file: ") && refused.contains("chmod 600"), "{refused}");
        let missing = read_secret("mail.password_file", Path::new("/nowhere/at all")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/at all"));
    }
}
