//! What is shown in the place of secrets.

use toml::Value;

/// Stands where something is not shown.
pub const MASK: &str = "********";

/// Said of a secret that does not fit: what was found is not repeated.
pub const NOT_THE_TEXT: &str = "is not what belongs here: a text, and of an address such as https://host/path";

/// Puts what may be shown of a text in its place. What is no text fits nowhere, but may be a password all the same.
pub fn mask_text(given: &mut Value, shown: impl Fn(&str) -> String) {
    match given {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => *text = shown(text),
        other => *other = Value::String(MASK.to_owned()),
    }
}

/// Whether nothing in it stands for something else: behind `%26` there may be a password that was meant as a parameter.
pub fn is_plain(text: &str) -> bool {
    let text = text.replace("%2F", "/").replace("%2f", "/");
    text.chars().all(|character| character.is_alphanumeric() || "-._~+/,:".contains(character))
}
