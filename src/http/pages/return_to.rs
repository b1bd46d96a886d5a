//! Where a login leads: the page that was wanted, if it is one of ours, or of a site behind the gate. Whatever else is named there is
//! not followed.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};
use url::Url;

use crate::app::App;

/// A page of ours: its path and query, below the public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// Reads a path; `None` where a browser would read more into it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_path = text.starts_with('/') && !text.starts_with("//") && !text.contains(['\\', '#']);
        if !is_path || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        // A parser of addresses has the last word, and only what it read is used.
        let base = Url::parse("https://page.invalid/").ok()?;
        let url = base.join(text).ok()?;
        if url.origin() != base.origin() || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let page = &url[url::Position::BeforePath..url::Position::AfterQuery];
        // `/.//host` is such a path once its dots are resolved; and what is decoded once more somewhere is to be one still.
        let decoded: Vec<u8> = percent_decode_str(url.path()).collect();
        let is_plain = !decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\');
        (is_plain && !decoded.starts_with(b"//")).then(|| Self(page.to_owned()))
    }

    /// The path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a login leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A page of ours.
    Own(ReturnTo),
    /// A page of a site behind a proxy (`[gate] hosts`).
    Site(Url),
}

impl Destination {
    /// Reads where a login is to lead; `None` where that is nowhere we lead to.
    pub fn parse(app: &App, text: Option<&str>) -> Option<Self> {
        let text = text?;
        ReturnTo::parse(text).map(Self::Own).or_else(|| app.config.gate.page(text).map(Self::Site))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(page) => page.fmt(f),
            Self::Site(page) => page.fmt(f),
        }
    }
}

/// Reads what is one; anything else is as none: whoever altered it gains nothing by an error either.
pub(super) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ReturnTo>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(ReturnTo::parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_ours_is_returned_to() {
        for page in ["/", "/account/sessions?state=all&cursor=a%2Fb", "/a/../account"] {
            let read = ReturnTo::parse(page).unwrap();
            assert!(read.as_str().starts_with('/') && !read.as_str().starts_with("//"), "{read}");
        }
        for other in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/ /evil.example",
            "javascript:alert(1)",
            "/\n/evil.example",
            "/account#//evil.example",
            "/é",
            "/.//evil.example",
            "/a/..//evil.example",
            "/%09/evil.example",
            "/%2Fevil.example",
            "/%5Cevil.example",
        ] {
            assert_eq!(ReturnTo::parse(other), None, "{other:?}");
        }
    }
}
