//! Whether the time of a failed login tells why it failed (ATH-01, D5-34): unknown names, wrong passwords and disabled users
//! by turns in random order, at the cost of production: from an address that is open, from one that is closed, and by a device
//! that is known for somebody else. Medians, and a rank test for each pair. Ends with 1 where two medians lie 5 % or more apart.
//! `cargo bench --bench enumeration`

#![expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use support::http::{Connection, request};
use support::{Cluster, PASSWORD, add_user, median, milliseconds, open, say, serve_live};
use vigie::app::App;
use vigie::model::audit::AuditContext;
use vigie::model::user::UserState;
use vigie::user::change::UserChange;

/// Samples of each class.
const SAMPLES: usize = 300;
/// Users of each class that has any: each fails a few times only.
const USERS: usize = 60;
/// Before anything is measured.
const WARM_UP: usize = 30;
/// The most that two medians may lie apart, as a share of the smaller.
const ALLOWED: f64 = 0.05;

/// Throttling and alerts out of the way: an attacker who must wait learns nothing more.
const SETTINGS: &[(&str, &str)] = &[
    ("VIGIE__THROTTLE__FREE_FAILURES", "90"),
    ("VIGIE__THROTTLE__DAILY_FAILURES", "0"),
    ("VIGIE__THROTTLE__LOCKED_AFTER", "50"),
    ("VIGIE__THROTTLE__NETWORK_FAILURES", "1000000"),
    ("VIGIE__THROTTLE__OVERALL_FAILURES", "0"),
    ("VIGIE__ALERTS__NAMES_FROM_NETWORK", "0"),
    ("VIGIE__ALERTS__ACCOUNTS_SPRAYED", "0"),
];

const CLASSES: [&str; 3] = ["unknown", "wrong", "disabled"];

/// What stands between a try and the password.
struct Limits {
    name: &'static str,
    /// `[throttle] address_failures`.
    address_failures: &'static str,
    /// Whether each try shows the device token of somebody else.
    shows_a_device: bool,
    /// What is answered.
    status: u16,
}

const LIMITS: [Limits; 4] = [
    Limits { name: "open", address_failures: "1000000", shows_a_device: false, status: 401 },
    Limits { name: "open, another's device", address_failures: "1000000", shows_a_device: true, status: 401 },
    Limits { name: "closed", address_failures: "1", shows_a_device: false, status: 429 },
    Limits { name: "closed, another's device", address_failures: "1", shows_a_device: true, status: 429 },
];

fn main() -> ExitCode {
    let cluster = Cluster::start();
    let is_even = actix_web::rt::System::new().block_on(async {
        let mut is_even = true;
        for limits in LIMITS {
            let data = tempfile::tempdir().expect("a directory");
            let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
            is_even &= measure("SQLite", &sqlite, data.path(), &limits).await;
            let data = tempfile::tempdir().expect("a directory");
            is_even &= measure("PostgreSQL", &empty_database(&cluster, &limits), data.path(), &limits).await;
        }
        is_even
    });
    if is_even { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The address of a database of its own.
fn empty_database(cluster: &Cluster, limits: &Limits) -> String {
    let name: String = limits.name.chars().filter(char::is_ascii_alphabetic).collect();
    let mut connection = PgConnection::establish(&cluster.url).expect("the cluster runs");
    connection.batch_execute(&format!("CREATE DATABASE {name}")).expect("made");
    let (server, _) = cluster.url.rsplit_once('/').expect("a database in the address");
    format!("{server}/{name}")
}

async fn measure(database: &str, url: &str, data: &std::path::Path, limits: &Limits) -> bool {
    let database = format!("{database}, {}", limits.name);
    let of_address = ("VIGIE__THROTTLE__ADDRESS_FAILURES", limits.address_failures);
    let app = open(url, data, &[SETTINGS, &[of_address]].concat()).await;
    add_user(&app, "somebody").await;
    for number in 0..USERS {
        add_user(&app, &name("wrong", number)).await;
        add_user(&app, &name("disabled", number)).await;
        disable(&app, &name("disabled", number)).await;
    }
    let (address, _coherence) = serve_live(&app).await;
    let samples = sample(address, limits).await;
    let medians = samples.each_ref().map(|times| median(times.clone()));
    for (class, median) in CLASSES.iter().zip(medians) {
        say(&format!("{database}: {class:<8} median {median:.3} ms of {SAMPLES}"));
    }
    let mut is_even = true;
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let apart = (medians[one] - medians[other]).abs() / medians[one].min(medians[other]);
        let z = rank_test(&samples[one], &samples[other]);
        let (first, second) = (CLASSES[one], CLASSES[other]);
        say(&format!(
            "{database}: {first} and {second}: medians {:.2} % apart, Mann-Whitney z {z:+.2} (beyond 3.29: p < 0.001)",
            apart * 100.0
        ));
        is_even &= apart < ALLOWED;
    }
    is_even
}

fn name(class: &str, number: usize) -> String {
    format!("{class}-{number}")
}

async fn disable(app: &App, name: &str) {
    let user = app.users.find_by_id_or_name(name).await.expect("the store answers").expect("a user");
    let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
    app.users.change(user.id, change, &AuditContext::command_line()).await.expect("disabled");
}

/// Milliseconds of each class, measured by turns: what else the machine does concerns all alike.
async fn sample(address: SocketAddr, limits: &Limits) -> [Vec<f64>; 3] {
    let mut connection = Connection::open(address).await;
    let login = serde_json::json!({ "username": "somebody", "password": PASSWORD }).to_string();
    let answer = connection.exchange(&request("POST", "/auth/login", None, Some(&login))).await;
    let answer: serde_json::Value = serde_json::from_slice(answer.body).expect("JSON");
    let device = limits.shows_a_device.then(|| answer["device_token"].clone());
    // The failure that closes an address which may have none.
    let failure = serde_json::json!({ "username": "nobody", "password": "x" }).to_string();
    connection.exchange(&request("POST", "/auth/login", None, Some(&failure))).await;
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..WARM_UP + SAMPLES {
        for class in shuffled() {
            let username = name(CLASSES[class], round % USERS);
            let body = serde_json::json!({ "username": username, "password": "not the password of anybody", "device_token": device });
            let wanted = request("POST", "/auth/login", None, Some(&body.to_string()));
            let began = Instant::now();
            let status = connection.exchange(&wanted).await.status;
            let took = milliseconds(began.elapsed());
            assert_eq!(status, limits.status, "{username}");
            if round >= WARM_UP {
                samples[class].push(took);
            }
        }
    }
    samples
}

/// The classes in random order.
fn shuffled() -> [usize; 3] {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let random = getrandom::u32().expect("a random source");
    ORDERS[usize::try_from(random).expect("32 bits") % ORDERS.len()]
}

/// The normal approximation of the Mann-Whitney U test: far from 0 where one class tends to take longer.
fn rank_test(one: &[f64], other: &[f64]) -> f64 {
    let wins = |time: &f64| {
        other
            .iter()
            .map(|than| {
                if time > than {
                    1.0
                } else if time < than {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    let u: f64 = one.iter().map(wins).sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}
