//! Where `tests/run` installs other people's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Node, for a script that uses the packages of a folder. Where the machine's own is too old for them, one stands in the
/// environment of the Python clients.
pub fn node(folder: &str, script: &Path) -> Command {
    let installed = project(folder).join("node_modules").exists();
    assert!(installed, "the packages of {folder} are missing: tests/run installs them (`npm ci` there)");
    let own = project("target/clients/node");
    let mut command = Command::new(if own.exists() { own } else { PathBuf::from("node") });
    command.arg(script);
    command
}

/// A program of the environment with the packages of `tests/clients/python`.
pub fn python(program: &str) -> Command {
    let path = project("target/clients/bin").join(program);
    assert!(path.exists(), "the packages of tests/clients/python are missing: tests/run installs them");
    Command::new(path)
}
