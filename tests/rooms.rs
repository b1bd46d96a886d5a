//! The rooms of the house: each stands on those that the table of `src/lib.rs` names before it.

use std::path::{Path, PathBuf};

/// Every room is in the table once, and no file names a room that comes after its own.
#[test]
fn no_arrow_runs_back() {
    let map = read(Path::new("src/lib.rs"));
    let rooms = rooms(&map);
    let mut declared: Vec<&str> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut listed = rooms.clone();
    listed.sort_unstable();
    declared.sort_unstable();
    assert_eq!(listed, declared, "the table names each room once");
    let place = |name: &str| rooms.iter().position(|room| *room == name);
    let mut back = Vec::new();
    for file in files(Path::new("src")) {
        let Some(own) = place(&room_of(&file)) else { continue };
        let text = read(&file);
        // A group would hide its rooms from this test.
        assert!(!text.contains("crate::{"), "{}: name each room in a line of its own", file.display());
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let named = code.flat_map(|line| line.split("crate::").skip(1).map(first_word));
        let later = named.filter(|name| place(name).is_some_and(|other| other > own));
        back.extend(later.map(|name| format!("{} names {name}", file.display())));
    }
    assert_eq!(back, [""; 0]);
}

/// The rooms in the first cells of the table.
fn rooms(map: &str) -> Vec<&str> {
    let rows = map.lines().filter(|line| line.starts_with("//! | [`"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// The folder below `src`, or the file alone.
fn room_of(file: &Path) -> String {
    let below = file.strip_prefix("src").expect("a file of ours").components().next().expect("it has a name");
    below.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn first_word(text: &str) -> &str {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or_default()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
