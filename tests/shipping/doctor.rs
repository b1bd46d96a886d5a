//! What `vigie doctor` says of the sinks: whether they have what they need, and whether they are there.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rstest::rstest;
use serde_json::Value;

use super::collector::Collector;
use super::receiver::Receiver;
use super::to_syslog;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::certificates::{Certificates, write_private};
use crate::support::program::{Program, finish};

/// Each line about shipping that the doctor writes with these settings: how it judges, and why.
fn told(program: &Program, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut command = program.command(&["doctor", "--json"]);
    command.envs(settings.iter().copied());
    let report: Value = serde_json::from_str(&finish(command, "").output).expect("JSON");
    let about_shipping = report.as_array().expect("checks").iter().filter(|check| check["name"] == "shipping");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    about_shipping.map(|check| (text(&check["status"]), text(&check["text"]))).collect()
}

fn is_only(told: &[(String, String)], status: &str, text: &str) {
    assert!(matches!(told, [(of, why)] if of == status && why.contains(text)), "{told:?} instead of {status}: {text}");
}

/// An address where nobody is.
fn nobody() -> String {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    address.expect("an address").to_string()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_a_collector(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let collector = Collector::plain().await;
    is_only(&told(&program, &to_syslog(&collector.address)), "ok", "syslog can be reached");
    is_only(&told(&program, &to_syslog(&nobody())), "warn", "refused");
    let directory = tempfile::tempdir().expect("a directory");
    let certificates = Certificates::write(directory.path());
    let secure = Collector::tls(directory.path()).await;
    let by = |address: &str, authority: &Path| {
        let authority = authority.to_str().expect("a path");
        told(
            &program,
            &[("VIGIE__SHIPPING__SYSLOG__ADDRESS", address), ("VIGIE__SHIPPING__SYSLOG__CA_FILE", authority)],
        )
    };
    is_only(&by(&secure.address, &certificates.root), "ok", "syslog can be reached");
    is_only(&by(&secure.address, &certificates.stranger), "warn", "UnknownIssuer");
    // It waits for a message in the clear.
    let silent = Collector::hanging().await;
    is_only(&by(&silent.address, &certificates.root), "warn", "no answer in 3 seconds; check [shipping.syslog]");
    is_only(&by(&secure.address, &directory.path().join("nothing")), "fail", "shipping.syslog.ca_file");
    assert_eq!([collector.messages(), secure.messages()].concat(), Vec::<String>::new());
}

#[rstest]
fn the_doctor_tries_a_file_and_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let path = program.path("events");
    let told = |path: &Path| told(&program, &[("VIGIE__SHIPPING__FILE__PATH", path.to_str().expect("a path"))]);
    is_only(&told(&path), "ok", "file can be reached");
    assert!(!path.exists());
    std::fs::write(&path, "{\"half a li").expect("it is written");
    is_only(&told(&path), "ok", "file can be reached");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "{\"half a li");
    is_only(&told(&path.join("events")), "warn", "check [shipping.file]");
    is_only(&told(&program.path("no directory").join("events")), "warn", "No such file or directory");
    // Whoever may do everything may write to a file, but not to a directory.
    is_only(&told(path.parent().expect("a directory")), "warn", "Is a directory");
}

#[rstest]
#[actix_web::test]
async fn the_doctor_tries_a_receiver(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let secret = program.path("secret");
    write_private(&secret, &format!("whsec_{}", "A".repeat(32)));
    let receiver = Receiver::start();
    let told = |url: &str| {
        let secret = secret.to_str().expect("a path");
        told(&program, &[("VIGIE__SHIPPING__WEBHOOK__URL", url), ("VIGIE__SHIPPING__WEBHOOK__SECRET_FILE", secret)])
    };
    is_only(&told(&receiver.url), "ok", "webhook can be reached");
    is_only(&told(&format!("http://{}/", nobody())), "warn", "(os error 111); check [shipping.webhook]");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("the mode is set");
    is_only(&told(&receiver.url), "fail", "chmod 600");
    assert!(receiver.received().is_empty());
}
