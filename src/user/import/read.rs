//! Reads a file of users. Every fault is told with its line, in the words of who wrote the file.

use std::collections::HashMap;
use std::io::Read;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::row::{Field, NOT_UTF_8, Row, Rows};
use super::{ImportError, Lines, RefusedLine, ndjson, spreadsheet};
use crate::credential::scheme::Scheme;
use crate::model::id::UserId;
use crate::model::user::{Email, PasswordHash, Role, User, UserState, Username};

/// How the file is written. In both, a byte order mark may stand before the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header line naming the columns, then one user a row (RFC 4180); comma, semicolon or tab separates.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// Reads a file of users. Every faulty line is reported, also names and ids that stand in it twice. A file without a user is
/// a fault as well: nobody means to import nothing.
pub fn read(mut source: impl Read, format: Format, now: DateTime<Utc>) -> Result<Lines, ImportError> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    let text = without_byte_order_mark(&bytes)?;
    let rows = match format {
        Format::Csv => spreadsheet::rows(text)?,
        Format::Ndjson => ndjson::rows(text),
    };
    if rows.is_empty() {
        return Err(refused_whole("there is no user in the file"));
    }
    users(rows, now)
}

fn refused_whole(reason: &str) -> ImportError {
    ImportError::Refused(vec![RefusedLine::new(1, reason)])
}

fn without_byte_order_mark(bytes: &[u8]) -> Result<&[u8], ImportError> {
    if is_utf_16(bytes) {
        return Err(refused_whole(NOT_UTF_8));
    }
    Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// UTF-16 is what a spreadsheet calls Unicode text. Where no mark tells, the first two characters do: a header and an
/// object begin with ASCII, and in UTF-16 every second byte of that is NUL.
fn is_utf_16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || matches!(bytes, [0, first, 0, second, ..] | [first, 0, second, 0, ..] if *first > 0 && *second > 0)
}

fn users(rows: Rows, now: DateTime<Utc>) -> Result<Lines, ImportError> {
    let (mut users, mut refused) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (line, row) in rows {
        match row.and_then(|row| user(row, now)) {
            Err(reason) => refused.push(RefusedLine::new(line, reason)),
            Ok(user) => {
                let keys = [format!("name {}", user.username.folded()), format!("id {}", user.id)];
                if let Some(earlier) = keys.iter().find_map(|key| seen.get(key)) {
                    refused.push(RefusedLine::new(line, format!("the same name or id stands in line {earlier}")));
                    continue;
                }
                seen.extend(keys.map(|key| (key, line)));
                users.push((line, user));
            }
        }
    }
    if refused.is_empty() { Ok(users) } else { Err(ImportError::Refused(refused)) }
}

fn user_id(text: &str) -> Result<UserId, String> {
    match Uuid::parse_str(text) {
        Err(_) => Err("id is not a UUID".to_owned()),
        Ok(id) if id.is_nil() || id.is_max() => {
            Err("id is a UUID that stands for nobody (RFC 9562 §5.9, §5.10)".to_owned())
        }
        Ok(id) => Ok(UserId(id)),
    }
}

fn user(mut row: Row, now: DateTime<Utc>) -> Result<User, String> {
    if let Some(missing) = Field::REQUIRED.iter().find(|field| !row.contains_key(*field)) {
        return Err(format!("{missing} is missing"));
    }
    let mut text = |field| row.remove(&field).unwrap_or_default();
    let username = Username::new(&text(Field::Username)).map_err(|error| format!("username: {error}"))?;
    let role = Role::new(&text(Field::Role)).map_err(|error| format!("role: {error}"))?;
    let state = if is_true(&text(Field::Disabled))? { UserState::Disabled } else { UserState::Active };
    let id = match row.get(&Field::Id) {
        Some(id) => user_id(id)?,
        None => UserId::new(now),
    };
    let email = row.get(&Field::Email).map(|email| Email::parse(email)).transpose();
    let email = email.map_err(|error| format!("email: {error}"))?;
    let password_hash = row.remove(&Field::PasswordHash).map(PasswordHash);
    if let Some(hash) = &password_hash {
        Scheme::of(hash).map_err(|error| format!("password_hash: {error}"))?;
    }
    Ok(User {
        id,
        username,
        role,
        state,
        password_hash,
        created_at: now,
        password_changed_at: None,
        must_change_password_since: None,
        email,
    })
}

/// As people, programs, `psql` and a French spreadsheet write it.
fn is_true(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "false" | "f" | "0" | "no" | "n" | "faux" | "non" => Ok(false),
        "true" | "t" | "1" | "yes" | "y" | "vrai" | "oui" => Ok(true),
        _ => Err("disabled is neither true nor false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::known_fields;
    use super::*;

    const ROLE: &str = "role: a role has 1 to 64 visible characters, and no white space at its ends";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn accepted(text: impl AsRef<[u8]>, format: Format) -> Lines {
        read(text.as_ref(), format, now()).unwrap()
    }

    fn refused(text: impl AsRef<[u8]>, format: Format) -> Vec<RefusedLine> {
        match read(text.as_ref(), format, now()) {
            Err(ImportError::Refused(lines)) => lines,
            other => panic!("{other:?}"),
        }
    }

    fn numbers(text: impl AsRef<[u8]>, format: Format) -> Vec<u64> {
        refused(text, format).iter().map(|line| line.line).collect()
    }

    fn only_reason(text: impl AsRef<[u8]>, format: Format) -> String {
        let refused = refused(text, format);
        assert_eq!(refused.len(), 1, "{refused:?}");
        refused[0].reason.clone()
    }

    #[test]
    fn columns_may_come_in_any_order_and_be_left_out() {
        let users = accepted("role,username,disabled\nagent,Zoé,true\nadmin,bob,\n", Format::Csv);
        assert_eq!(users.len(), 2);
        assert_eq!((users[0].0, users[0].1.state), (2, UserState::Disabled));
        assert_eq!((users[1].0, users[1].1.state), (3, UserState::Active));
    }

    #[test]
    fn every_faulty_line_is_named() {
        let text = "username,role,password_hash\nalice,agent,\nalice,agent,\n,agent,\nbob,agent,md5:123\ncarol,agent\n";
        assert_eq!(numbers(text, Format::Csv), [3, 4, 5, 6]);
        let text =
            "{\"username\":\"a\",\"role\":\"b\"}\n\n{\"username\":\"A\",\"role\":\"b\"}\n{\"name\":\"x\"}\nnonsense\n";
        assert_eq!(numbers(text, Format::Ndjson), [3, 4, 5]);
    }

    #[test]
    fn a_line_has_its_number_whatever_ends_lines() {
        for end in ["\n", "\r\n", "\r"] {
            for before in ["", "\u{feff}"] {
                let text = format!("{before}username,role\nann,agent\n\n,agent\n\"\n\",agent\nb,\n").replace('\n', end);
                assert_eq!(numbers(&text, Format::Csv), [4, 5, 7], "{text:?}");
                let text = format!("{before}{{\"username\":\"a\",\"role\":\"b\"}}\n\n[]\n{{}}\n").replace('\n', end);
                assert_eq!(numbers(&text, Format::Ndjson), [3, 4], "{text:?}");
            }
        }
    }

    #[test]
    fn comma_semicolon_and_tab_separate_and_true_is_written_in_many_ways() {
        for separator in [",", ";", "\t"] {
            let text = "username|role|disabled\r\nann|\"a,b;c\"|t\r\nbob|agent|f\r\ncid|agent|VRAI\r\n";
            let users = accepted(text.replace('|', separator), Format::Csv);
            let states: Vec<UserState> = users.iter().map(|(_, user)| user.state).collect();
            assert_eq!(states, [UserState::Disabled, UserState::Active, UserState::Disabled]);
            assert_eq!(users[0].1.role.as_str(), "a,b;c");
        }
        let flag = |flag: &str| read(format!("username,role,disabled\na,b,{flag}").as_bytes(), Format::Csv, now());
        assert!(flag("perhaps").is_err() && flag("tf").is_err());
    }

    #[test]
    fn a_fault_of_the_header_is_told_once() {
        let rows = "a,b\n".repeat(3_000);
        let of = |header: &str| only_reason(format!("{header}\n{rows}"), Format::Csv);
        let reason = of("username,roll");
        assert!(reason.contains("roll") && reason.contains("the column role is missing"), "{reason}");
        assert_eq!(of("username,username,role"), "the column username is there more than once");
        assert_eq!(of("username,role,"), "column 3 has no name");
        assert!(
            of("ann,$2b$10$secretsecretsecret").starts_with("the first line must name the columns, of id, username")
        );
        assert!(!of("username,role,my password of more than forty characters 1").contains("forty"));
    }

    #[test]
    fn reasons_are_in_the_words_of_the_file_and_repeat_no_hash() {
        let text = "username,role,pasword_hash\nalice,agent,$2b$10$secretsecretsecret\n";
        let reason = only_reason(text, Format::Csv);
        assert!(reason.contains("pasword_hash") && !reason.contains("secret"), "{reason}");
        for (line, expected) in [
            ("{\"username\":\"a\"}", "role is missing"),
            ("{\"username\":1,\"role\":\"b\"}", "username is no text in quotation marks"),
            ("{\"username\":\"a\",\"role\":null}", "role is missing"),
            ("{\"username\":\"a\",\"role\":\"b\",\"disabled\":2}", "disabled is neither true nor false"),
            ("{\"username\":\"a\",\"role\":\"b\",\"role\":\"c\"}", "the member role is there more than once"),
            ("[\"$2b$10$secret\"]", "no JSON object: it begins with { and ends with }"),
            ("{\"username\":\"é\",\"role\":\"b\"", "no valid JSON at character 26"),
        ] {
            assert_eq!(only_reason(line, Format::Ndjson), expected, "{line}");
        }
        assert!(only_reason("{\"name\":\"a\"}", Format::Ndjson).starts_with("the member name is none of id, username"));
        assert_eq!(only_reason("username,role\na\n", Format::Csv), "cells: 1, where the header names 2 columns");
        assert_eq!(only_reason("username,role\n,b\n", Format::Csv), "username is missing");
    }

    #[test]
    fn a_file_without_a_user_is_refused() {
        for text in ["", "\n", "\u{feff}", "username,role\r\n", "username;role\r\n;\r\n"] {
            assert_eq!(only_reason(text, Format::Csv), "there is no user in the file", "{text:?}");
        }
        for text in ["", "\u{feff}\r\n \n"] {
            assert_eq!(only_reason(text, Format::Ndjson), "there is no user in the file", "{text:?}");
        }
    }

    #[test]
    fn another_encoding_is_named() {
        assert_eq!(only_reason(b"username,role\nZo\xe9,agent\n", Format::Csv), format!("username: {NOT_UTF_8}"));
        assert_eq!(only_reason(b"{\"username\":\"Zo\xe9\",\"role\":\"b\"}", Format::Ndjson), NOT_UTF_8);
        assert_eq!(only_reason(b"\xff\xfeu\0s\0e\0r\0", Format::Csv), NOT_UTF_8);
    }

    #[test]
    fn utf_16_is_named_with_a_byte_order_mark_and_without() {
        for mark in ["", "\u{feff}"] {
            for (text, format) in [
                ("username,role\r\nZoé,agent\r\n", Format::Csv),
                ("\"username\"\t\"role\"\nZoé\tagent\n", Format::Csv),
                ("{\"username\":\"Zoé\",\"role\":\"b\"}\n", Format::Ndjson),
            ] {
                let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
                let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
                let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
                for bytes in [little, big] {
                    let refused = refused(&bytes, format);
                    assert_eq!(refused, [RefusedLine::new(1, NOT_UTF_8)], "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_with_misplaced_quotation_marks_is_refused_where_it_begins() {
        let unclosed = "a quotation mark that is not closed";
        let continued = "a cell continues after its closing quotation mark";
        let unquoted = "a quotation mark inside a cell that is not quoted: double it and quote the cell";
        for (rows, expected) in [
            ("zed1|\"admin", vec![(2, unclosed)]),
            ("zed1|agent\n\nzed2|\"admin\n\n", vec![(4, unclosed)]),
            ("\n\"", vec![(3, unclosed)]),
            ("\"zed\"2|\"adm\"in\nann|agent\n", vec![(2, continued)]),
            ("\"ann\"|\"a\n\"\nzed|\"adm\"in\n", vec![(2, ROLE), (4, continued)]),
            ("zed|\"agent\nbob|\"admin\"\nann|agent\n", vec![(2, continued)]),
            ("ze\"d|agent\nzed|admin\"\nzoe| \"admin\"\n", vec![(2, unquoted), (3, unquoted), (4, unquoted)]),
        ] {
            for (separator, end) in [(",", "\n"), (";", "\r\n"), ("\t", "\r")] {
                let text = format!("username|role\n{rows}").replace('|', separator).replace('\n', end);
                let refused = refused(&text, Format::Csv);
                let faults: Vec<(u64, &str)> = refused.iter().map(|line| (line.line, line.reason.as_str())).collect();
                assert_eq!(faults, expected, "{text:?}");
            }
        }
        assert_eq!(only_reason("user\"name,role\nann,agent\nbob,agent\n", Format::Csv), unquoted);
        assert_eq!(only_reason("\"username,role\nann,agent\nbob,agent\n", Format::Csv), unclosed);
        let users = accepted("\"username\",role\r\n\"z \"\"o\"\" e\",\"a,\"\"b\"\"\"\r\n", Format::Csv);
        assert_eq!((users[0].1.username.as_str(), users[0].1.role.as_str()), ("z \"o\" e", "a,\"b\""));
    }

    #[test]
    fn a_role_that_nobody_sees_whole_is_refused() {
        for role in ["adm\u{200b}in", "\u{202e}admin", "\u{feff}a"] {
            assert_eq!(only_reason(format!("username,role\nann,{role}\n"), Format::Csv), ROLE, "{role:?}");
        }
    }

    #[test]
    fn an_id_that_stands_for_nobody_is_refused() {
        for id in ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
            let reason = only_reason(format!("id,username,role\n{id},ann,agent\n"), Format::Csv);
            assert!(reason.contains("stands for nobody"), "{reason}");
        }
    }

    #[test]
    fn a_message_repeats_no_more_than_helps() {
        let of = |header: &str| only_reason(format!("{header}\na,b\n"), Format::Csv);
        let columns = |count: usize| (0..count).fold("username,role".to_owned(), |header, _| header + ",roll");
        let known = known_fields();
        assert_eq!(of(&columns(10)), vec![format!("the column roll is none of {known}"); 10].join("; "));
        let reason = of(&columns(100_000));
        assert!(
            reason.len() < 1_500 && reason.ends_with("; further columns that are none of these: 99990"),
            "{reason}"
        );
        for (length, expected) in [(100, "é".repeat(100)), (101, "é".repeat(100) + "…"), (9_000, "é".repeat(100) + "…")]
        {
            let line = format!("{{\"{}\":1}}", "é".repeat(length));
            assert_eq!(only_reason(&line, Format::Ndjson), format!("the member {expected} is none of {known}"));
        }
    }
}
