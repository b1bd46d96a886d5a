//! Registered applications, and what they ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vigie::app::App;
use vigie::client::registration::NewClient;
use vigie::model::audit::AuditContext;
use vigie::model::client::{ClientId, Scope};
use vigie::model::secret::SecretKind;
use vigie::token::client_keys::ClientKeys;
use vigie::token::keys::SigningKey;

use super::assertion::ASSERTION_TYPE;
use super::http::form;

/// Where tokens are asked about.
const INTROSPECT: &str = "/oauth/introspect";

/// An application that may introspect.
pub struct Application {
    pub id: String,
    pub secret: String,
}

impl Application {
    /// Registers one, perhaps with a key of its own.
    pub async fn register(app: &App, id: &str, key: Option<&SigningKey>) -> Self {
        let keys = key.map(|key| json!({ "keys": [key.public_jwk().expect("a public key")] }).to_string());
        let new = NewClient {
            id: ClientId::parse(id).expect("an id"),
            name: id.to_owned(),
            scopes: vec![Scope::Introspect],
            audiences: None,
            keys: keys.map(|keys| ClientKeys::parse(&keys).expect("a key set")),
        };
        let registered = app.clients.register(new, &AuditContext::command_line()).await;
        let (_, secret) = registered.expect("the client is registered");
        Self { id: id.to_owned(), secret: secret.reveal(SecretKind::ClientSecret) }
    }

    /// Asks about a token, by HTTP Basic.
    pub fn introspect(&self, token: &str) -> Vec<u8> {
        form(INTROSPECT, Some(&basic(&self.id, &self.secret)), &[("token", token)])
    }
}

/// Asks about a token, with an assertion.
pub fn introspect_with(assertion: &str, token: &str) -> Vec<u8> {
    let fields = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion), ("token", token)];
    form(INTROSPECT, None, &fields)
}

/// The value of `Authorization` by HTTP Basic.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}
