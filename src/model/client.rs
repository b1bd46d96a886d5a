//! Clients: applications registered with the server.

use chrono::{DateTime, Utc};

use super::secret::SecretDigest;
use super::words::words;

/// Names a client: 1 to 64 of `a-z 0-9 . _ -`, chosen at registration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(String);

/// The text cannot name a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id has 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`")]
pub struct InvalidClientId;

impl ClientId {
    /// Reads a client id.
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClientId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means something else in an address or in a filter: `.` and `..` are places in a path, and a UUID is a user.
    #[must_use]
    pub fn means_something_else(&self) -> bool {
        matches!(self.as_str(), "." | "..") || uuid::Uuid::try_parse(self.as_str()).is_ok()
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;

    fn try_from(text: String) -> Result<Self, InvalidClientId> {
        Self::parse(&text)
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The application through which somebody logs in. What is only named is a claim: anybody may name any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LoginClient {
    /// No application was named at the login.
    #[default]
    Unnamed,
    /// Named in the body, and nothing more.
    Claimed(ClientId),
    /// It authenticated: the session is its own.
    Authenticated(ClientId),
}

impl LoginClient {
    /// How a client authenticates at a login, as columns have it (RFC 7591 §2, `token_endpoint_auth_method`).
    pub const AUTHENTICATION: &str = "client_secret_basic";

    /// The client as columns have it.
    #[must_use]
    pub fn of(id: Option<ClientId>, is_authenticated: bool) -> Self {
        match id {
            None => Self::Unnamed,
            Some(id) if is_authenticated => Self::Authenticated(id),
            Some(id) => Self::Claimed(id),
        }
    }

    /// Which was named or authenticated: what is about "sessions through this client" is about both.
    #[must_use]
    pub const fn id(&self) -> Option<&ClientId> {
        match self {
            Self::Unnamed => None,
            Self::Claimed(id) | Self::Authenticated(id) => Some(id),
        }
    }

    /// The client, where it authenticated.
    #[must_use]
    pub const fn authenticated(&self) -> Option<&ClientId> {
        match self {
            Self::Authenticated(id) => Some(id),
            Self::Unnamed | Self::Claimed(_) => None,
        }
    }

    /// The client that was only named in the body: nobody knows whether it is that one.
    #[must_use]
    pub const fn claimed(&self) -> Option<&ClientId> {
        match self {
            Self::Claimed(id) => Some(id),
            Self::Unnamed | Self::Authenticated(_) => None,
        }
    }

    /// How it authenticated, if it did.
    #[must_use]
    pub fn authentication(&self) -> Option<&'static str> {
        self.authenticated().map(|_| Self::AUTHENTICATION)
    }
}

words! {
    /// What a client may ask for.
    pub enum Scope {
        /// Ask whether a token is alive (RFC 7662).
        Introspect = "introspect",
        /// End a session by one of its tokens (RFC 7009).
        Revoke = "revoke",
        /// Listen to sessions starting and ending.
        Events = "events",
    }
}

/// Most audiences of one client.
const MOST_AUDIENCES: usize = 20;
/// Longest audience, in characters.
const LONGEST_AUDIENCE: usize = 256;

/// Whose tokens a client may ask about: 1 to 20 texts, each as in the claim `aud`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Audiences(Vec<String>);

/// The texts cannot be audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "1 to 20 different audiences of 1 to 256 characters, without control characters and without blanks at their ends"
)]
pub struct InvalidAudiences;

impl Audiences {
    /// Reads a list of audiences.
    pub fn parse(texts: Vec<String>) -> Result<Self, InvalidAudiences> {
        let fits = |text: &String| {
            (1..=LONGEST_AUDIENCE).contains(&text.chars().count())
                && text.trim() == text
                && !text.chars().any(char::is_control)
        };
        let are_different = texts.iter().enumerate().all(|(place, text)| !texts[..place].contains(text));
        if (1..=MOST_AUDIENCES).contains(&texts.len()) && texts.iter().all(fits) && are_different {
            Ok(Self(texts))
        } else {
            Err(InvalidAudiences)
        }
    }

    /// The audiences, in the order in which they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Audiences {
    type Error = InvalidAudiences;

    fn try_from(texts: Vec<String>) -> Result<Self, InvalidAudiences> {
        Self::parse(texts)
    }
}

/// The secret before the present one, which counts for some time after a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousSecret {
    /// The SHA-256 digest of the secret.
    pub digest: SecretDigest,
    /// The first moment at which it no longer counts.
    pub until: DateTime<Utc>,
}

/// A client as the store knows it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Names the client for ever.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// What the client may ask for.
    pub scopes: Vec<Scope>,
    /// Whose tokens it may ask about; `None`: those of `[tokens] audience`.
    pub audiences: Option<Audiences>,
    /// Its public keys as a JWK set, checked when it was registered (`token::client_keys`).
    pub jwks: Option<String>,
    /// SHA-256 of its secret.
    pub secret: SecretDigest,
    /// The secret before that.
    pub previous_secret: Option<PreviousSecret>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When its secret was last made anew.
    pub secret_changed_at: DateTime<Utc>,
    /// When it last authenticated, some minutes behind at most.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Client {
    /// Whether it may ask for this.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether tokens for `audience` concern it; `default` is that of the configuration.
    #[must_use]
    pub fn is_concerned(&self, audience: &str, default: &str) -> bool {
        match &self.audiences {
            Some(audiences) => audiences.as_slice().iter().any(|own| own == audience),
            None => audience == default,
        }
    }

    /// Whether this is the digest of a secret that counts at `now`. Compares in constant time (KEY-03), with both.
    #[must_use]
    pub fn has_secret(&self, presented: &SecretDigest, now: DateTime<Utc>) -> bool {
        let previous = self.previous_secret.as_ref();
        let is_previous = previous.is_some_and(|before| before.digest.matches(presented) && now < before.until);
        self.secret.matches(presented) | is_previous
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::secret::Secret;

    fn client(now: DateTime<Utc>) -> (Client, Secret, Secret) {
        let (secret, before) = (Secret::random(), Secret::random());
        let previous = PreviousSecret { digest: before.digest(), until: now + TimeDelta::hours(1) };
        let client = Client {
            id: ClientId::parse("crm").unwrap(),
            name: "CRM".to_owned(),
            scopes: vec![Scope::Introspect],
            audiences: None,
            jwks: None,
            secret: secret.digest(),
            previous_secret: Some(previous),
            created_at: now,
            secret_changed_at: now,
            last_used_at: None,
        };
        (client, secret, before)
    }

    #[test]
    fn the_secret_before_counts_until_its_moment() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (client, secret, before) = client(now);
        let has = |secret: &Secret, seconds| client.has_secret(&secret.digest(), now + TimeDelta::seconds(seconds));
        assert!(has(&secret, 0) && has(&secret, 3600) && has(&before, 3599));
        assert!(!has(&before, 3600) && !has(&Secret::random(), 0));
    }

    #[test]
    fn without_audiences_of_its_own_that_of_the_configuration_concerns_it() {
        let (client, ..) = client(DateTime::UNIX_EPOCH);
        assert!(client.is_concerned("vigie", "vigie") && !client.is_concerned("other", "vigie"));
        let audiences = Audiences::parse(vec!["a".to_owned(), "b".to_owned()]).unwrap();
        let client = Client { audiences: Some(audiences), ..client };
        assert!(client.is_concerned("b", "vigie") && !client.is_concerned("vigie", "vigie"));
    }

    #[test]
    fn audiences_are_few_short_and_different() {
        let parse = |texts: &[&str]| Audiences::parse(texts.iter().map(|text| (*text).to_owned()).collect()).is_ok();
        assert!(parse(&["vigie"]) && parse(&["urn:a", "https://b.example"]));
        for bad in [&[][..], &[""], &[" a"], &["a\n"], &["a", "a"], &["a".repeat(257).as_str()], &["x"; 21]] {
            assert!(!parse(bad), "{bad:?}");
        }
    }
}
