//! What a storm of logins does to the checks of those who are in: p99 of `GET /auth/verify`, asked at a steady pace, while
//! more people log in than the hashing queue takes, against the same when nobody does. A process of the release binary with
//! the settings of production, on SQLite. Rounds alternate. `cargo bench --bench storm`

mod support;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use support::http::{Connection, request};
use support::node::Node;
use support::people::sessions_of_many;
use support::{PASSWORD, add_user, median, milliseconds, on_one_thread, open, percentile, say};
use tokio::time::Instant;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
/// People who check, and how often each does.
const CHECKING: usize = 20;
const EVERY: Duration = Duration::from_millis(50);
/// People who log in again and again: 64 may wait, as many more as there are cores are being hashed.
const LOGGING_IN: u64 = 100;

fn main() {
    on_one_thread(async {
        let data = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", data.path().join("vigie.db").display());
        let app = open(&url, data.path(), &[]).await;
        for number in 0..LOGGING_IN {
            add_user(&app, &format!("user{number}")).await;
        }
        let tokens: Vec<_> =
            sessions_of_many(&app, CHECKING).await.into_iter().map(|holder| holder.access_token).collect();
        app.close().await;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        say(&format!("{cores} cores, shared by the server, its {cores} hashing threads and this load"));
        let node = Node::start(&url, data.path(), &[]).await;
        let (mut calm, mut stormy, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let before = checks(node.address, &tokens).await;
            // Those who log in have a thread of their own: what they cost the load must not delay its own checks.
            let raging = thread::spawn({
                let address = node.address;
                move || {
                    on_one_thread(async move {
                        let storm = Storm::default();
                        storm.rage(address).await;
                        storm
                    })
                }
            });
            let during = checks(node.address, &tokens).await;
            let storm = raging.join().expect("the storm passes");
            say(&format!(
                "round {round}: p99 {before:.2} ms calm, {during:.2} ms while {} logged in and {} were turned away",
                storm.let_in.get(),
                storm.turned_away.get()
            ));
            assert!(storm.turned_away.get() > 0, "the storm did not fill the queue");
            calm.push(before);
            stormy.push(during);
            ratios.push(during / before);
        }
        say(&format!(
            "checks: p99 {:.2} ms calm, {:.2} ms in a storm of logins, ratio {:.2} (medians of {ROUNDS}; aim: 2 at most)",
            median(calm),
            median(stormy),
            median(ratios)
        ));
    });
}

/// The 99th percentile of checks, in milliseconds, each counted from when it was sent, or from when it was due if the answer
/// before came later than that.
async fn checks(address: SocketAddr, tokens: &[String]) -> f64 {
    let took = RefCell::new(Vec::new());
    let began = Instant::now();
    let people = tokens.iter().zip(0_u32..).map(|(token, number)| {
        let took = &took;
        async move {
            let mut connection = Connection::open(address).await;
            let check = request("GET", "/auth/verify", Some(token), None);
            let mut due = began + EVERY * number / u32::try_from(CHECKING).expect("few");
            let mut answered = began;
            while began.elapsed() < ROUND {
                tokio::time::sleep_until(due).await;
                // That a timer is late is this load's fault; that the answer before came late is the server's.
                let counted = if answered > due { due } else { Instant::now() };
                assert_eq!(connection.exchange(&check).await.status, 200);
                answered = Instant::now();
                took.borrow_mut().push(milliseconds(answered.duration_since(counted)));
                due += EVERY;
            }
        }
    });
    join_all(people).await;
    percentile(&mut took.borrow_mut(), 0.99)
}

/// People who log in, and what became of them.
#[derive(Default)]
struct Storm {
    let_in: Cell<u32>,
    turned_away: Cell<u32>,
}

impl Storm {
    async fn rage(&self, address: SocketAddr) {
        let began = Instant::now();
        let people = (0..LOGGING_IN).map(|number| async move {
            let mut connection = Connection::open(address).await;
            let body = format!("{{\"username\":\"user{number}\",\"password\":\"{PASSWORD}\"}}");
            let login = request("POST", "/auth/login", None, Some(&body));
            // People do not come all in one moment, and do not come again all together either.
            let mut patience = (1..).map(|time: u64| Duration::from_millis(250 + (number * 61 + time * 173) % 500));
            tokio::time::sleep(Duration::from_millis(number * 5)).await;
            while began.elapsed() < ROUND {
                match connection.exchange(&login).await.status {
                    200 => self.let_in.set(self.let_in.get() + 1),
                    503 => {
                        self.turned_away.set(self.turned_away.get() + 1);
                        // As somebody does who is told to come back later.
                        tokio::time::sleep(patience.next().expect("without end")).await;
                    }
                    other => panic!("a login is answered {other}"),
                }
            }
        });
        join_all(people).await;
    }
}
