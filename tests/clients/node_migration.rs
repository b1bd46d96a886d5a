//! The main job with other people's packages: a Node application with bcrypt passwords and HS256 tokens moves to Vigie, and
//! neither a password nor its token middleware changes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::clock::{Clock as _, ManualClock, SystemClock};

use crate::support::app::{TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::packages::{self, project};
use crate::support::program::{Finished, Program, Server, finish};

const SECRET: &str = "the JWT_SECRET of the application, long enough";
const ALICE: &str = "7f1c1d0e-4c0a-4d0e-9d53-0d8f6f5b3c11";

/// A script in `tests/clients`.
fn node(script: &str) -> Command {
    packages::node("tests/clients", &project("tests/clients").join(script))
}

/// The back end of the application: its middleware, in a server of its own.
struct Application {
    child: Child,
    url: String,
}

impl Application {
    fn start() -> Self {
        let mut command = node("express-middleware.mjs");
        let mut child =
            command.env("JWT_SECRET", SECRET).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
        Self { child, url }
    }

    /// Who it takes the bearer of a token for.
    async fn who(&self, token: &str) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = send(client.get(&self.url).bearer_auth(token)).await;
        (answer.status, answer.json())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An installation as `config/node-migration.toml` describes it, with the application's secret.
fn migration(backend: Backend) -> Program {
    let config = project("config/node-migration.toml").display().to_string();
    let program = Program::new(backend).with("VIGIE_CONFIG", &config);
    let data = program.path("data");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("its owner's");
    program.file("data/jwt_secret", &format!("{SECRET}\n"));
    let secret = program.path("data/jwt_secret");
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).expect("its owner's");
    program
}

/// The application's users, hashed by its own package, imported.
fn import_users(program: &Program) {
    let users = [
        json!({ "id": ALICE, "username": "alice", "password": "courrier", "role": "agent" }),
        json!({ "username": "Hélène", "password": "mot de passe d'Hélène", "role": "administrateur" }),
        json!({ "username": "parti", "password": "au revoir à tous", "role": "agent", "disabled": true }),
    ];
    let lines = users.map(|user| user.to_string()).join("\n");
    let csv = finish(node("hash-passwords.mjs"), &lines).expect(0);
    assert!(csv.contains(",$2b$10$"), "{csv}");
    let file = program.file("users.csv", &csv);
    assert_eq!(program.run(&["user", "import", &file]).expect(0).trim(), "3 users imported");
}

fn verified(expected: &Value) -> Finished {
    finish(node("verify-token.mjs"), &expected.to_string())
}

async fn log_in(server: &Server, name: &str, password: &str) -> crate::support::app::Answer {
    server.post("/auth/login", "", json!({ "username": name, "password": password })).await
}

#[rstest]
#[actix_web::test]
async fn a_node_application_moves_without_a_password_reset(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = migration(backend);
    import_users(&program);
    let server = program.serve();
    let application = Application::start();

    // Alice logs in with the password she has, short as it is, and keeps her id.
    let login = log_in(&server, "alice", "courrier").await.expect(200);
    let token = login["token"].as_str().expect("a token where the application expects it");
    assert_eq!((&login["access_token"], &login["user"]["id"]), (&login["token"], &json!(ALICE)));
    log_in(&server, "alice", "Courrier").await.problem(401, "invalid_credentials");
    log_in(&server, "parti", "au revoir à tous").await.problem(401, "invalid_credentials");

    // The application's package and middleware take the token for one of their own.
    let claims = verified(&json!({ "token": token, "secret": SECRET, "algorithms": ["HS256"] })).json();
    assert_eq!((&claims["userId"], &claims["role"]), (&json!(ALICE), &json!("agent")));
    assert!(claims["exp"].as_i64() > claims["iat"].as_i64());
    let forged = json!({ "token": token, "secret": "another secret, just as long as it", "algorithms": ["HS256"] });
    verified(&forged).fails(1, "invalid signature");
    assert_eq!(application.who(token).await, (200, json!({ "userId": ALICE, "role": "agent" })));
    assert_eq!(application.who(&format!("{token}x")).await.0, 401);

    // Logged out means logged out.
    server.get("/auth/verify", token).await.expect(200);
    server.post("/auth/logout", token, Value::Null).await.expect(204);
    server.get("/auth/verify", token).await.problem(401, "session_ended");

    // The administrator of the application is one here, and sees it all.
    let admin = log_in(&server, "hélène", "mot de passe d'Hélène").await.expect(200);
    let admin = admin["token"].as_str().expect("a token");
    assert_eq!(application.who(admin).await.1["role"], "administrateur");
    let sessions = server.get(&format!("/admin/sessions?user={ALICE}"), admin).await.expect(200);
    let session = &sessions["items"][0];
    assert_eq!(session["id"], login["session"]["id"]);
    assert_eq!((&session["state"], &session["end_reason"]), (&json!("ended"), &json!("logout")));
    let attempts = server.get("/admin/attempts?username=alice", admin).await.expect(200);
    let outcomes: Vec<&Value> = attempts["items"].as_array().expect("rows").iter().map(|row| &row["outcome"]).collect();
    assert_eq!(outcomes, ["wrong_password", "success"]);

    // PWD-07: the login has hashed her password anew, and it is still her password.
    let events = server.get(&format!("/admin/audit?kind=password.upgraded&subject={ALICE}"), admin).await.expect(200);
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1));
    log_in(&server, "alice", "courrier").await.expect(200);
}

/// The public key of a JWK on the curve P-256 as PEM (RFC 5480 §2.1.1.1).
fn pem(jwk: &Value) -> String {
    const HEAD: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    let mut key = STANDARD.decode(HEAD).expect("base64");
    for coordinate in ["x", "y"] {
        key.extend(URL_SAFE_NO_PAD.decode(jwk[coordinate].as_str().expect("a coordinate")).expect("base64url"));
    }
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(key))
}

/// With the default algorithm an application needs no secret: it verifies with the public key, as JWK or as PEM.
#[rstest]
#[actix_web::test]
async fn a_node_application_verifies_with_the_public_key(#[values(Sqlite, Postgres)] backend: Backend) {
    let database = Arc::new(backend.database());
    let url = database.url.clone();
    // The package looks at the clock of the machine.
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let app = TestApp::on(database, &url, clock, &[]).await;
    let alice = app.signed_in("alice").await;
    let keys = app.app.sessions.signing().verification_keys().public_jwk_set();
    let told = |key: Value| {
        let mut told = json!({
            "token": alice.token(), "algorithms": ["ES256"], "issuer": "http://127.0.0.1:8080", "audience": "vigie",
        });
        told.as_object_mut().expect("an object").extend(key.as_object().expect("an object").clone());
        told
    };
    for key in [json!({ "jwks": keys }), json!({ "pem": pem(&keys["keys"][0]) })] {
        let claims = verified(&told(key)).json();
        assert_eq!((&claims["sid"], &claims["role"]), (&json!(alice.session_id), &json!("agent")));
    }
    // Not the other way round: the public key is no shared secret (RFC 8725 §2.1).
    let mut confused = told(json!({ "pem": pem(&keys["keys"][0]) }));
    confused["algorithms"] = json!(["HS256"]);
    verified(&confused).fails(1, "");
    let mut other = told(json!({ "jwks": keys }));
    other["audience"] = json!("another");
    verified(&other).fails(1, "audience");
}
