//! Client libraries at `/oauth/introspect` and `/oauth/revoke`: each finds the server by its metadata, authenticates in each way
//! that Vigie names there, and takes Vigie's answers for what they are.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::config::Algorithm;
use vigie::token::keys::SigningKey;

use super::caller::Caller;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::packages::{node, project, python};
use crate::support::ports::free_address;
use crate::support::program::{Program, Server};
use crate::support::token::claims;

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";
const KEY: &str = "private_key_jwt";
const METHODS: [&str; 3] = [BASIC, POST, KEY];

/// A library, as the script of it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    Oauth4webapi,
    OpenidClient,
    Authlib,
}
use Library::{Authlib, Oauth4webapi, OpenidClient};

impl Library {
    fn command(self) -> Command {
        let folder = project("tests/clients");
        match self {
            Oauth4webapi => node("tests/clients", &folder.join("oauth4webapi.mjs")),
            OpenidClient => node("tests/clients", &folder.join("openid-client.mjs")),
            Authlib => {
                let mut command = python("python");
                command.arg(folder.join("python/authlib_client.py"));
                command
            }
        }
    }

    /// What it says where Vigie said `invalid_client`. RFC 6749 §5.2 asks for the challenge, at which the Node packages stop.
    fn says_invalid_client(self, failed: &Value) {
        let code = match self {
            Oauth4webapi | OpenidClient => json!("OAUTH_WWW_AUTHENTICATE_CHALLENGE"),
            Authlib => Value::Null,
        };
        assert_eq!(
            (&failed["error"], &failed["status"], &failed["code"]),
            (&json!("invalid_client"), &json!(401), &code)
        );
    }

    /// Whether it fetches the keys again for a key that it does not know.
    fn finds_new_keys_at_once(self) -> bool {
        // The Node packages keep a set for at least a minute.
        self == Authlib
    }
}

/// A server that a client finds by its issuer, with a user and an application.
struct Place {
    program: Program,
    server: Server,
    registered: Value,
    key: SigningKey,
}

impl Place {
    fn open(backend: Backend, algorithm: &str) -> Self {
        let address = free_address();
        let program = Program::new(backend)
            .with("VIGIE__SERVER__LISTEN", &address.to_string())
            .with("VIGIE__SERVER__PUBLIC_URL", &format!("http://{address}"))
            .with("VIGIE__TOKENS__ALGORITHM", algorithm);
        program.add_user("alice", "agent");
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        let set = json!({ "keys": [key.public_jwk().expect("a public key")] });
        let jwks = program.file("jwks.json", &set.to_string());
        let add = ["client", "add", "crm", "--scope", "introspect,revoke", "--jwks", &jwks, "--json"];
        let registered = program.run(&add).json();
        let server = program.serve();
        Self { program, server, registered, key }
    }

    fn secret(&self) -> &str {
        self.registered["client_secret"].as_str().expect("a secret")
    }

    /// How a client introduces itself.
    fn discover(&self, method: &str, secret: &str, key: &SigningKey) -> Value {
        let mut call = json!({ "call": "discover", "issuer": self.server.url, "id": "crm", "method": method });
        if method == KEY {
            let pem = STANDARD.encode(key.secret_bytes());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
            call["key"] = json!({ "pem": pem, "kid": self.key.id().as_str() });
        } else {
            call["secret"] = json!(secret);
        }
        call
    }

    fn caller(&self, library: Library, method: &str) -> Caller {
        let mut caller = Caller::start(library.command());
        let found = caller.ask(&self.discover(method, self.secret(), &self.key));
        assert_eq!(found["issuer"], json!(self.server.url));
        assert_eq!(found["introspection_endpoint"], json!(format!("{}/oauth/introspect", self.server.url)));
        caller
    }
}

fn introspect(token: &str) -> Value {
    json!({ "call": "introspect", "token": token })
}

fn introspect_signed(token: &str) -> Value {
    json!({ "call": "introspect_signed", "token": token })
}

fn revoke(token: &str) -> Value {
    json!({ "call": "revoke", "token": token })
}

fn inactive() -> Value {
    json!({ "active": false })
}

/// Says what is in a login, and what is asked about it.
fn is_active(told: &Value, login: &Value) {
    let token = claims(login["access_token"].as_str().expect("a token"));
    assert_eq!(told["active"], true, "{told}");
    for name in ["iss", "aud", "sub", "sid", "jti", "exp", "iat", "role", "client_id"] {
        assert_eq!(told[name], token[name], "{name}");
    }
    assert_eq!((&told["username"], &told["sub"]), (&login["user"]["username"], &login["user"]["id"]));
    assert_eq!(told["token_type"], "Bearer");
}

#[rstest]
#[actix_web::test]
async fn rev_08_libraries_find_a_token_active_until_the_logout_and_end_a_session(
    #[values(Oauth4webapi, OpenidClient, Authlib)] library: Library,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let place = Place::open(backend, "ES256");
    let server = &place.server;
    for method in METHODS {
        let mut caller = place.caller(library, method);
        let login = server.log_in("alice").await;
        let token = login["access_token"].as_str().expect("a token");
        is_active(&caller.ask(&introspect(token)), &login);
        is_active(&caller.ask(&introspect_signed(token)), &login);
        server.post("/auth/logout", token, Value::Null).await.expect(204);
        assert_eq!(caller.ask(&introspect(token)), inactive());
        assert_eq!(caller.ask(&introspect_signed(token)), inactive());
        assert_eq!(caller.ask(&introspect("x.y.z")), inactive());

        // What it revokes is over everywhere, and revoking it again is no error.
        let login = server.log_in("alice").await;
        let token = login["access_token"].as_str().expect("a token");
        assert_eq!(caller.ask(&revoke(token)), Value::Null);
        server.get("/auth/verify", token).await.problem(401, "session_ended");
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        server.post("/auth/refresh", "", refresh).await.problem(401, "session_ended");
        assert_eq!(caller.ask(&introspect(token)), inactive());
        assert_eq!(caller.ask(&revoke(token)), Value::Null);
    }
}

#[rstest]
#[actix_web::test]
async fn rev_06_libraries_are_told_of_a_wrong_secret_or_key(
    #[values(Oauth4webapi, OpenidClient, Authlib)] library: Library,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let place = Place::open(backend, "ES256");
    let token = place.server.token("alice").await;
    let wrong = place.secret().replace("vgc_", "vgc_A");
    let stranger = SigningKey::generate(Algorithm::Es256).expect("a key");
    let mut caller = Caller::start(library.command());
    for method in METHODS {
        caller.ask(&place.discover(method, &wrong, &stranger));
        for call in [introspect(&token), introspect_signed(&token), revoke(&token)] {
            library.says_invalid_client(&caller.fails(&call));
        }
    }
    place.server.get("/auth/verify", &token).await.expect(200);
}

/// By the published keys, with each algorithm that has some; ES256 is in the test above.
#[rstest]
#[actix_web::test]
async fn rev_11_jwt_09_libraries_verify_signed_answers_and_access_tokens(
    #[values(Oauth4webapi, OpenidClient, Authlib)] library: Library,
    #[values("EdDSA", "RS256")] algorithm: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let place = Place::open(backend, algorithm);
    let mut caller = place.caller(library, BASIC);
    let login = place.server.log_in("alice").await;
    let token = login["access_token"].as_str().expect("a token");
    is_active(&caller.ask(&introspect_signed(token)), &login);
    if library != OpenidClient {
        verifies(&mut caller, token);
    }

    // A new key is published for a minute before it signs: whoever keeps the set does not notice it.
    let old = place.program.run(&["key", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    place.program.run(&["key", "rotate"]).expect(0);
    is_active(&caller.ask(&introspect_signed(token)), &login);

    // Where the one that signs is revoked, it signs at once.
    place.program.run(&["key", "revoke", &old]).expect(0);
    let login = place.server.log_in("alice").await;
    let token = login["access_token"].as_str().expect("a token");
    if !library.finds_new_keys_at_once() {
        let failed = caller.fails(&introspect_signed(token));
        assert_eq!(failed["code"], "OAUTH_KEY_SELECTION_FAILED", "{failed}");
        caller = place.caller(library, BASIC);
    }
    is_active(&caller.ask(&introspect_signed(token)), &login);
}

fn verifies(caller: &mut Caller, token: &str) {
    let verify = |token: &str, audience: &str| json!({ "call": "verify", "token": token, "audience": audience });
    assert_eq!(caller.ask(&verify(token, "vigie")), claims(token));
    caller.fails(&verify(token, "another"));
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let turned: String = signature.chars().rev().collect();
    caller.fails(&verify(&format!("{message}.{turned}"), "vigie"));
}

/// A document that stands at another address than its issuer is refused by the libraries themselves.
#[rstest]
#[actix_web::test]
async fn tok_13_libraries_refuse_metadata_of_another_issuer(#[values(Sqlite, Postgres)] backend: Backend) {
    let place = Place::open(backend, "ES256");
    for library in [Oauth4webapi, OpenidClient] {
        let mut call = place.discover(BASIC, place.secret(), &place.key);
        call["issuer"] = json!(place.server.url.replace("127.0.0.1", "localhost"));
        let failed = Caller::start(library.command()).fails(&call);
        assert_eq!(failed["code"], "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED", "{failed}");
    }
}
