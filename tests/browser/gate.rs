//! One login for two sites behind a real proxy, in a real browser that trusts the authority of their certificates.

use std::path::Path;
use std::process::Command;

use rstest::rstest;

use super::script::passes;
use crate::proxies::gate::{CADDY, Installation, NGINX, Recipe, serve};
use crate::support::backend::Backend::Sqlite;

/// A home in which browsers find this authority among those that are trusted.
fn home_that_trusts(root: &Path) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a directory");
    let folder = home.path().join(".pki/nssdb");
    std::fs::create_dir_all(&folder).expect("a directory");
    let certutil = |arguments: &[&str]| {
        let mut command = Command::new("certutil");
        command.arg("-d").arg(format!("sql:{}", folder.display())).args(arguments);
        let done = command.output().expect("certutil, of libnss3-tools: tests/run installs it");
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    certutil(&["-N", "--empty-password"]);
    certutil(&["-A", "-n", "root of a test", "-t", "C,,", "-i", &root.display().to_string()]);
    home
}

#[rstest]
#[case::nginx(NGINX)]
#[case::caddy(CADDY)]
#[actix_web::test]
async fn one_login_opens_two_sites_until_it_is_over(#[case] recipe: Recipe) {
    let Installation { program: _program, server, front, root } = serve(&recipe, Sqlite);
    let home = home_that_trusts(&root);
    passes(
        "gate.mjs",
        &server,
        &[
            ("HOME", &home.path().display().to_string()),
            ("VIGIE_HOSTS", &format!("MAP *.example.org {}", front.address)),
            ("VIGIE_SITES", "https://login.example.org https://app.example.org https://wiki.example.org"),
        ],
    );
}
