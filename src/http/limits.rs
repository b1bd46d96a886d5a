//! What a process may hold open at a time, and how much of it goes to connections.

use std::net::TcpListener;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::connection::SEND_BUFFER;

/// Descriptors that are kept from connections: for the database, the log, webhooks and whatever else is opened.
const KEPT_BACK: u64 = 256;
/// Connections that a worker takes at most, and at least.
const MOST: u64 = 25_000;
const FEWEST: u64 = 16;

/// How many connections each worker takes. Further ones wait in the system's queue: a process without a free descriptor
/// could not even reach its database.
pub(super) fn connections_for(workers: usize) -> usize {
    share(descriptors(), u64::try_from(workers).unwrap_or(u64::MAX))
}

fn share(descriptors: u64, workers: u64) -> usize {
    let share = (descriptors.saturating_sub(KEPT_BACK) / workers.max(1)).clamp(FEWEST, MOST);
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// How many descriptors this process may have, after asking for as many as it may ask for.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        if let Err(error) = raised {
            tracing::debug!(cause = %error, "the number of descriptors cannot be raised");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Bounds what the system keeps of answers that clients do not take: connections have it from their listener.
pub(super) fn bound_send_buffer(listener: &TcpListener) -> std::io::Result<()> {
    rustix::net::sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_descriptors_that_are_left() {
        assert_eq!(share(1024, 2), 384);
        assert_eq!(share(1_048_576, 2), 25_000);
        assert_eq!(share(100, 8), 16, "few, but not none");
        assert_eq!(share(u64::MAX, 0), 25_000);
    }
}
