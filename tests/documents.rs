//! What the documents claim is there.

use std::collections::BTreeSet;
use std::path::Path;

/// Every test that `docs/requirements.md` names exists, and every id of the standards stands there once.
#[test]
fn every_test_that_the_requirements_name_exists() {
    let text = read("docs/requirements.md");
    let mut ids = BTreeSet::new();
    let mut sources = std::collections::HashMap::new();
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
            let (file, name) = test.split_once(" › ").unwrap_or_else(|| panic!("{id}: `{test}` is not FILE › TEST"));
            let source = sources.entry(file.to_owned()).or_insert_with(|| read(file));
            assert!(source.contains(&format!("fn {name}(")), "{id}: {file} has no test {name}");
        }
    }
    assert!(ids.len() > 100, "only {} ids", ids.len());
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

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}
