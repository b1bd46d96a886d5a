//! Configurations of tests: the defaults, and some variables.

use super::{Config, InvalidConfig};

pub fn load(pairs: &[(&str, &str)]) -> Result<Config, InvalidConfig> {
    Config::load(None, owned(pairs))
}

pub fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The keys of all faults, in their order.
pub fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    let Err(InvalidConfig(faults)) = load(pairs) else { return vec![] };
    faults.into_iter().map(|fault| fault.key).collect()
}

/// The keys of all weak settings, in their order.
pub fn weak(pairs: &[(&str, &str)]) -> Vec<String> {
    load(pairs).unwrap().weaknesses().into_iter().map(|weak| weak.key).collect()
}

/// Fails unless each setting is weak, and the only one.
pub fn assert_each_weak(settings: &[(&str, &str, &str)]) {
    for (name, value, key) in settings {
        assert_eq!(weak(&[(name, value)]), [*key], "{value}");
    }
}

/// Fails unless the setting is one fault, of this key, that says so.
pub fn assert_fault(name: &str, value: &str, key: &str, said: &str) {
    let InvalidConfig(faults) = load(&[(name, value)]).unwrap_err();
    assert!(faults.len() == 1 && faults[0].key == key, "{name}={value}: {faults:?}");
    assert!(faults[0].message.contains(said), "{name}={value}: {faults:?}");
}
