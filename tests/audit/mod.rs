//! The record chain: what is sealed, what verifying finds, and proofs for others (P6).

mod both_directions;
mod bulk_ends;
mod carried_forward;
mod chain;
mod crash;
mod digests;
mod erasure;
mod first_coverage;
mod forgery;
mod forms;
mod keyed;
mod power;
mod retention;
mod schema;
mod signing;
pub mod tamper;
mod watch;

use vigie::audit::chain::{Damage, Verified};

use crate::support::app::TestApp;

/// Verifies, against the checkpoint in the data directory too, as the command line does.
pub async fn verify(app: &TestApp) -> Result<Verified, Damage> {
    let kept = std::fs::read_to_string(app.app.chain.file()).ok();
    let kept: Vec<_> = kept.iter().map(|note| app.app.chain.key().open(note).unwrap()).collect();
    app.app.chain.verify(&kept, |_, _| {}).await.unwrap()
}
