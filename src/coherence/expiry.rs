//! Which leases of other nodes have run out, by this process's own clock.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::id::NodeId;
use crate::store::nodes::Node;

/// What a lease is waited for beyond its length. A quarter, because clocks may be slewed: where the holder's runs a tenth
/// slow and the waiter's a tenth fast, a lease lasts 2/9 longer than it is waited for.
const fn margin(lease: Duration) -> Duration {
    Duration::from_millis(200).saturating_add(lease.checked_div(4).expect("four is not zero"))
}

/// How long who sees a lease begin waits until nobody can hold it any more.
pub(super) const fn outlasting(lease: Duration) -> Duration {
    lease.saturating_add(margin(lease))
}

/// Leases that are timed. Only a watch without a break tells anything: what a crash of the database takes back may be the
/// move of a lease.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// The number of each lease, and since when it has been the same.
    unmoved: HashMap<NodeId, (i64, Duration)>,
    /// The count of connections made to the database when it was looked at last. A database that crashes or is replaced by
    /// another ends every connection, so one look over older connections has the same database behind it as the look before.
    connections: u64,
}

impl LeaseWatch {
    /// Forgets what was seen: after a look that failed.
    pub fn begin_anew(&mut self) {
        self.unmoved.clear();
    }

    /// Of `nodes`, seen before `now` over one of the `connections` made so far, those whose lease nobody can hold any more.
    pub fn run_out(&mut self, nodes: &[Node], connections: u64, now: Duration) -> Vec<Node> {
        if std::mem::replace(&mut self.connections, connections) != connections {
            self.begin_anew();
        }
        self.unmoved.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        let has_run_out = |node: &&Node| {
            let (lease_no, since) = self.unmoved.entry(node.id).or_insert((node.lease_no, now));
            if *lease_no != node.lease_no {
                (*lease_no, *since) = (node.lease_no, now);
            }
            now.saturating_sub(*since) >= outlasting(node.lease)
        };
        nodes.iter().filter(has_run_out).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_mins(1);

    fn node(lease_no: i64) -> Node {
        Node { id: NodeId(uuid::Uuid::from_u128(7)), lease_no, applied_seq: 0, lease: LEASE }
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn clocks_a_tenth_fast_and_a_tenth_slow_do_not_shorten_the_wait_below_the_lease() {
        for milliseconds in [200, 2_000, 60_000] {
            let lease = Duration::from_millis(milliseconds);
            assert!(outlasting(lease).mul_f64(1.0 / 1.1) >= lease.mul_f64(1.0 / 0.9), "{lease:?}");
        }
    }

    #[test]
    fn a_lease_has_run_out_when_it_did_not_move_for_its_length_and_the_margin() {
        let mut watch = LeaseWatch::default();
        assert_eq!(watch.run_out(&[node(1)], 1, seconds(1000)), []);
        assert_eq!(watch.run_out(&[node(1)], 1, seconds(1075)), []);
        assert_eq!(watch.run_out(&[node(1)], 1, seconds(1076)), [node(1)]);
        assert_eq!(watch.run_out(&[node(2)], 1, seconds(1077)), []);
        assert_eq!(watch.run_out(&[node(2)], 1, seconds(1152)), []);
        assert_eq!(watch.run_out(&[node(2)], 1, seconds(1153)), [node(2)]);
    }

    #[test]
    fn a_watch_begins_anew_after_a_look_that_failed_and_where_the_database_was_connected_to_again() {
        let mut watch = LeaseWatch::default();
        assert_eq!(watch.run_out(&[node(1)], 1, seconds(1000)), []);
        watch.begin_anew();
        assert_eq!(watch.run_out(&[node(1)], 1, seconds(1080)), []);
        assert_eq!(watch.run_out(&[node(1)], 2, seconds(1160)), []);
        assert_eq!(watch.run_out(&[node(1)], 2, seconds(1235)), []);
        assert_eq!(watch.run_out(&[node(1)], 2, seconds(1236)), [node(1)]);
    }
}
