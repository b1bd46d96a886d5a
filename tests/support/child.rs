//! Runs a test in a process of its own, for what belongs to a whole process: its limits, its environment, its log.

use std::process::Command;

const MARK: &str = "VIGIE_TEST_IN_CHILD";

/// `true` in a process of its own. Otherwise makes one, by `wrapper` (a program and arguments that end in the program
/// to run; empty: directly) and with `environment`, in which this test runs alone and passes; then `false`.
#[must_use]
pub fn in_own_process(wrapper: &[&str], environment: &[(&str, &str)]) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program has a path");
    let mut words: Vec<_> = wrapper.iter().map(Into::into).collect();
    words.push(program.into_os_string());
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(["--exact", &name_of_this_test(), "--nocapture"])
        .envs(environment.iter().copied())
        .env(MARK, "1")
        .output()
        .expect("the test can be run once more");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "in a process of its own: {said}\n{complained}");
    false
}

/// The thread of a test bears its name; where a test runs on the main thread, it was asked for by name.
fn name_of_this_test() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => std::env::args().skip(1).find(|word| !word.starts_with('-')).expect("one test was asked for"),
    }
}
