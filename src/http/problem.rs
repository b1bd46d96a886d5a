//! Answers that say what went wrong: RFC 9457 problem details.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, EitherBody};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

use super::request_id::RequestIdentity;

/// What went wrong with a request (RFC 9457). `code` is stable; the texts may change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:vigie:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: Cow<'static, str>,
    /// The status of the answer.
    pub status: u16,
    /// What went wrong this time.
    pub detail: Cow<'static, str>,
    /// The stable word for it.
    pub code: Cow<'static, str>,
    /// The request, as it is named in the log and in `X-Request-Id`.
    pub request_id: String,
    /// Which members of the request do not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InvalidMember>,
}

/// A member of the request that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvalidMember {
    /// Where it is (JSON pointer, RFC 6901).
    pub pointer: String,
    /// What the member must be, in a sentence.
    pub message: String,
}

impl Problem {
    /// A problem of the kind `code`.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind: format!("urn:vigie:problem:{code}"),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            request_id: String::new(),
            errors: Vec::new(),
        }
    }

    /// The same problem, with the members that do not fit.
    #[must_use]
    pub fn with_errors(self, errors: Vec<InvalidMember>) -> Self {
        Self { errors, ..self }
    }

    /// The answer that carries the problem. The middleware writes its body, because it knows the id of the request.
    #[must_use]
    pub fn response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/problem+json")).finish();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of an answer made by [`Problem::response`]; leaves any other as it is.
pub(super) fn complete<B>(mut response: HttpResponse<B>, identity: &RequestIdentity) -> HttpResponse<EitherBody<B>> {
    let problem = response.extensions_mut().remove::<Problem>();
    let Some(mut problem) = problem else { return response.map_into_left_body() };
    identity.as_str().clone_into(&mut problem.request_id);
    let body = serde_json::to_vec(&problem).expect("texts and a number are always JSON");
    response.map_body(|_, _| EitherBody::right(BoxBody::new(body)))
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;

    async fn written(problem: Problem) -> (String, Value) {
        let identity = RequestIdentity::new(DateTime::UNIX_EPOCH);
        let response = complete(problem.response(), &identity);
        let content_type = response.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
        let mut body: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!(body["request_id"].take(), json!(identity.as_str()));
        (content_type, body)
    }

    #[actix_web::test]
    async fn a_problem_has_the_members_of_the_contract() {
        let problem = Problem::new(StatusCode::CONFLICT, "conflict", "Conflict", "This name is taken.");
        let (content_type, body) = written(problem).await;
        assert_eq!(content_type, "application/problem+json");
        let expected = json!({
            "type": "urn:vigie:problem:conflict", "title": "Conflict", "status": 409, "detail": "This name is taken.",
            "code": "conflict", "request_id": null,
        });
        assert_eq!(body, expected);
    }

    #[actix_web::test]
    async fn a_problem_tells_which_members_do_not_fit() {
        let errors = vec![InvalidMember { pointer: "/username".into(), message: "is missing".into() }];
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "Invalid input", "See errors.");
        let (_, body) = written(problem.with_errors(errors)).await;
        assert_eq!(body["errors"], json!([{"pointer": "/username", "message": "is missing"}]));
    }
}
