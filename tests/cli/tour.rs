//! `examples/tour.sh`, against a real server: what it shows to newcomers holds.

use std::process::Command;

use rstest::rstest;

use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::{Program, finish};

#[rstest]
fn the_tour_ends_without_a_surprise(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    let mut tour = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tour.sh"));
    tour.env("VIGIE_URL", &server.url).env("VIGIE_SETUP_TOKEN", server.setup_token().expect("a token"));
    let said = finish(tour, "").expect(0);
    assert!(said.ends_with("The tour is over: everything was as promised.\n"), "{said}");
}
