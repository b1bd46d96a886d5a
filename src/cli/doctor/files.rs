//! What the doctor looks at on this machine: the data directory, the database's file, the master key, the shared secret, the
//! list of refused passwords.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Report;
use crate::app;
use crate::config::{Config, DatabaseAddress, shown_file};
use crate::master_key::{MasterKey, MasterKeyError};
use crate::regular_file;
use crate::whole_file::directory_of;

/// Whether the data directory can be written: by a file that never has a name.
pub(super) fn data_directory(config: &Config, report: &mut Report) {
    let directory = &config.data.dir;
    let shown = directory.display();
    if !directory.exists() {
        return report.warn("data directory", format_args!("{shown} is not there yet: the first start makes it"));
    }
    match tempfile::tempfile_in(directory) {
        Ok(_) => report.ok("data directory", format_args!("{shown} can be written")),
        Err(error) => report.fail(
            "data directory",
            format_args!("{shown} cannot be written ({error}): give it to the user that runs the server"),
        ),
    }
}

/// Whether others on this machine can read a SQLite database: its file is open, and so is the directory around it.
pub(super) fn database_file(config: &Config, report: &mut Report) {
    let DatabaseAddress::Sqlite(path) = &config.database.url else { return };
    let directory = directory_of(path);
    let (Some(file_mode), Some(directory_mode)) = (mode(path), mode(directory)) else { return };
    let is_closed = |mode: u32| mode.is_multiple_of(0o100);
    if is_closed(file_mode) || is_closed(directory_mode) {
        return report.ok("database file", "nobody else on this machine can read it");
    }
    let (file, directory) = (path.display(), directory.display());
    report.warn(
        "database file",
        format_args!(
            "{file} is open to others (mode {file_mode:03o}, its directory {directory_mode:03o}): run `chmod 700 {directory}`"
        ),
    );
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o777)
}

/// The master key, where it can be used. A missing one is only a fault where keys are encrypted with it.
pub(super) fn master_key(config: &Config, is_needed: bool, report: &mut Report) -> Option<MasterKey> {
    match MasterKey::load(config) {
        Ok(key) => {
            report.ok("master key", "can be read, and only by its owner");
            Some(key)
        }
        Err(MasterKeyError::Missing { path }) if !is_needed => {
            report.warn("master key", format_args!("{} is not there yet: the first start makes it", shown_file(&path)));
            None
        }
        Err(error) => {
            report.fail("master key", error);
            None
        }
    }
}

/// The secret that another application shares, where one is configured.
pub(super) fn shared_secret(config: &Config, report: &mut Report) {
    match app::shared_secret(config) {
        Ok(None) => {}
        Ok(Some(_)) => report.ok("shared secret", "tokens.hs256_secret_file can be used"),
        Err(error) => report.fail("shared secret", error),
    }
}

/// The list of refused passwords, where one is configured.
pub(super) fn blocklist(config: &Config, report: &mut Report) {
    let path = &config.passwords.blocklist_file;
    if path.as_os_str().is_empty() {
        return;
    }
    match regular_file::open(path) {
        Ok(_) => report.ok("refused passwords", "passwords.blocklist_file can be read"),
        Err(error) => report.fail(
            "refused passwords",
            format_args!("passwords.blocklist_file: {} cannot be read: {error}", shown_file(path)),
        ),
    }
}
