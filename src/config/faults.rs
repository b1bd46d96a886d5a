//! What is wrong with a configuration, and what is weak in it: each named by its key.

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, as `section.key`; empty where the whole file cannot be read.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The configuration cannot be used; every fault is listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {} fault(s):{}", .0.len(), listed(.0))]
pub struct InvalidConfig(pub Vec<Fault>);

/// One line a fault.
fn listed(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |lines, fault| lines + &format!("\n  {}: {}", fault.key, fault.message))
}

/// Faults in the order in which they are found.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { key: key.into(), message: message.into() });
    }

    /// Adds a fault, unless one of this key is known: the first says what must be changed first.
    pub fn add_first(&mut self, key: &str, message: impl Into<String>) {
        if !self.concern(key) {
            self.add(key, message);
        }
    }

    /// Adds what a check of a section finds, unless a fault of this key is known.
    pub fn require(&mut self, holds: bool, key: &str, message: &str) {
        self.add_if(!holds, key, message);
    }

    /// The same for what should not be so.
    pub fn add_if(&mut self, is_so: bool, key: &str, message: &str) {
        if is_so {
            self.add_first(key, message);
        }
    }

    pub fn concern(&self, key: &str) -> bool {
        self.0.iter().any(|fault| fault.key == key)
    }

    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// The value, where there is no fault.
    pub fn none_or<T>(self, value: T) -> Result<T, InvalidConfig> {
        if self.0.is_empty() { Ok(value) } else { Err(InvalidConfig(self.0)) }
    }
}
