//! A client application, as the standards have it: it authenticates, introspects, revokes, and logs its users in.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use url::form_urlencoded::Serializer;
use vigie::client::registration::NewClient;
use vigie::model::audit::AuditContext;
use vigie::model::client::{Audiences, ClientId, Scope};
use vigie::model::secret::SecretKind;
use vigie::token::client_keys::ClientKeys;
use vigie::token::keys::SigningKey;

use super::app::{Answer, PASSWORD, TestApp, TestClient, send};

/// A registered application that authenticates by HTTP Basic.
#[derive(Clone)]
pub struct Application<'a> {
    pub app: &'a TestApp,
    pub id: String,
    pub secret: String,
}

/// A form.
pub type Fields<'f> = [(&'f str, &'f str)];

impl TestApp {
    /// An application with these scopes.
    pub async fn application_with(&self, id: &str, scopes: &[Scope], audiences: Option<&str>) -> Application<'_> {
        self.register(id, scopes, audiences, None).await
    }

    /// An application that may introspect and revoke.
    pub async fn application(&self, id: &str) -> Application<'_> {
        self.application_with(id, &[Scope::Introspect, Scope::Revoke], None).await
    }

    /// One that has a key of its own.
    pub async fn application_with_key(&self, id: &str, key: &SigningKey) -> Application<'_> {
        let set = json!({ "keys": [key.public_jwk().expect("a public key")] });
        let keys = ClientKeys::parse(&set.to_string()).expect("a key set");
        self.register(id, &[Scope::Introspect, Scope::Revoke], None, Some(keys)).await
    }

    async fn register(
        &self,
        id: &str,
        scopes: &[Scope],
        audiences: Option<&str>,
        keys: Option<ClientKeys>,
    ) -> Application<'_> {
        let audiences = audiences.map(|one| Audiences::parse(vec![one.to_owned()]).expect("an audience"));
        let new = NewClient {
            id: ClientId::parse(id).expect("a client id"),
            name: id.to_owned(),
            scopes: scopes.to_vec(),
            audiences,
            keys,
        };
        let registered = self.app.clients.register(new, &AuditContext::command_line()).await;
        let (_, secret) = registered.expect("the client is registered");
        Application { app: self, id: id.to_owned(), secret: secret.reveal(SecretKind::ClientSecret) }
    }
}

/// A POST of a form.
pub fn form(request: RequestBuilder, fields: &Fields<'_>) -> RequestBuilder {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

impl<'a> Application<'a> {
    /// The same at another node.
    pub fn at<'b>(&self, node: &'b TestApp) -> Application<'b> {
        Application { app: node, id: self.id.clone(), secret: self.secret.clone() }
    }

    /// The same with another secret.
    pub fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }

    /// A POST by HTTP Basic.
    pub fn request(&self, path: &str) -> RequestBuilder {
        self.app.nobody().request(Method::POST, path).basic_auth(&self.id, Some(&self.secret))
    }

    pub async fn post(&self, path: &str, fields: &Fields<'_>) -> Answer {
        send(form(self.request(path), fields)).await
    }

    pub async fn introspect(&self, token: &str) -> Answer {
        self.post("/oauth/introspect", &[("token", token)]).await
    }

    /// Whether it is told that the token is good.
    pub async fn finds_active(&self, token: &str) -> bool {
        self.introspect(token).await.expect(200)["active"] == true
    }

    pub async fn revoke(&self, token: &str) -> Answer {
        self.post("/oauth/revoke", &[("token", token)]).await
    }

    /// Logs a user in who exists: the session is this application's.
    pub async fn log_in(&self, name: &str) -> TestClient<'a> {
        let body = json!({ "username": name, "password": PASSWORD });
        self.app.client(&send(self.request("/auth/login").json(&body)).await.expect(200))
    }

    /// Refreshes as this application; the answer as it is.
    pub async fn refresh(&self, token: &str) -> Answer {
        send(self.request("/auth/refresh").json(&json!({ "refresh_token": token }))).await
    }
}
