//! `examples/tour.sh`, against a real server: what it shows to newcomers holds.

use rstest::rstest;

use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;

#[rstest]
fn the_tour_ends_without_a_surprise(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    server.expect_tour();
}
