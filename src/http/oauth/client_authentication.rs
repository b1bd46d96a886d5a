//! From a request to the client that sent it: HTTP Basic, `client_id` and `client_secret` in the form (RFC 6749 §2.3.1), or an
//! assertion (RFC 7523 §2.2). One way at a time, and nothing of it in the address.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, Accept, Quality};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::error::OAuthError;
use crate::app::App;
use crate::client::authenticate::ClientCredentials;
use crate::http::authenticate::{RequestInfo, app_of, refused_request, route};
use crate::http::input::{FormPairs, Input as _};
use crate::model::audit::{AuditContext, Reason, Subject, SubjectKind};
use crate::model::client::{Client, Scope};
use crate::model::session::Actor;

/// What an assertion of a client is called in a form (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What is never read from an address.
const SECRET_PARAMETERS: [&str; 4] = ["token", "access_token", "client_secret", "client_assertion"];
/// The media type of signed answers (RFC 9701 §4).
pub(super) const SIGNED_ANSWER: &str = "application/token-introspection+jwt";
const TWO_WAYS: OAuthError = OAuthError::InvalidRequest("Two ways to authenticate at once.");

/// A client that has authenticated, and the form that it sent.
pub struct AuthenticatedForm {
    /// The client that sent the form, and has authenticated.
    pub client: Arc<Client>,
    parameters: Parameters,
    app: web::Data<App>,
    request: HttpRequest,
}

/// The parameters of a form, each once. No `Debug`: there are secrets in it.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Refuses a form in which a parameter is there twice (RFC 6749 §3.2). What has no value counts as left out.
    fn new(mut pairs: Vec<(String, String)>) -> Result<Self, OAuthError> {
        pairs.sort_unstable();
        if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(OAuthError::InvalidRequest("A parameter is there twice."));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

impl AuthenticatedForm {
    /// The token that the form is about.
    pub fn token(&self) -> Result<&str, OAuthError> {
        self.parameters.get("token").ok_or(OAuthError::InvalidRequest("The parameter token is missing."))
    }

    /// Refuses a client that may not ask for this.
    pub fn require(&self, scope: Scope) -> Result<(), OAuthError> {
        if self.client.may(scope) {
            return Ok(());
        }
        let subject = Subject::new(SubjectKind::Client, &self.client.id);
        self.app.refusals.note_access(Reason::NotAllowed, &self.context(), subject, &route(&self.request));
        Err(OAuthError::UnauthorizedClient)
    }

    /// The client, acting in this request.
    #[must_use]
    pub fn context(&self) -> AuditContext {
        RequestInfo::of(&self.request).context(Actor::client(&self.client.id))
    }

    /// Whether it asks for a signed answer.
    #[must_use]
    pub fn wants_signed_answer(&self) -> bool {
        wants_signed_answer(&self.request)
    }
}

impl FromRequest for AuthenticatedForm {
    type Error = OAuthError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, OAuthError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(authenticated(request.clone(), payload.take()))
    }
}

async fn authenticated(request: HttpRequest, payload: Payload) -> Result<AuthenticatedForm, OAuthError> {
    let app = app_of(&request)?;
    if holds_secret(request.query_string()) {
        return Err(OAuthError::InvalidRequest("Tokens and secrets do not belong in the address."));
    }
    let by = || refused_request(&request);
    // Who is not believed is told so before a byte of the form is read; and is judged again when it is whole.
    let basic = basic_credentials(&request);
    let at_head = match &basic {
        Ok(Some(credentials)) => Some(app.clients.authenticate(credentials, by).await?),
        _ => None,
    };
    let FormPairs(pairs) = FormPairs::read(&request, payload).await?;
    let parameters = Parameters::new(pairs)?;
    let credentials = client_credentials(&request, basic, &parameters).inspect_err(|error| {
        if *error == TWO_WAYS {
            app.refusals.note_unread_token(Reason::TwoCredentials, &by());
        }
    })?;
    let client = match at_head {
        Some(client) if app.clients.is_unchanged(&client) => client,
        _ => app.clients.authenticate(&credentials, by).await?,
    };
    Ok(AuthenticatedForm { client, parameters, app, request })
}

fn holds_secret(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| SECRET_PARAMETERS.contains(&&*name))
}

/// The credentials of the client that sent a request: given in exactly one way. `basic` are those of its head.
fn client_credentials(
    request: &HttpRequest,
    basic: Result<Option<ClientCredentials>, OAuthError>,
    parameters: &Parameters,
) -> Result<ClientCredentials, OAuthError> {
    let secret = |text: &str| SecretString::from(text.to_owned());
    let (id, own_secret) = (parameters.get("client_id"), parameters.get("client_secret"));
    let assertion = parameters.get("client_assertion");
    let header = request.headers().contains_key(AUTHORIZATION);
    if usize::from(header) + usize::from(own_secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(TWO_WAYS);
    }
    if header {
        return match basic? {
            Some(ClientCredentials::Secret { id: own, .. }) if id.is_some_and(|id| id != own) => Err(TWO_WAYS),
            Some(credentials) => Ok(credentials),
            None => Err(no_credentials(request)),
        };
    }
    if let Some(assertion) = assertion {
        if parameters.get("client_assertion_type") != Some(ASSERTION_TYPE) {
            return Err(OAuthError::InvalidRequest("The parameter client_assertion_type is missing or unknown."));
        }
        return Ok(ClientCredentials::Assertion { id: id.map(str::to_owned), assertion: secret(assertion) });
    }
    match (id, own_secret) {
        (Some(id), Some(own)) => Ok(ClientCredentials::Secret { id: id.to_owned(), secret: secret(own) }),
        (None, Some(_)) => Err(OAuthError::InvalidRequest("The parameter client_id is missing.")),
        _ => Err(no_credentials(request)),
    }
}

/// Whoever asks for a signed answer without a credential could not be told whom it is meant for (RFC 9701 §5).
fn no_credentials(request: &HttpRequest) -> OAuthError {
    if wants_signed_answer(request) {
        OAuthError::InvalidRequest("A signed answer is for a client that has authenticated.")
    } else {
        OAuthError::InvalidClient
    }
}

/// Whether the media type of signed answers is accepted (RFC 9110 §12.5.1): named, and not with the weight 0.
fn wants_signed_answer(request: &HttpRequest) -> bool {
    let Some(Accept(ranges)) = request.get_header::<Accept>() else { return false };
    ranges.iter().any(|range| range.quality > Quality::ZERO && range.item.essence_str() == SIGNED_ANSWER)
}

/// The client's id and secret from the header `Authorization`, each as in a form (RFC 6749 §2.3.1); `None` where it has another
/// scheme, or there is none.
pub fn basic_credentials(request: &HttpRequest) -> Result<Option<ClientCredentials>, OAuthError> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(TWO_WAYS);
    }
    let Some((scheme, encoded)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    // What cannot be read is a secret that is not right.
    let (id, secret) = id_and_secret(encoded.trim()).unwrap_or_default();
    Ok(Some(ClientCredentials::Secret { id, secret: SecretString::from(secret) }))
}

fn id_and_secret(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_value(id)?, form_value(secret)?))
}

/// A value as it is written in a form.
fn form_value(text: &str) -> Option<String> {
    let pair = format!("v={text}");
    let mut values = url::form_urlencoded::parse(pair.as_bytes());
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_written_as_in_a_form() {
        let read = |text: &str| id_and_secret(&STANDARD.encode(text));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read("crm:vgc_a-b"), pair("crm", "vgc_a-b"));
        assert_eq!(read("crm%2Done:a%3Ab+c"), pair("crm-one", "a:b c"));
        assert_eq!(read("crm:a:b"), pair("crm", "a:b"));
        for bad in ["crm", "crm:a&b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(id_and_secret("!"), None);
    }

    #[test]
    fn a_parameter_is_there_once_and_not_empty() {
        let of = |text: &str| Parameters::new(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        let parameters = of("token=a&token_type_hint=&x=1").ok().unwrap();
        assert_eq!((parameters.get("token"), parameters.get("token_type_hint")), (Some("a"), None));
        assert!(of("token=a&token=a").is_err() && of("token=a&token=").is_err());
    }
}
