//! What one row of a file says of a user, whatever the file is written in.

use std::collections::HashMap;

use crate::model::words;

words! {
    /// What a file may say of a user: the columns of CSV, the members of JSON.
    pub(super) enum Field {
        /// A UUID; without one the user gets a new one.
        Id = "id",
        /// The name to log in with.
        Username = "username",
        /// The name of the role.
        Role = "role",
        /// The stored form of the password; without one the user has none.
        PasswordHash = "password_hash",
        /// Whether the user may log in.
        Disabled = "disabled",
        /// Where the user is written to.
        Email = "email",
    }
}

impl Field {
    /// What no user is without.
    pub(super) const REQUIRED: &'static [Self] = &[Self::Username, Self::Role];
}

/// What one row says of a user; what is empty is left out.
pub(super) type Row = HashMap<Field, String>;

/// Rows with the lines that they begin in, or what is wrong with them.
pub(super) type Rows = Vec<(u64, Result<Row, String>)>;

/// Why a text was not understood, and what to do.
pub(super) const NOT_UTF_8: &str = "not UTF-8: save the file with that encoding";

/// The fields by name, as a message lists them.
pub(super) fn known_fields() -> String {
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
    names.join(", ")
}

/// A longer text of the file is not repeated whole.
const MOST_REPEATED: usize = 100;

/// A text of the file as a message repeats it.
pub(super) fn beginning(text: &str) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
