//! Proofs from the record chain: that a record is in it, and that it only grew.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::audit::chain::NoProof;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::input::{Given, Query};
use crate::http::problems::{BadQuery, NotFound, Refused};
use crate::model::record::RecordKind;
use crate::view::{TimeText, time};

/// A record in the chain, and the proof that it is there. Hashes are SHA-256 in base64.
#[derive(Debug, Serialize, ToSchema)]
pub struct InclusionAnswer {
    /// What the record is of.
    #[schema(value_type = String)]
    kind: RecordKind,
    /// The id of the event, attempt or session.
    subject: String,
    /// When the event happened.
    #[schema(value_type = String, format = "date-time")]
    at: TimeText,
    /// Covers every member of what the record stands for.
    digest: String,
    /// What the leaf of the tree is the hash of (RFC 6962 section 2.1: after a byte of zero).
    leaf: String,
    /// The place in the chain, from 0.
    position: i64,
    /// The hashes beside the path from the leaf to the root.
    hashes: Vec<String>,
    /// The signed checkpoint whose root the path leads to.
    checkpoint: String,
}

/// The proof that one checkpoint's records are the beginning of another's. Hashes are SHA-256 in base64.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsistencyAnswer {
    /// The hashes that lead from the one root to the other (RFC 6962 section 2.1.2).
    hashes: Vec<String>,
}

/// Between which sizes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SizesQuery {
    /// Records of the earlier checkpoint.
    #[param(minimum = 1)]
    from: u64,
    /// Records of the later one.
    #[param(minimum = 1)]
    to: u64,
}

/// Prove that an audit event is in the record, unaltered.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("seq" = i64, Path, description = "The event's number")),
    responses((status = 200, description = "The proof", body = InclusionAnswer), Refused, NotFound)
)]
#[get("/admin/audit/{seq}/proof")]
pub async fn prove_event(_: Reviewer, app: web::Data<App>, seq: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let seq: i64 = seq.parse().map_err(|_| ApiError::NotFound)?;
    let proof = app.chain.prove_inclusion(RecordKind::Event, seq.to_string()).await?.ok_or(ApiError::NotFound)?;
    let record = &proof.sealed.record;
    Ok(HttpResponse::Ok().json(InclusionAnswer {
        kind: record.kind,
        subject: record.subject.clone(),
        at: time(record.at),
        digest: STANDARD.encode(record.digest),
        leaf: STANDARD.encode(record.to_bytes()),
        position: proof.sealed.position,
        hashes: proof.hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect(),
        checkpoint: proof.checkpoint.note,
    }))
}

/// Prove that the record only grew between two checkpoints.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(SizesQuery),
    responses((status = 200, description = "The proof", body = ConsistencyAnswer), Refused, BadQuery, NotFound)
)]
#[get("/admin/audit/consistency")]
pub async fn prove_consistency(
    _: Reviewer,
    app: web::Data<App>,
    query: Given<Query<SizesQuery>>,
) -> Result<HttpResponse, ApiError> {
    let Query(SizesQuery { from, to }) = query?;
    let proof = app.chain.prove_consistency(from, to).await.map_err(|error| match error {
        NoProof::NoSuchSizes => ApiError::NotFound,
        NoProof::TooOld => ApiError::invalid("/from", NoProof::TooOld),
        NoProof::Store(error) => error.into(),
    })?;
    let hashes = proof.hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect();
    Ok(HttpResponse::Ok().json(ConsistencyAnswer { hashes }))
}

/// The newest signed checkpoint of the record (C2SP tlog-checkpoint), for whoever wants to keep it elsewhere.
#[utoipa::path(
    tag = "operators",
    responses((status = 200, description = "A signed note", body = String, content_type = "text/plain"), NotFound)
)]
#[get("/audit/checkpoint")]
pub async fn checkpoint(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let checkpoint = app.chain.newest_checkpoint().await?.ok_or(ApiError::NoCheckpoint)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(checkpoint.note))
}
