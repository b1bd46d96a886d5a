//! What an access token says (RFC 9068 §2.2), and how it is written.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::refusal::TokenRefusal;
use crate::model::id::{SessionId, TokenId, UserId};

/// The claims of an access token (JWT-06). Nothing in it names a person but the opaque user id (JWT-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// `iss`: who issued it.
    pub issuer: String,
    /// `aud`: whom it is meant for.
    pub audience: String,
    /// `sub`: the user whose session it is.
    pub subject: UserId,
    /// `client_id`: the application that authenticated when the user logged in, or Vigie itself.
    pub client_id: String,
    /// `claimed_client_id`: the application that was only named then.
    pub claimed_client_id: Option<String>,
    /// `sid`: the session it lives and dies with.
    pub session_id: SessionId,
    /// `jti`: names this one token.
    pub token_id: TokenId,
    /// `iat`. Like every time here a whole second on the wire, cut downwards.
    pub issued_at: DateTime<Utc>,
    /// `exp`: the first moment at which it is no longer accepted.
    pub expires_at: DateTime<Utc>,
    /// `nbf`: the first moment at which it is accepted.
    pub not_before: Option<DateTime<Utc>>,
    /// `auth_time`: when the user proved who they are; a refresh keeps it.
    pub authenticated_at: DateTime<Utc>,
    /// `amr`: how they proved it (RFC 8176), such as `pwd`; a refresh keeps it.
    pub methods: Vec<String>,
    /// `role`: for resource servers that decide on their own. Vigie reads the role from the session.
    pub role: String,
    /// `gen`: how often the session had been given new refresh tokens. Tokens without it are of the first generation.
    pub generation: u32,
}

/// When a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTimes {
    /// `iat`: when it was issued (RFC 7519 §4.1.6).
    pub issued_at: DateTime<Utc>,
    /// `exp`: the first moment at which it is no longer accepted (RFC 7519 §4.1.4).
    pub expires_at: DateTime<Utc>,
    /// `nbf`: the first moment at which it is accepted, where it says so (RFC 7519 §4.1.5).
    pub not_before: Option<DateTime<Utc>>,
}

impl AccessClaims {
    /// When the token is good.
    #[must_use]
    pub const fn times(&self) -> TokenTimes {
        TokenTimes { issued_at: self.issued_at, expires_at: self.expires_at, not_before: self.not_before }
    }
}

/// The two shapes of access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenForm {
    /// RFC 9068: `typ` is `at+jwt`.
    Standard,
    /// `[tokens] legacy_claims`: `typ` is `JWT`, and `userId` repeats `sub`.
    Legacy,
}

impl TokenForm {
    /// What the header's `typ` says.
    #[must_use]
    pub const fn header_type(self) -> &'static str {
        match self {
            Self::Standard => "at+jwt",
            Self::Legacy => "JWT",
        }
    }

    /// Whether a header's `typ` means this form (JWT-04). `at+jwt` is a media type, so its case does not matter and
    /// `application/` may stand before it (RFC 7515 §4.1.9).
    #[must_use]
    pub fn accepts_type(self, header_type: &str) -> bool {
        match self {
            Self::Standard => {
                ["at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(header_type))
            }
            Self::Legacy => header_type == "JWT",
        }
    }
}

/// The claims as they are written.
#[derive(Serialize)]
pub struct Payload<'claims> {
    iss: &'claims str,
    aud: &'claims str,
    sub: UserId,
    client_id: &'claims str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_client_id: Option<&'claims str>,
    sid: SessionId,
    jti: TokenId,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    auth_time: i64,
    amr: &'claims [String],
    role: &'claims str,
    #[serde(rename = "gen")]
    generation: u32,
    #[serde(rename = "userId", skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
}

impl AccessClaims {
    /// The claims as they are written in one form.
    #[must_use]
    pub fn payload(&self, form: TokenForm) -> Payload<'_> {
        Payload {
            iss: &self.issuer,
            aud: &self.audience,
            sub: self.subject,
            client_id: &self.client_id,
            claimed_client_id: self.claimed_client_id.as_deref(),
            sid: self.session_id,
            jti: self.token_id,
            iat: self.issued_at.timestamp(),
            exp: self.expires_at.timestamp(),
            nbf: self.not_before.map(|time| time.timestamp()),
            auth_time: self.authenticated_at.timestamp(),
            amr: &self.methods,
            role: &self.role,
            generation: self.generation,
            user_id: (form == TokenForm::Legacy).then_some(self.subject),
        }
    }

    /// Reads the claims meant for `audience`. Each must be there with its own JSON type (JWT-05); unknown ones are
    /// passed over (RFC 7519 §4).
    pub(super) fn read(members: &Map<String, Value>, audience: &str) -> Result<Self, TokenRefusal> {
        let claim = |name| members.get(name).ok_or(TokenRefusal::ClaimMissing);
        if !is_meant_for(claim("aud")?, audience)? {
            return Err(TokenRefusal::Audience);
        }
        Ok(Self {
            issuer: text(claim("iss")?)?,
            audience: audience.to_owned(),
            subject: id(claim("sub")?)?,
            client_id: text(claim("client_id")?)?,
            claimed_client_id: members.get("claimed_client_id").map(text).transpose()?,
            session_id: id(claim("sid")?)?,
            token_id: id(claim("jti")?)?,
            issued_at: time(claim("iat")?)?,
            expires_at: time(claim("exp")?)?,
            not_before: members.get("nbf").map(time).transpose()?,
            authenticated_at: time(claim("auth_time")?)?,
            methods: texts(claim("amr")?)?,
            role: text(claim("role")?)?,
            generation: members.get("gen").map_or(Ok(0), count)?,
        })
    }
}

/// Whether `aud`, one text or a list of texts (RFC 7519 §4.1.3), names `audience`.
fn is_meant_for(claim: &Value, audience: &str) -> Result<bool, TokenRefusal> {
    match claim {
        Value::String(one) => Ok(one == audience),
        list => Ok(texts(list)?.iter().any(|one| one == audience)),
    }
}

fn text(claim: &Value) -> Result<String, TokenRefusal> {
    claim.as_str().map(str::to_owned).ok_or(TokenRefusal::ClaimType)
}

fn texts(claim: &Value) -> Result<Vec<String>, TokenRefusal> {
    claim.as_array().ok_or(TokenRefusal::ClaimType)?.iter().map(text).collect()
}

/// An id in the one spelling we write: lower case, with hyphens.
fn id<Id: FromStr + Display>(claim: &Value) -> Result<Id, TokenRefusal> {
    let spelling = claim.as_str().ok_or(TokenRefusal::ClaimType)?;
    let id: Id = spelling.parse().map_err(|_| TokenRefusal::ClaimType)?;
    if id.to_string() == spelling { Ok(id) } else { Err(TokenRefusal::ClaimType) }
}

fn count(claim: &Value) -> Result<u32, TokenRefusal> {
    claim.as_u64().and_then(|count| u32::try_from(count).ok()).ok_or(TokenRefusal::ClaimType)
}

/// The last second of the year 9999: the times that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// A whole number of seconds since 1970. RFC 7519 allows fractions; we never write any, so we read none.
fn time(claim: &Value) -> Result<DateTime<Utc>, TokenRefusal> {
    claim
        .as_i64()
        .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(TokenRefusal::ClaimType)
}

/// What an access token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// `sub`: the user.
    pub subject: UserId,
    /// `sid`: the session.
    pub session_id: SessionId,
    /// `jti`: the id of the token.
    pub token_id: TokenId,
}

/// What an access token names. No signature is looked at: whoever asks knows that it is good.
#[must_use]
pub fn named(text: &str) -> Option<Named> {
    let token = super::compact::CompactToken::split(text).ok()?;
    let payload = super::compact::read_object(&token.payload).ok()?;
    Some(Named {
        subject: id(payload.get("sub")?).ok()?,
        session_id: id(payload.get("sid")?).ok()?,
        token_id: id(payload.get("jti")?).ok()?,
    })
}

/// What an access token says that was checked a moment ago, as applications are told it: read without any of the care with
/// which [`AccessClaims`] are, since that was taken then, and an application asks for every request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckedClaims {
    /// `sub`: the user whose session it is.
    pub sub: UserId,
    /// `client_id`: the application that authenticated when the user logged in, or Vigie itself.
    pub client_id: String,
    /// `sid`: the session it lives and dies with.
    pub sid: SessionId,
    /// `jti`: names this one token.
    pub jti: TokenId,
    /// `iat`: when it was issued, in seconds since 1970.
    pub iat: i64,
    /// `exp`: the first moment at which it is no longer accepted, in seconds since 1970.
    pub exp: i64,
    /// `auth_time`: when the user proved who they are, in seconds since 1970.
    pub auth_time: i64,
    /// `amr`: how they proved it (RFC 8176).
    pub amr: Vec<String>,
}

impl CheckedClaims {
    /// Reads them. No signature is looked at: whoever asks knows that the token is good. `None` where it is no access token.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let payload = text.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// The session that an access token names, without believing anything it says: no signature is looked at.
#[must_use]
pub fn named_session(text: &str) -> Option<SessionId> {
    let token = super::compact::CompactToken::split(text).ok()?;
    let payload = super::compact::read_object(&token.payload).ok()?;
    payload.get("sid")?.as_str()?.parse().ok()
}
