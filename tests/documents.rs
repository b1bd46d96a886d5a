//! What the documents claim is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use vigie::model::alert::AlertKind;
use vigie::model::audit::{Aggregate, AuditKind, Reason};
use vigie::model::details::{Member, Names};
use vigie::store::roles::{DatabaseRole, Grant};

/// Every test that `docs/requirements.md` names exists, and every id of the standards stands there once.
#[test]
fn every_test_that_the_requirements_name_exists() {
    let text = read("docs/requirements.md");
    let mut ids = BTreeSet::new();
    let mut sources = Sources::default();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, _, shown] = cells[..] else { panic!("a row has three cells: {line}") };
        if id == "id" || id.starts_with("--") {
            continue;
        }
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        if shown.starts_with("open:") {
            continue;
        }
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{id} names no test and is not open");
        for test in named {
            sources.holds(id, test);
        }
    }
    assert!(ids.len() > 100, "only {} ids", ids.len());
}

/// Every test that the grid of accessibility names exists; what is met and cannot be tested has its reason.
#[test]
fn a11y_06_every_test_that_the_grid_names_exists() {
    let mut sources = Sources::default();
    let (mut rows, mut tested) = (0, 0);
    for line in read("docs/accessibility.md").lines().filter(|line| line.starts_with("| ")) {
        let [number, _, state, evidence] = line.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else {
            panic!("a row has four cells: {line}")
        };
        if number.trim().starts_with(|first: char| first.is_ascii_digit()) {
            rows += 1;
            // Other words in code are attributes and addresses.
            let tests: Vec<&str> = evidence.split('`').skip(1).step_by(2).filter(|code| code.contains(" › ")).collect();
            for test in &tests {
                sources.holds(number, test);
            }
            tested += usize::from(state == "conforme" && !tests.is_empty());
        }
    }
    // 106 of the RGAA (the room of pages counts them), and 6 that WCAG 2.2 adds at A and AA.
    assert_eq!(rows, 112);
    assert!(tested > 50, "only {tested} are shown by a test");
}

/// The files that documents name, each read once.
#[derive(Default)]
struct Sources(std::collections::HashMap<String, String>);

impl Sources {
    /// What `FILE › TEST` names is there.
    #[track_caller]
    fn holds(&mut self, whose: &str, test: &str) {
        let (file, name) = test.split_once(" › ").unwrap_or_else(|| panic!("{whose}: `{test}` is not FILE › TEST"));
        let source = self.0.entry(file.to_owned()).or_insert_with(|| read(file));
        assert!(source.contains(&format!("fn {name}(")), "{whose}: {file} has no test {name}");
    }
}

/// PRV-05: the document says what the history is for and what it is not for, and the API counts logins without naming anybody.
#[test]
fn prv_05_the_purpose_is_stated_and_nothing_reports_who_was_present() {
    let stated = read("docs/retention.md");
    assert!(stated.contains("security of access") && stated.contains("not a record of working time"), "{stated}");
    let document = serde_json::to_value(vigie::http::openapi::document()).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for word in ["presence", "hours", "attendance", "timesheet"] {
        assert!(!paths.iter().any(|path| path.contains(word)), "{word} in {paths:?}");
    }
    let counts = document["components"]["schemas"]["StretchObject"]["properties"].as_object().unwrap();
    assert!(counts.len() >= 3 && counts.keys().all(|member| !member.contains("user")), "{counts:?}");
}

/// `docs/audit-events.md` is written by this test where `INSTA_UPDATE=always` says so; else it must be current (LOG-10).
#[test]
fn log_10_the_inventory_of_events_is_current() {
    is_current("docs/audit-events.md", &inventory());
}

/// Writes a document where `INSTA_UPDATE=always` says so; else it must be current.
fn is_current(document: &str, current: &str) {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(document), current).unwrap();
    }
    assert_eq!(read(document), current, "run this test with INSTA_UPDATE=always");
}

fn inventory() -> String {
    let mut text = INTRODUCTION.to_owned();
    for kind in AuditKind::ALL {
        let facts = kind.facts();
        let about = facts.subjects.iter().map(|subject| format!("`{subject}`")).collect::<Vec<_>>().join(", ");
        write!(text, "\n### `{kind}`\n\n{}\n\n", kind.meaning()).unwrap();
        let gathered = if kind.is_aggregated() { ", counted together" } else { "" };
        writeln!(text, "- outcome: `{}`{gathered}\n- about: {about}", facts.outcome).unwrap();
        if !facts.reasons.is_empty() {
            let reasons: Vec<String> = facts.reasons.iter().map(|reason| format!("`{reason}`")).collect();
            writeln!(text, "- reasons: {}", reasons.join(", ")).unwrap();
        }
        for member in kind.members() {
            member_line(&mut text, member);
        }
    }
    text.push_str("\n## Reasons\n\n| word | meaning |\n|---|---|\n");
    for reason in Reason::ALL {
        writeln!(text, "| `{reason}` | {} |", reason.meaning()).unwrap();
    }
    text.push_str("\n## Counted together\n\nAn event that stands for many says in its details:\n\n");
    for member in Aggregate::MEMBERS {
        member_line(&mut text, member);
    }
    text
}

/// `docs/alerts.md` is written by this test where `INSTA_UPDATE=always` says so; else it must be current (LOG-11).
#[test]
fn log_11_the_inventory_of_alerts_is_current() {
    let mut text = ALERTS.to_owned();
    for kind in AlertKind::ALL {
        write!(text, "\n### `{kind}`\n\n{}\n\n", kind.meaning()).unwrap();
        for member in kind.members() {
            member_line(&mut text, member);
        }
    }
    is_current("docs/alerts.md", &text);
}

fn member_line(text: &mut String, Member { name, says, names }: &Member) {
    let mark = match names {
        Names::Nobody => "",
        Names::Person => " (person)",
        Names::Text => " (text)",
        Names::Filter => " (filter)",
        Names::Network => " (network)",
    };
    writeln!(text, "- `details.{name}`{mark}: {says}").unwrap();
}

const ALERTS: &str = "\
# What reviewers are alerted to

Written from the code by a test (`tests/documents.rs`). Changes are made in `src/model/alert.rs`.

- **Who reads**: administrators and auditors, by `GET /admin/alerts`, and the operator, by `vigie alert`. Each such reading is
  recorded. New alerts are also posted to `[alerts] webhook_url`, and mailed to `[mail] reviewers`.
- **How many**: what happens again to the same subject within `[alerts] window` is counted with the first alert, whose details
  stay. So the details are those of the first time.
- **From which numbers on**: `[alerts]` in `config/default.toml`.

Every alert has: `id`, `kind`, `subject`, `user`, `session_id`, `ip`, `raised_at`, `last_at`, `count`, `state` (`open` or
`acknowledged`), `age_seconds`, `is_overdue`, `disowned_at`, `acknowledged`, `details`. While nodes are updated, an older one may
show a kind or a member that does not stand here.

A member of `details` that is marked *text* or *filter* may name somebody: when that person is erased, all details of the alert
go. One that is marked *network* stays until the alert goes: what is cut before that is `ip` alone.

## Kinds
";

const INTRODUCTION: &str = "\
# What is recorded

A test writes this page from the code (`tests/documents.rs`). So this page says what the server records. To change it, change
`src/model/audit/kind.rs`.

- **Where**: in the table `audit_events`. Each login attempt is also a row of the table `attempts`.
- **How long**: `[retention]` says how long an event is kept. Addresses are shortened before that. Names are removed when a person
  is erased (`docs/retention.md`). Nothing else is changed or removed.
- **Who reads**: administrators and auditors, by `GET /admin/audit` and by exports (CSV, NDJSON, OCSF 1.8). The operator, by
  `vigie audit export`. Each of these readings is an event too, with its filter. Every system that Vigie sends events to
  (`[shipping]`, `docs/shipping.md`).
- **When it is written**: in the transaction of the operation that it describes. A refusal changes nothing. So refusals are
  collected in memory and written within a second, and when the server stops. A crash may lose the refusals of the last second.
- **How much**: refusals of one kind, with one reason, from one network (IPv4 /24, IPv6 /48) are counted together for a minute.
  There is one event for the first refusal, and one event with the number of the others. For each kind, 64 networks are counted
  separately at the same time. All further networks are counted as one.
- **What is not recorded**: a request without a credential; a request whose body or query cannot be read (400, 413, 415, 422); a
  request that was not decided (503). The access log has these. Reading counts (`GET /admin/stats`), users (`GET /admin/users`)
  and clients (`GET /admin/clients`) is not reading history, so it is no event.
- **What no event contains**: a password, a token, a secret, or a text that a client sent in the place of one.

Every event has: `seq`, `at` (RFC 3339, UTC), `kind`, `outcome` (`success` or `failure`), `reason` (a word of the list below,
or null), `actor`, `subject`, `session_id`, `ip`, `request_id`, `details`.

A member of `details` that is marked *person*, *text* or *filter* may name a person. When that person is erased, all details of
the event are removed. A member that is marked *network* stays as long as the event; only `ip` is shortened earlier.

## Kinds
";

const ROLES: &str = "docs/database-roles.md";

/// The table at the end of that document is written by this test where `INSTA_UPDATE=always` says so; else it must be current.
#[test]
fn the_table_of_what_roles_may_is_current() {
    const HEAD: &str = "| table | `vigie_app` | `vigie_reader` | `vigie_retention`, too |\n";
    let text = read(ROLES);
    let before = text.split(HEAD).next().expect("the text before the table");
    let mut current = format!("{before}{HEAD}|---|---|---|---|\n");
    let cell = |grants: &mut dyn Iterator<Item = &Grant>| {
        let may = grants.flat_map(|grant| grant.may).map(|privilege| privilege.to_string().to_lowercase());
        may.collect::<Vec<_>>().join(", ")
    };
    for Grant { table, .. } in DatabaseRole::Application.grants() {
        let of = |role: DatabaseRole| role.grants().filter(|grant| grant.table == *table);
        let (app, reader) = (cell(&mut of(DatabaseRole::Application)), cell(&mut of(DatabaseRole::Reader)));
        let retention = cell(&mut of(DatabaseRole::Retention).skip(1));
        writeln!(current, "| `{table}` | {app} | {reader} | {retention} |").unwrap();
    }
    is_current(ROLES, &current);
}

/// What `docs/clients.md` shows of a file in `examples/` stands there line by line, and those files are run by tests.
#[test]
fn the_lines_for_applications_are_those_of_the_examples() {
    let text = read("docs/clients.md");
    let mut shown = 0;
    // Every second part is a block of code; the line before it links to its file.
    let parts: Vec<&str> = text.split("\n```").collect();
    assert_eq!(parts.len() % 2, 1, "a block does not end");
    for [before, block] in parts.as_chunks().0 {
        // A command is of no file.
        if block.starts_with("sh\n") {
            continue;
        }
        let link = before.trim_end().lines().last().and_then(|line| line.split("](../").nth(1)?.split(')').next());
        let file =
            link.filter(|file| file.starts_with("examples/")).unwrap_or_else(|| panic!("of which file: {block}"));
        let (_, lines) = block.split_once('\n').unwrap_or_default();
        assert!(lines.lines().count() > 5, "{file}: {lines}");
        assert!(read(file).contains(&format!("{lines}\n")), "{file} has other lines than docs/clients.md:\n{lines}");
        shown += 1;
    }
    assert!(shown >= 5, "only {shown} blocks");
}

/// The README names no file that is not there.
#[test]
fn every_file_that_the_readme_links_to_exists() {
    let text = read("README.md");
    let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!links.is_empty());
    for link in links.into_iter().filter(|link| !link.contains("://")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
}

/// Every `src/…`, `tests/…` and `migrations/…` that a document names is there, and has the function in brackets behind it.
#[test]
fn every_file_and_function_that_the_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = std::fs::read_dir(root.join("docs")).unwrap();
    let documents = documents.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    for document in documents.chain(["CONTRIBUTING.md".to_owned(), "migrations/README.md".to_owned()]) {
        let text = read(&document);
        // Every second part is code.
        let parts: Vec<&str> = text.split('`').collect();
        for (place, path) in parts.iter().enumerate().skip(1).step_by(2) {
            let is_of_ours = ["src/", "tests/", "migrations/"].iter().any(|folder| path.starts_with(folder));
            // The requirements name tests, `FILE › TEST`, and commands have arguments.
            if !is_of_ours || path.contains(' ') {
                continue;
            }
            assert!(root.join(path).exists(), "{document}: {path}");
            if let [between, function, behind, ..] = parts[place + 1..]
                && between.trim() == "("
                && behind.starts_with(')')
            {
                let source = read(path);
                let is_there = ["fn", "macro_rules!"]
                    .iter()
                    .any(|what| ["(", "<", " {"].iter().any(|end| source.contains(&format!("{what} {function}{end}"))));
                assert!(is_there, "{document}: {path} has no {function}");
            }
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}
