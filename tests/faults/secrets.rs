//! Nothing that is stored or logged can be used as a credential (P7, SES-03, LOG-03): every secret of a full run is known
//! here, and looked for in the whole database, the whole log and every export.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;
use vigie::audit::export::{ExportFormat, Selection};
use vigie::config::LogFormat;
use vigie::keyring::KeyPurpose;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::filter::{AttemptFilter, EventFilter, Sort};
use vigie::model::secret::SecretKind;
use vigie::user::import::{Format, read};

use crate::support::app::{BY_QUERY, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::child::in_own_process;
use crate::support::dump::{Beside, dump};

/// The passwords of the run; each is typed once at least, some of them wrongly.
const SET_UP: &str = "canari premier chante le matin";
const CHANGED: &str = "canari deuxième chante à midi";
const RESET: &str = "canari troisième chante le soir";
const WRONG: &str = "canari quatrième ne chante pas";
const AS_NAME: &str = "canari-cinquieme-tape-comme-nom";
const TOO_SHORT: &str = "canari6";
const IMPORTED: &str = "canari septième vient d'ailleurs";
const CREATED: &str = "canari huitième est tout nouveau";

/// A log that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    /// Keeps everything that anybody says in this process, but for the test's own client.
    fn everything(format: LogFormat) -> Self {
        let kept = Self::default();
        let everybody = EnvFilter::new("trace,hyper=off,hyper_util=off,reqwest=off");
        let writer = kept.clone();
        vigie::telemetry::dispatch(format, everybody, move || writer.clone()).try_init().expect("the only log");
        kept
    }
}

/// A secret, and the forms in which it must not be found.
struct Secret {
    what: String,
    needles: Vec<Vec<u8>>,
}

impl Secret {
    fn of(what: &str, bytes: &[u8]) -> Self {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let texts = [hex.to_uppercase(), hex, STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
        let mut needles: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
        needles.push(bytes.to_vec());
        Self { what: what.to_owned(), needles }
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        self.needles.iter().any(|needle| contains(haystack, needle))
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The secrets of a run.
#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Secrets {
    fn add(&mut self, what: &str, bytes: &[u8]) {
        self.0.push(Secret::of(what, bytes));
    }

    /// The text after its prefix, and the bytes that it stands for.
    fn add_prefixed(&mut self, what: &str, text: &Value) -> String {
        let text = text.as_str().expect("a secret");
        let (_, encoded) = text.split_once('_').expect("a prefix");
        self.add(what, encoded.as_bytes());
        let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
        // Of a refresh token only the tag is secret; of the others everything is.
        self.add(what, &bytes[bytes.len() - 32..]);
        text.to_owned()
    }

    /// Both tokens of an answer: the access token whole, and its signature alone.
    fn add_pair(&mut self, answer: &Value) {
        let token = answer["access_token"].as_str().expect("a token");
        self.add("an access token", token.as_bytes());
        let (_, signature) = token.rsplit_once('.').expect("a signature");
        self.add("a signature", signature.as_bytes());
        self.add("a signature", &URL_SAFE_NO_PAD.decode(signature).expect("base64url"));
        self.add_prefixed("a refresh token", &answer["refresh_token"]);
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, haystack: &[u8]) {
        for secret in &self.0 {
            assert!(!secret.is_in(haystack), "{} is in {place}", secret.what);
        }
    }
}

/// Everything that hands out, takes or changes a secret, done once well and once badly.
async fn full_run(app: &TestApp, secrets: &mut Secrets) {
    let nobody = app.nobody();
    let login = |name: &str, password: &str| json!({ "username": name, "password": password });

    let setup = app.app.users.issue_setup().await.unwrap().expect("nobody is there yet").secret;
    let setup = secrets.add_prefixed("the set-up token", &json!(setup.reveal(SecretKind::OneTimeToken)));
    let body = |password: &str| json!({ "token": setup, "username": "root", "password": password });
    nobody.post("/auth/setup", body(TOO_SHORT)).await.problem(422, "invalid_input");
    let first = nobody.post("/auth/setup", body(SET_UP)).await.expect(201);
    secrets.add_pair(&first);
    nobody.post("/auth/setup", body(SET_UP)).await.problem(401, "token_invalid");
    let root = app.client(&first);

    for body in [login("root", WRONG), login(AS_NAME, WRONG), login(WRONG, AS_NAME), login("", SET_UP)] {
        nobody.post("/auth/login", body).await.problem(401, "invalid_credentials");
    }
    let unknown_member = json!({ "username": "root", "passwrod": SET_UP });
    nobody.post("/auth/login", unknown_member).await.problem(422, "invalid_input");

    let second = nobody.post("/auth/login", login("root", SET_UP)).await.expect(200);
    secrets.add_pair(&second);
    let next = app.client(&second).refresh().await.expect(200);
    secrets.add_pair(&next);
    app.advance(chrono::TimeDelta::minutes(1));
    app.client(&second).refresh().await.problem(401, "session_ended");
    let changed = json!({ "current_password": SET_UP, "new_password": CHANGED });
    let renewed = root.post("/auth/password", changed.clone()).await.expect(200);
    secrets.add_pair(&renewed);
    let root = app.client(&renewed);
    root.post("/auth/password", changed).await.problem(401, "invalid_credentials");
    administer(app, &root, secrets).await;
    mistake_credentials(app, &root).await;
}

/// What an administrator does with secrets of others.
async fn administer(app: &TestApp, root: &TestClient<'_>, secrets: &mut Secrets) {
    let nobody = app.nobody();
    let new = json!({ "username": "alice", "role": "agent", "password": CREATED });
    let alice = root.post("/admin/users", new).await.expect(201)["id"].as_str().expect("an id").to_owned();
    let invited = root.post("/admin/users", json!({ "username": "dora", "role": "agent" })).await.expect(201);
    secrets.add_prefixed("the reset token of a new user", &invited["reset_token"]);
    let reset = root.post_empty(&format!("/admin/users/{alice}/reset-password")).await.expect(200);
    let reset = secrets.add_prefixed("the reset token", &reset["token"]);
    let set = |password: &str| json!({ "token": reset, "new_password": password });
    nobody.post("/auth/reset", set(TOO_SHORT)).await.problem(422, "invalid_input");
    nobody.post("/auth/reset", set(RESET)).await.expect(204);
    nobody.post("/auth/reset", set(RESET)).await.problem(401, "token_invalid");
    let unused = root.post_empty(&format!("/admin/users/{alice}/reset-password")).await.expect(200);
    secrets.add_prefixed("an unused reset token", &unused["token"]);

    let registered = json!({ "id": "bench", "name": "Bench", "scopes": ["introspect"] });
    let registered = root.post("/admin/clients", registered).await.expect(201);
    secrets.add_prefixed("a client secret", &registered["client_secret"]);
    let rotated = root.post_empty("/admin/clients/bench/rotate-secret").await.expect(200);
    secrets.add_prefixed("a client secret", &rotated["client_secret"]);

    let login = json!({ "username": "alice", "password": RESET, "client_id": "bench" });
    let answer = nobody.post("/auth/login", login).await.expect(200);
    secrets.add_pair(&answer);
    for token in ["access_token", "refresh_token"] {
        root.post("/admin/sessions/lookup", json!({ "token": answer[token] })).await.expect(200);
    }
    let revoked = json!({ "refresh_token": answer["refresh_token"] });
    nobody.post("/auth/logout", revoked).await.expect(204);

    let context = AuditContext::command_line();
    app.app.sessions.rotate_key(&context).await.unwrap();
    let hash = bcrypt::hash(IMPORTED, 4).unwrap();
    let file = format!("username,role,password_hash\nbob,agent,{hash}\n");
    let lines = read(file.as_bytes(), Format::Csv, app.now()).unwrap();
    app.app.users.import(lines, false, &context, |_| {}).await.unwrap();
    let login = json!({ "username": "bob", "password": IMPORTED });
    secrets.add_pair(&nobody.post("/auth/login", login).await.expect(200));
}

/// Good credentials in places where they do not belong: what a careless client does.
async fn mistake_credentials(app: &TestApp, root: &TestClient<'_>) {
    let nobody = app.nobody();
    let in_address = format!("/auth/me?access_token={}", root.token());
    nobody.get(&in_address).await.problem(400, "malformed_request");
    let both = json!({ "refresh_token": root.refresh_token });
    root.post("/auth/logout", both).await.problem(400, "malformed_request");
    let looked_up = json!({ "token": format!("{}x", root.refresh_token) });
    root.post("/admin/sessions/lookup", looked_up).await.problem(404, "not_found");
    nobody.get(&format!("/auth/sessions?password={}", RESET.replace(' ', "%20"))).await;
    root.get(&format!("/auth/sessions?cursor={}", root.token())).await.problem(400, "malformed_request");
    let tampered = format!("{}x", root.token());
    root.with_token(&tampered).get("/auth/me").await.problem(401, "token_invalid");
    root.with_token(&root.refresh_token).get("/auth/me").await.problem(401, "token_invalid");
    nobody.post("/auth/refresh", json!({ "refresh_token": root.token() })).await.problem(401, "token_invalid");
    nobody
        .post("/auth/reset", json!({ "token": root.refresh_token, "new_password": RESET }))
        .await
        .problem(401, "token_invalid");
}

/// The keys of the installation: the master key, and every signing key in the clear.
async fn add_keys(app: &TestApp, secrets: &mut Secrets) {
    let text = std::fs::read_to_string(app.data.path().join("master.key")).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap();
    assert_eq!(bytes.len(), 32);
    secrets.add("the master key", &bytes);
    let vault = app.app.vault.clone();
    let keyring = app.app.store.read(move |db| vault.keyring_in(db)).await.unwrap();
    for purpose in KeyPurpose::ALL {
        secrets.add(purpose.as_str(), keyring.key(*purpose).bytes());
    }
    let keys = app.app.sessions.signing().list().await.unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let private = keyring.key(KeyPurpose::Encryption).decrypt(&key.id, &key.encrypted).unwrap();
        secrets.add("a signing key", &private);
        // Of PKCS #8, beyond the header that every key has: the number itself.
        secrets.add("the number of a signing key", &private[36..68]);
    }
}

/// Every format of every export.
async fn exports(app: &TestApp) -> Vec<u8> {
    let selections = [
        Selection::Sessions(Box::default(), Sort::NewestStart),
        Selection::Attempts(AttemptFilter::default()),
        Selection::Events(EventFilter::default()),
    ];
    let mut all = Vec::new();
    for selection in selections {
        for format in ExportFormat::ALL.iter().copied() {
            let history = &app.app.history;
            let context = AuditContext::command_line();
            let mut export = history.export(selection.clone(), format.into(), None, &context).await.unwrap();
            while let Some(piece) = export.next().await.unwrap() {
                all.extend(piece);
            }
        }
    }
    all
}

/// The files of a SQLite database as they lie on the disk, with what was deleted and not yet overwritten.
fn files(app: &TestApp) -> Vec<u8> {
    let Some(path) = app.database.url.strip_prefix("sqlite:") else { return Vec::new() };
    let parts = ["", "-wal"].map(|ending| std::fs::read(format!("{path}{ending}")).expect("a file of the database"));
    parts.concat()
}

#[rstest]
#[case::on_sqlite_as_text(Sqlite, LogFormat::Text)]
#[case::on_postgres_as_json(Postgres, LogFormat::Json)]
#[actix_web::test]
async fn no_secret_of_a_full_run_is_stored_or_logged(#[case] backend: Backend, #[case] format: LogFormat) {
    // The log belongs to the process.
    if !in_own_process(&[], &[]) {
        return;
    }
    let log = Kept::everything(format);
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "0s")]).await;
    let mut secrets = Secrets::default();
    full_run(&app, &mut secrets).await;
    add_keys(&app, &mut secrets).await;
    for password in [SET_UP, CHANGED, RESET, WRONG, AS_NAME, TOO_SHORT, IMPORTED, CREATED] {
        secrets.add("a password", password.as_bytes());
    }
    assert!(secrets.0.len() > 40, "{}", secrets.0.len());

    app.app.refusals.write_all().await.unwrap();
    let kinds: BTreeSet<AuditKind> = app.events().await.iter().map(|event| event.event.kind).collect();
    let refused = kinds.iter().filter(|kind| kind.is_aggregated()).count();
    assert!(refused >= 6, "what is refused is recorded too: {kinds:?}");

    let dumped = dump(&app.database.url).into_values().flatten().collect::<Vec<_>>().join("\n").into_bytes();
    let (exported, files) = (exports(&app).await, files(&app));
    let log = log.0.lock().unwrap().clone();
    // These places are what they are taken for.
    for (place, content) in [("dump", &dumped), ("exports", &exported), ("log", &log)] {
        assert!(contains(content, b"session"), "{place}");
    }
    assert!(contains(&dumped, b"root") && contains(&exported, b"root") && contains(&log, b"/auth/login"));
    assert!(backend == Postgres || contains(&files, b"root"));

    for (place, content) in
        [("the database", &dumped), ("its files", &files), ("an export", &exported), ("the log", &log)]
    {
        secrets.assert_absent(place, content);
    }
    secrets.assert_absent("the metrics", app.app.metrics.encode().as_bytes());
}

#[test]
fn a_secret_is_found_in_whatever_form_it_is_written() {
    let secret = Secret::of("a secret", &[0xfb, 0xef, 0x01, 0x02, 0xff]);
    for text in ["xfbef0102ffx", "FBEF0102FF", "++8BAv8=", "--8BAv8"] {
        assert!(secret.is_in(text.as_bytes()), "{text}");
    }
    assert!(secret.is_in(&[1, 0xfb, 0xef, 0x01, 0x02, 0xff, 1]));
    assert!(!secret.is_in(b"FBEF0102F"));
}

/// Without what a node writes by itself, whenever it comes to it: how far it has followed the changes.
fn without_housekeeping(mut dump: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    dump.retain(|table, _| !["nodes", "changes", "change_head"].contains(&table.as_str()));
    dump
}

/// Whoever steals the database presents what is in it, in every form and place they can think of.
#[rstest]
#[actix_web::test]
async fn nothing_stored_is_a_credential(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    alice.refresh().await.expect(200);
    let id = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    app.app.users.issue_reset(id, false, &AuditContext::command_line()).await.unwrap();
    let hexadecimal = |expression: &str| match backend {
        Sqlite => format!("hex({expression})"),
        Postgres => format!("encode({expression}, 'hex')"),
    };
    let mut beside = Beside::connect(&app.database.url);
    let mut stored = Vec::new();
    for (column, table) in [("refresh_seed", "sessions"), ("digest", "one_time_tokens"), ("sealed", "signing_keys")] {
        stored.extend(beside.lines(&format!("SELECT {} AS line FROM {table}", hexadecimal(column))));
    }
    for (column, table) in
        [("password_hash", "users"), ("id", "access_tokens"), ("id", "sessions"), ("id", "signing_keys")]
    {
        stored.extend(beside.lines(&format!("SELECT CAST({column} AS text) AS line FROM {table}")));
    }
    assert_eq!(stored.len(), 8, "one of each, and two access tokens: {stored:?}");
    let before = without_housekeeping(dump(&app.database.url));
    for value in stored {
        for text in forms(&value, &alice.session_id) {
            let bearer = app.nobody().with_token(&text).get("/auth/me").await;
            let refresh = app.nobody().post("/auth/refresh", json!({ "refresh_token": text })).await;
            let logout = app.nobody().post("/auth/logout", json!({ "refresh_token": text })).await;
            let body = json!({ "token": text, "new_password": "neuf renards roux courent vite" });
            let reset = app.nobody().post("/auth/reset", body).await;
            for answer in [bearer, refresh, logout, reset] {
                assert_eq!(answer.status, 401, "{text}: {}", answer.body);
            }
        }
    }
    assert_eq!(without_housekeeping(dump(&app.database.url)), before);
    let hash = app.app.users.find(id).await.unwrap().unwrap().password_hash.unwrap().0;
    let login = json!({ "username": "alice", "password": hash });
    app.nobody().post("/auth/login", login).await.problem(401, "invalid_credentials");
}

/// The value as it is, and as each kind of secret would be written.
fn forms(value: &str, session_id: &str) -> Vec<String> {
    let pairs: Vec<&str> = (0..value.len() / 2).filter_map(|at| value.get(2 * at..2 * at + 2)).collect();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let mut forms = vec![value.to_owned(), format!("vgr_{value}"), format!("vgt_{value}")];
    let Some(bytes) = bytes.filter(|bytes| bytes.len() >= 32) else { return forms };
    let encoded = URL_SAFE_NO_PAD.encode(&bytes);
    let session = uuid::Uuid::parse_str(session_id).expect("an id");
    for generation in [0_u32, 1] {
        let token = [session.as_bytes().as_slice(), &generation.to_be_bytes(), &bytes[..32]].concat();
        forms.push(format!("vgr_{}", URL_SAFE_NO_PAD.encode(token)));
    }
    forms.extend([format!("vgt_{encoded}"), format!("vgr_{encoded}"), encoded]);
    forms
}
