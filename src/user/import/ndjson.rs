//! Users as JSON, one object a line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::lines::numbered;
use super::row::{Field, NOT_UTF_8, Row, Rows, beginning, known_fields};

/// The objects with the numbers of their lines; empty lines are none.
pub(super) fn rows(text: &[u8]) -> Rows {
    let written = numbered(text).filter(|(_, line)| !line.trim_ascii().is_empty());
    written.map(|(number, line)| (number, row(line))).collect()
}

fn row(line: &[u8]) -> Result<Row, String> {
    let text = str::from_utf8(line).map_err(|_| NOT_UTF_8.to_owned())?;
    let Members(members) = serde_json::from_str(text).map_err(|error| not_an_object(text, &error))?;
    let mut row = Row::new();
    for (name, value) in members {
        let unknown = |_| format!("the member {} is none of {}", beginning(&name), known_fields());
        let field: Field = name.parse().map_err(unknown)?;
        if row.insert(field, cell(field, value)?).is_some() {
            return Err(format!("the member {field} is there more than once"));
        }
    }
    row.retain(|_, cell| !cell.is_empty());
    Ok(row)
}

/// The words of a line that is no object, without what stands in it: that may be a hash.
fn not_an_object(text: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        return "no JSON object: it begins with { and ends with }".to_owned();
    }
    let before = &text.as_bytes()[..error.column().min(text.len())];
    format!("no valid JSON at character {}", String::from_utf8_lossy(before).chars().count())
}

fn cell(field: Field, value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(flag) if field == Field::Disabled => Ok(flag.to_string()),
        _ if field == Field::Disabled => Err("disabled is neither true nor false".to_owned()),
        _ => Err(format!("{field} is no text in quotation marks")),
    }
}

/// The members of an object as they are written, also those that are there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
