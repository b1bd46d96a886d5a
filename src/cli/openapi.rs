//! `vigie openapi`: the OpenAPI document that the server serves, without a server.

use utoipa::openapi::{Info, OpenApi, OpenApiBuilder};

use super::outcome::Outcome;
use super::output::Output;

/// Runs the command.
pub(super) fn run(output: &mut Output) -> Outcome {
    output.json(&document())
}

/// Stands for `http::openapi::document()` until that exists.
fn document() -> OpenApi {
    OpenApiBuilder::new().info(Info::new("Vigie", env!("CARGO_PKG_VERSION"))).build()
}
