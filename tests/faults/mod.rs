//! What breaks, and what then still holds: on both databases, over HTTP where a client would notice.

mod clock;
mod clocks_apart;
mod crash;
mod cut_connections;
mod ends;
mod panic;
mod secrets;
mod slow_clients;
mod store_busy;
mod store_down;
mod store_full;
mod tls;
mod two_nodes;

use crate::support::app::Answer;
use crate::support::until::until;

/// Expects an answer that decides nothing, as http-api.md has it.
#[track_caller]
fn assert_unavailable(answer: &Answer, asked: &str) {
    assert_eq!(answer.status, 503, "{asked}: {}", answer.body);
    let wait: u64 = answer.header("retry-after").unwrap_or_default().parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{asked}: {wait}");
    if !answer.body.is_empty() {
        answer.clone().problem(503, "unavailable");
    }
}

/// Asks until the answer is a 200; until then only 503 may be said.
async fn recovers(ask: impl AsyncFn() -> Answer) {
    let has_recovered = async || {
        let answer = ask().await;
        if answer.status != 200 {
            assert_unavailable(&answer, "while it recovers");
        }
        answer.status == 200
    };
    until("it has recovered by itself", has_recovered).await;
}
