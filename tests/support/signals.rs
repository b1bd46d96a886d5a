//! Signals to processes that tests and benchmarks start.

use std::process::{Child, Command};

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    signal(child, "-TERM");
}

/// Sends a signal: `-HUP`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}
