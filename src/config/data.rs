//! `[data]` and `[keys]`: what this machine keeps, and the master key, which opens the keys in the database.

use std::path::PathBuf;

use secrecy::SecretString;

use super::faults::Faults;
use super::setting::section;

section! {
    /// `[data]`
    pub struct Data {
        pub dir: PathBuf,
    }
}

section! {
    /// `[keys]`
    pub struct Keys {
        pub master_key_file: PathBuf,
        pub master_key: SecretString,
    }
}

impl Data {
    pub(super) fn check(&self, faults: &mut Faults) {
        let is_something_else = self.dir.exists() && !self.dir.is_dir();
        let is_named = !self.dir.as_os_str().is_empty();
        faults.require(is_named && !is_something_else, "data.dir", "must name a directory");
    }
}
