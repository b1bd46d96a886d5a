//! The compact form of a signed token (RFC 7515 §3.1), read strictly (JWT-07): one text, one meaning.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::refusal::TokenRefusal;

/// The longest token that is looked at, in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;

/// A token taken apart; nothing of it is believed yet.
pub struct CompactToken<'text> {
    /// The members of the header.
    pub header: Map<String, Value>,
    /// The bytes of the payload. They are read as JSON only once the signature is known to be good.
    pub payload: Vec<u8>,
    /// What is signed: header and payload as they were sent.
    pub signed: &'text str,
    /// The signature, in base64url.
    pub signature: &'text str,
}

impl<'text> CompactToken<'text> {
    /// Takes a token apart. Refuses anything but three non-empty parts in the one canonical base64url spelling:
    /// no padding, no white space, no stray last bits.
    pub fn split(text: &'text str) -> Result<Self, TokenRefusal> {
        if text.len() > MAX_LENGTH {
            return Err(TokenRefusal::TooLarge);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenRefusal::Malformed);
        };
        decode(signature)?;
        Ok(Self {
            header: read_object(&decode(header)?)?,
            payload: decode(payload)?,
            signed: &text[..text.len() - signature.len() - 1],
            signature,
        })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenRefusal> {
    if part.is_empty() {
        return Err(TokenRefusal::Malformed);
    }
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefusal::Malformed)
}

/// Reads a JSON object in which no object, at any depth, has a member twice (RFC 7519 §4).
pub fn read_object(json: &[u8]) -> Result<Map<String, Value>, TokenRefusal> {
    match read_value(json) {
        Ok(Value::Object(members)) => Ok(members),
        // `UniqueMembers` takes every type, so the only fault with the data (not the syntax) is its own.
        Err(error) if error.is_data() => Err(TokenRefusal::DuplicateMember),
        Ok(_) | Err(_) => Err(TokenRefusal::Malformed),
    }
}

fn read_value(json: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = UniqueMembers.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a [`Value`] as `serde_json` does, but refuses a repeated member where `serde_json` keeps the last one.
struct UniqueMembers;

impl<'de> DeserializeSeed<'de> for UniqueMembers {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(UniqueMembers)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("repeated member"));
            }
            members.insert(name, entries.next_value_seed(UniqueMembers)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> Option<TokenRefusal> {
        CompactToken::split(text).err()
    }

    #[test]
    fn jwt_07_only_three_canonical_base64url_parts_are_a_token() {
        let good = "e30.e30.AA";
        assert_eq!(refusal(good), None);
        let malformed = [
            "",
            ".",
            "..",
            "...",
            "e30",
            "e30.e30",
            "e30.e30.",
            ".e30.AA",
            "e30..AA",
            "e30.e30.AA.",
            ".e30.e30.AA",
            "e30.e30.AA.AA",
            "e30.e30.e30.e30.AA",
            "e30=.e30.AA",
            "e30.e30.AA==",
            "e30.e30.A",
            "e30.e30.AB",
            "e31.e30.AA",
            "e30.e31.AA",
            " e30.e30.AA",
            "e30.e30.AA ",
            "e30.e30.AA\n",
            "e30. e30.AA",
            "e30.e30.+/",
            "e30.e30.A%3D",
            "Bearer e30.e30.AA",
            "\"e30.e30.AA\"",
            "{\"payload\":\"e30\",\"signatures\":[]}",
            "e30\u{0}.e30.AA",
            "é.e30.AA",
            "e30.e30.\u{ff21}\u{ff21}",
            "bnVsbA.e30.AA",
            "W10.e30.AA",
            "e30g.e30.A",
            "e30.e30.AAA=",
            "e30,e30,AA",
            "//8.e30.AA",
            "__8.e30.AA",
        ];
        for text in malformed {
            assert_eq!(refusal(text), Some(TokenRefusal::Malformed), "{text:?}");
        }
    }

    #[test]
    fn jwt_07_a_token_longer_than_8_kib_is_refused_unread() {
        let longest = format!("e30.{}.AA", "A".repeat(MAX_LENGTH - 7));
        assert_eq!(longest.len(), MAX_LENGTH);
        assert_ne!(refusal(&longest), Some(TokenRefusal::TooLarge));
        assert_eq!(refusal(&format!("{longest}A")), Some(TokenRefusal::TooLarge));
        assert_eq!(refusal(&"é".repeat(1 << 20)), Some(TokenRefusal::TooLarge));
    }

    #[test]
    fn jwt_07_a_repeated_member_is_refused_at_any_depth_and_in_any_spelling() {
        for json in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"sub":"a","\u0073ub":"b"}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[0,{"b":[{"c":1,"c":null}]}]}"#,
        ] {
            assert_eq!(read_object(json.as_bytes()), Err(TokenRefusal::DuplicateMember), "{json}");
        }
        assert!(read_object(br#"{"a":{"a":[{"a":1},{"a":1}]},"A":1}"#).is_ok());
    }

    #[test]
    fn jwt_07_what_is_not_one_json_object_is_malformed() {
        let deep = "[".repeat(8000);
        let cases: [&[u8]; 14] = [
            b"",
            b"null",
            b"[]",
            b"\"a\"",
            b"1",
            b"{",
            b"{}{}",
            b"{},",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"a\":NaN}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":1e999}",
            deep.as_bytes(),
        ];
        for json in cases {
            assert_eq!(read_object(json), Err(TokenRefusal::Malformed), "{}", String::from_utf8_lossy(json));
        }
    }

    /// Objects of up to three members, many of them repeated or with a comma amiss.
    const SMALL_OBJECT: &str = r#"\{("[ab]":(1|-2|0\.5|"x"|\[\]|\{\}|null|true),?){0,3}\}"#;

    proptest! {
        #[test]
        fn what_is_accepted_has_one_spelling(text in "[A-Za-z0-9_-]{1,6}\\.[A-Za-z0-9_-]{1,6}\\.[A-Za-z0-9_-]{1,6}") {
            let (_, rest) = text.split_once('.').unwrap();
            let text = format!("e30.{rest}");
            if let Ok(token) = CompactToken::split(&text) {
                let again = URL_SAFE_NO_PAD.encode(&token.payload);
                prop_assert_eq!(token.signed, format!("e30.{again}"));
                let signature = URL_SAFE_NO_PAD.decode(token.signature).unwrap();
                prop_assert_eq!(token.signature, URL_SAFE_NO_PAD.encode(signature));
            }
        }

        #[test]
        fn json_without_repeated_members_is_read_as_serde_json_reads_it(json in SMALL_OBJECT) {
            if let Ok(members) = read_object(json.as_bytes()) {
                prop_assert_eq!(Value::Object(members), serde_json::from_str::<Value>(&json).unwrap());
            }
        }
    }
}
