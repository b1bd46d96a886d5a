//! `vigie openapi`: the OpenAPI document that the server serves, without a server.

use super::outcome::Outcome;
use super::output::Output;
use crate::http::openapi;

pub(super) fn run(output: &mut Output) -> Outcome {
    output.json(&openapi::document())
}
