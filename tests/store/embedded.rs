//! How the embedded SQLite is compiled (`.cargo/config.toml`).

use super::empty;
use crate::support::backend::Backend::Sqlite;
use crate::support::dump::Beside;

/// With STAT4 it would prepare a statement again for nearly every new value.
#[test]
fn it_is_compiled_as_its_authors_recommend() {
    let (_store, database) = empty(Sqlite);
    let options = Beside::connect(&database.url).lines("SELECT compile_options AS line FROM pragma_compile_options");
    let is_set = |option: &str| options.iter().any(|set| set == option);
    for option in ["ENABLE_STAT4", "ENABLE_MEMORY_MANAGEMENT", "ENABLE_API_ARMOR"] {
        assert!(!is_set(option), "{option} of {options:?}");
    }
    for option in ["THREADSAFE=2", "DEFAULT_MEMSTATUS=0", "DQS=0"] {
        assert!(is_set(option), "{option} of {options:?}");
    }
}
