//! The rooms of the house: each stands on those that the table of `src/lib.rs` names before it, and within a room no files
//! import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
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

/// No file imports one that leads back to it. A folder's front page may import its own files, and they it: together they are
/// one module.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let modules: BTreeMap<Module, PathBuf> =
        files(Path::new("src")).into_iter().map(|file| (module_of(&file), file)).collect();
    let imports: BTreeMap<&Module, BTreeSet<&Module>> =
        modules.iter().map(|(module, file)| (module, imports(module, &read(file), &modules))).collect();
    let circles: Vec<String> = imports
        .keys()
        .filter(|module| reachable(module, &imports).contains(*module))
        .map(|module| module.join("::"))
        .collect();
    assert_eq!(circles, [""; 0]);
}

/// The names that lead to a module from the crate's root.
type Module = Vec<String>;

fn module_of(file: &Path) -> Module {
    let below = file.strip_prefix("src").expect("a file of ours").with_extension("");
    let names = below.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| name != "mod" && name != "lib" && name != "main").collect()
}

/// The modules that a file imports, but for its folder's front page and, if it is one, its folder's files.
fn imports<'a>(own: &Module, text: &str, modules: &'a BTreeMap<Module, PathBuf>) -> BTreeSet<&'a Module> {
    let code = text.split("mod tests {").next().unwrap_or_default();
    let statements = code.split('\n').map(str::trim_start).filter(|line| !line.starts_with("//"));
    let code = statements.collect::<Vec<_>>().join(" ");
    let imported = code.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
    let names = imported.flat_map(expanded).filter_map(|path| resolved(own, &path));
    let found = names.filter_map(|path| {
        (1..=path.len()).rev().find_map(|length| modules.get_key_value(&path[..length]).map(|(module, _)| module))
    });
    found.filter(|other| !other.starts_with(own) && !own.starts_with(other)).collect()
}

/// The paths of an import, without its braces.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, group)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let mut depth = 0;
    let parts = group.split(|character| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        character == ',' && depth == 0
    });
    parts.flat_map(expanded).map(|part| format!("{}{part}", before.trim())).collect()
}

/// A path from the crate's root; `None` where it leads to another crate.
fn resolved(own: &Module, path: &str) -> Option<Module> {
    let mut names = path.split("::").map(str::trim).map(str::to_owned).peekable();
    let mut from = own.clone();
    match names.peek()?.as_str() {
        "crate" => from.clear(),
        "super" => {}
        _ => return None,
    }
    while names.next_if(|name| name == "super").is_some() {
        from.pop();
    }
    Some(from.into_iter().chain(names.filter(|name| name != "crate")).collect())
}

fn reachable<'a>(from: &'a Module, imports: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> BTreeSet<&'a Module> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        next.extend(imports[&module].iter().copied().filter(|other| found.insert(*other)));
    }
    found
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
