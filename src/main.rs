//! The command line of Vigie.
fn main() {}
