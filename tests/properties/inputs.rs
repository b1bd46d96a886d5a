//! Whatever others send is understood or refused with a reason: nothing panics, nothing is a fault of the server, and no secret
//! comes back. `PROPTEST_CASES=1000000 cargo nextest run properties::inputs --release` tries a million of each.

use std::net::IpAddr;
use std::sync::LazyLock;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rstest::rstest;
use vigie::config::{Algorithm, Config, InvalidConfig, printable};
use vigie::http::paging::Pager;
use vigie::http::remote_address::client_address;
use vigie::model::address::{canonical, key_ranges, parse_filter};
use vigie::model::device::{device, user_agent};
use vigie::model::id::UserId;
use vigie::model::user::Username;
use vigie::store::{sessions, users};
use vigie::token::claims::{TokenForm, named, named_session};
use vigie::token::keys::{SigningKey, VerificationKeySet};
use vigie::token::verify::{Expectations, verify};
use vigie::user::import::{Format, ImportError, read};

use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Of each kind of input: some thousand in all, or as many as the environment says.
fn cases(few: u32) -> ProptestConfig {
    let said = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: said.unwrap_or(few), failure_persistence: None, ..ProptestConfig::default() }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a time")
}

/// Text put together from pieces that mean something, and from any.
fn of_pieces(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..most).prop_map(|pieces| pieces.concat())
}

static VERIFICATION_KEYS: LazyLock<VerificationKeySet> =
    LazyLock::new(|| [SigningKey::generate(Algorithm::Es256).expect("a key").verifying()].into_iter().collect());

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"alg\"",
    "\"ES256\"",
    "\"none\"",
    "\"typ\"",
    "\"at+jwt\"",
    "\"kid\"",
    "\"sid\"",
    "\"gen\"",
    "\"crit\"",
    "\"jku\"",
    "null",
    "-1",
    "1e400",
    "18446744073709551616",
    "\"\\ud800\"",
    "\\u0000",
    "\"exp\"",
    "\u{0}",
    " ",
];

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_token_is_refused_with_a_reason(
        parts in proptest::collection::vec(of_pieces(JSON, 12), 0..5),
        plain in any::<bool>(),
    ) {
        let encode = |part: &String| if plain { part.clone() } else { URL_SAFE_NO_PAD.encode(part) };
        let token = parts.iter().map(encode).collect::<Vec<_>>().join(".");
        let expected = Expectations {
            issuer: "https://vigie.example.org",
            audience: "vigie",
            form: TokenForm::Standard,
            tolerance: std::time::Duration::from_secs(10),
            now: now(),
        };
        prop_assert!(verify(&token, &VERIFICATION_KEYS, &expected).is_err());
        let _ = (named(&token), named_session(&token));
    }

    #[test]
    fn any_file_of_users_is_read_or_refused_by_its_lines(
        text in of_pieces(
            &["username", "role", "password_hash", "id", "disabled", ",", ";", "\t", "\"", "\r\n", "\n", "\r", "ann", "agent",
              "{\"username\":\"ann\",\"role\":\"agent\"}", "{", "}", ":", "true", "\u{feff}", "\u{0}", "$2b$10$", "Zo\u{e9}"],
            40,
        ),
        broken in proptest::option::of(any::<u8>()),
        is_csv in any::<bool>(),
    ) {
        let mut bytes = text.into_bytes();
        bytes.extend(broken);
        let lines = 1 + bytes.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count() as u64;
        match read(bytes.as_slice(), if is_csv { Format::Csv } else { Format::Ndjson }, now()) {
            Ok(users) => {
                prop_assert!(!users.is_empty());
                for (line, user) in users {
                    prop_assert!((1..=lines).contains(&line) && Username::new(user.username.as_str()).is_ok());
                }
            }
            Err(ImportError::Refused(refused)) => {
                prop_assert!(!refused.is_empty());
                for line in refused {
                    prop_assert!((1..=lines).contains(&line.line) && !line.reason.is_empty(), "{line:?}");
                }
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn a_cursor_gives_back_its_place_and_any_text_is_none_or_one(
        folded in "[^\\n\\pC]{0,20}",
        id in any::<u128>(),
        text in prop_oneof!["\\PC{0,40}", proptest::collection::vec(any::<u8>(), 0..40).prop_map(|b| URL_SAFE_NO_PAD.encode(b))],
    ) {
        let place = users::Position { folded, id: UserId(uuid::Uuid::from_u128(id)) };
        let cursor = Pager("users").cursor(&place);
        prop_assert_eq!(Pager("users").asked(None, Some(&cursor)), Ok((Some(place), 50)));
        prop_assert!(Pager("sessions").asked::<users::Position>(None, Some(&cursor)).is_err());
        if let Ok((Some(read), _)) = Pager("users").asked::<sessions::Position>(None, Some(&text)) {
            prop_assert_eq!(Pager("users").asked(None, Some(&Pager("users").cursor(&read))), Ok((Some(read), 50)));
        }
    }

    #[test]
    fn any_address_is_a_network_or_none_and_only_proxies_are_believed(
        text in of_pieces(&["192.0.2.1", "::ffff:", "2001:db8::1", "/", "24", "33", "129", ".", ":", "%eth0", "[", "]", "0x7f", " "], 6),
        forwarded in of_pieces(&["192.0.2.1", "10.0.0.1", ",", " ", "unknown", "for=", "\"[2001:db8::1]:80\"", ";", "::1", ":80"], 8),
        name in proptest::sample::select(vec!["x-forwarded-for", "forwarded"]),
        is_trusted in any::<bool>(),
    ) {
        if let Ok(network) = parse_filter(&text) {
            prop_assert!(key_ranges(network).iter().all(|(first, last)| first <= last), "{network}");
        }
        let peer: IpAddr = "10.0.0.1".parse().expect("an address");
        let trusted = if is_trusted { vec!["10.0.0.0/8".parse().expect("a network")] } else { Vec::new() };
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&forwarded) {
            headers.insert(HeaderName::from_static(name), value);
        }
        let seen = client_address(peer, &trusted, &headers);
        prop_assert_eq!(seen, canonical(seen));
        prop_assert!(is_trusted || seen == peer);
    }

    #[test]
    fn any_user_agent_is_a_device(bytes in proptest::collection::vec(any::<u8>(), 0..600), text in of_pieces(
        &["Mozilla/5.0", "(", ")", "Windows NT 10.0", "; ", "Firefox/", "129.0", "Version/", "Safari", "iPhone", "Android 14", "/"], 20,
    )) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let kept = user_agent(bytes);
            prop_assert!(kept.as_ref().is_none_or(|kept| !kept.contains(char::is_control)));
            let _ = device(kept.as_deref());
        }
    }
}

const KEYS: &[&str] = &[
    "VIGIE__SERVER__LISTEN",
    "VIGIE__SERVER__PUBLIC_URL",
    "VIGIE__SERVER__TRUSTED_PROXIES",
    "VIGIE__TOKENS__ACCESS_TTL",
    "VIGIE__TOKENS__AUDIENCE",
    "VIGIE__SESSIONS__MAX_PER_USER",
    "VIGIE__RETENTION__SESSIONS",
    "VIGIE__ROLES__ADMIN",
    "VIGIE__ALERTS__WEBHOOK_URL",
    "VIGIE__MAIL__SMTP_URL",
    "VIGIE__NODES__LEASE",
    "VIGIE__LOG__LEVEL",
    "VIGIE__DATA__DIR",
    "VIGIE__SHIPPING__FILE__PATH",
    "VIGIE__NO__SUCH",
    "VIGIE__",
    "DATABASE_URL",
];

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_setting_is_valid_or_a_fault_with_its_key(
        name in proptest::sample::select(KEYS),
        value in of_pieces(
            &["10m", "0", "-1", "true", "127.0.0.1:8080", ":", "https://", "vigie.example.org", "sqlite:", "postgres://", "@", "/", "?",
              ",", "[", "\"", "99999999999999999999", "months", " 12", "%", "%zz", "\r", "x"],
            6,
        ),
    ) {
        if let Err(InvalidConfig(faults)) = Config::load(None, [(name.to_owned(), value)]) {
            prop_assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.message.is_empty()));
        }
    }

    #[test]
    fn no_fault_repeats_a_password(
        password in "[a-z]{4}[a-z0-9%/?@#:\\[\\]&=]{4,16}",
        rest in of_pieces(&["@", "db.example.org", ":", "5432", "/", "vigie", "?", "sslmode=require", "&", "password=", "%"], 8),
        name in proptest::sample::select(vec!["DATABASE_URL", "VIGIE__ALERTS__WEBHOOK_URL", "VIGIE__MAIL__SMTP_URL"]),
    ) {
        let scheme = match name {
            "DATABASE_URL" => "postgres",
            "VIGIE__MAIL__SMTP_URL" => "smtps",
            _ => "https",
        };
        let value = format!("{scheme}://vigie:{password}@{rest}");
        let told = match Config::load(None, [(name.to_owned(), value)]) {
            Err(InvalidConfig(faults)) => format!("{faults:?}"),
            Ok(config) => format!("{config:?} {:?}", config.weaknesses()),
        };
        prop_assert!(!told.contains(&password), "{told}");
    }

    /// Also where the password is meant as a parameter, and stands behind what begins none.
    #[test]
    fn no_printed_address_shows_a_password(
        before in of_pieces(
            &["vigie", "127.0.0.1", ":", "1", "/", "x", "?", "&", "@", ",", "[::1]", "sslmode=require", "host=", "dbname=",
              "%2F", "%26"],
            8,
        ),
        separator in proptest::sample::select(vec!["", "?", "&", ";", " ", "#", ":", "@", "%26", "%3F", "\t"]),
        password in "[a-z]{6}[0-9]{6}",
        behind in of_pieces(&["&sslmode=require", "@", "db", "/", "?", ";", ":1", "%"], 4),
    ) {
        let address = format!("postgres://{before}{separator}password={password}{behind}");
        let environment = [("DATABASE_URL".to_owned(), address)];
        let printed = printable(None, environment.clone()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert!(!printed.contains(&password), "{printed}");
        if let Err(fault) = Config::load(None, environment) {
            prop_assert!(!fault.to_string().contains(&password), "{fault}");
        }
    }
}

/// A reviewer's filter of whatever is typed: an answer or a reason, never a fault of the server.
#[rstest]
#[actix_web::test]
async fn any_filter_is_answered_or_refused_with_a_reason(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let members = of_pieces(
        &[
            "user=",
            "not_user=",
            "not_ip=",
            "state=",
            "active",
            "reason=",
            "logout",
            "ip=",
            "192.0.2.0/24",
            "&",
            "started_from=",
            "2026-01-01T00:00:00Z",
            "limit=",
            "0",
            "501",
            "cursor=",
            "token=",
            "kind=",
            "outcome=",
            "%00",
            "%ff",
            "%",
            "+",
            "=",
            "sort=",
            "-started_at",
            "from=",
            "to=",
        ],
        10,
    );
    let mut runner = TestRunner::default();
    for round in 0..cases(300).cases {
        let text = members.new_tree(&mut runner).expect("a value").current();
        let query: String = text.chars().filter(|c| c.is_ascii_graphic() && !"#\"<>`{}|\\^".contains(*c)).collect();
        let path = ["/admin/sessions", "/admin/attempts", "/admin/audit", "/admin/users", "/admin/throttles"]
            [round as usize % 5];
        let answer = auditor.get(&format!("{path}?{query}")).await;
        assert!(matches!(answer.status, 200 | 400 | 422), "{path}?{query}: {} {}", answer.status, answer.body);
    }
}
