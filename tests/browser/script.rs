//! A script of this folder, against a real server.

use crate::support::app::PASSWORD;
use crate::support::packages::{node, project};
use crate::support::program::{Server, finish};

/// Goes with a browser through all steps of a script, which may be told more.
#[track_caller]
pub fn passes(script: &str, server: &Server, told: &[(&str, &str)]) {
    let mut command = node("tests/browser", &project("tests/browser").join(script));
    command
        .env("VIGIE_URL", &server.url)
        .env("VIGIE_PASSWORD", PASSWORD)
        .env("VIGIE_SCREENSHOTS", project("target/browser-screenshots"))
        .env("NO_PROXY", "127.0.0.1")
        .envs(told.iter().copied());
    let finished = finish(command, "");
    assert_eq!(finished.code, 0, "{}\n{}\n{}", finished.output, finished.remarks, server.log());
}
