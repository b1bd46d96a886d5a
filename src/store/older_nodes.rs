//! Migrations that no node of an older version survives: it could neither seal the history nor join again. They are refused
//! while one runs, and one that has stopped without a word is removed.

use std::collections::HashMap;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::backend::{Db, on_backend};
use super::error::{OpenError, StoreError};
use crate::clock::uptime;

/// The migrations during which no older node may run.
const ALONE: [&str; 1] = ["2026-11-28-000020_key_the_record_chain"];
/// What such a node needs: where it is missing, none ever ran.
const SINCE: &str = "2026-11-22-000007_add_lease_length_to_nodes";
/// The pause between two looks whether an older node still renews its row.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(QueryableByName)]
struct OlderNode {
    #[diesel(sql_type = diesel::sql_types::Text)]
    id: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    lease_no: i64,
    #[diesel(sql_type = diesel::sql_types::Text)]
    address: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    lease_ms: i64,
}

/// Refuses the migrations that are missing while a node of an older version runs: one whose lease moves.
#[expect(
    clippy::disallowed_methods,
    reason = "on a thread that migrates, for some seconds at most, where a node was killed"
)]
pub(super) fn refuse(db: &mut Db, missing: &[String]) -> Result<(), OpenError> {
    let is_missing = |name: &str| missing.iter().any(|missing| missing == name);
    if is_missing(SINCE) || !ALONE.into_iter().any(is_missing) {
        return Ok(());
    }
    let (began, mut leases) = (uptime(), HashMap::new());
    loop {
        let nodes = older_nodes(db)?;
        let moved = |node: &&OlderNode| *leases.entry(node.id.clone()).or_insert(node.lease_no) != node.lease_no;
        if let Some(running) = nodes.iter().find(moved) {
            return Err(OpenError::OlderNode { address: running.address.clone(), missing: missing.to_vec() });
        }
        let lease = nodes.iter().map(|node| Duration::from_millis(node.lease_ms.unsigned_abs())).max();
        let Some(lease) = lease else { return Ok(()) };
        if uptime().saturating_sub(began) > lease + lease / 4 {
            // Should one that was halted go on, it finds itself evicted, and cannot join again.
            return Ok(db.batch_execute("DELETE FROM nodes").map_err(StoreError::from)?);
        }
        std::thread::sleep(PAUSE);
    }
}

fn older_nodes(db: &mut Db) -> Result<Vec<OlderNode>, StoreError> {
    let query = diesel::sql_query("SELECT CAST(id AS TEXT) AS id, lease_no, address, lease_ms FROM nodes");
    Ok(on_backend!(db, |connection| query.load(connection))?)
}
