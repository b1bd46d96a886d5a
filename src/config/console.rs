//! `[console]`: the pages that Vigie serves, and how they look.

use std::path::PathBuf;

use chrono_tz::Tz;
use url::Url;

use super::faults::Faults;
use super::mail::Language;
use super::setting::{Text, section};
use super::values::quoted;
use crate::model::user::Email;

/// Longest name that still fits in the head of a page at 320 pixels.
const LONGEST_NAME: usize = 60;
/// The darkest ground of the light pages on which links stand: that of an error (`style.css`, `--wrong-ground`).
const GROUND: [u8; 3] = [0xfd, 0xec, 0xec];
/// How much darker than its ground a colour must be to be read on it, and to have white letters on it (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;

section! {
    /// `[console]`
    pub struct Console {
        pub enabled: bool,
        pub time_zone: Tz,
        pub language: Language,
        pub name: String,
        pub logo_file: PathBuf,
        pub accent: Option<Accent>,
        pub accessibility_contact: Option<Contact>,
        pub accessibility_scheme: Option<Url>,
    }
}

/// A colour that stands out from white and from the other light grounds: `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accent([u8; 3]);

impl Console {
    pub(super) fn check(&self, faults: &mut Faults) {
        let fits = self.name.chars().count() <= LONGEST_NAME && !self.name.chars().any(char::is_control);
        faults.require(fits, "console.name", "must be at most 60 characters, without control characters");
        let is_picture = |ending: &std::ffi::OsStr| ending == "svg" || ending == "png";
        let has_logo = !self.logo_file.as_os_str().is_empty();
        let fits = !has_logo || self.logo_file.extension().is_some_and(is_picture);
        faults.require(fits, "console.logo_file", "must be a file that ends in .svg or .png");
    }
}

impl Accent {
    /// How many times as bright the ground is (WCAG 2.2, "contrast ratio").
    fn contrast_with_ground(self) -> f64 {
        (luminance(GROUND) + 0.05) / (luminance(self.0) + 0.05)
    }
}

/// From 0, black, to 1, white (WCAG 2.2, "relative luminance").
fn luminance(colour: [u8; 3]) -> f64 {
    let [red, green, blue] = colour.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Where somebody answers: an e-mail address, or that of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contact {
    /// An e-mail address.
    Email(Email),
    /// A page, such as one with a form.
    Page(Url),
}

impl Contact {
    /// The address that a link leads to.
    #[must_use]
    pub fn href(&self) -> String {
        match self {
            Self::Email(address) => format!("mailto:{}", address.as_str()),
            Self::Page(page) => page.to_string(),
        }
    }
}

impl std::fmt::Display for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Email(address) => f.write_str(address.as_str()),
            Self::Page(page) => f.write_str(page.as_str()),
        }
    }
}

impl Text for Contact {
    fn parse(text: &str) -> Result<Self, String> {
        let unknown =
            |_| "must be an e-mail address, or that of a page, such as \"https://example.org/contact\"".to_owned();
        if text.contains("://") {
            <Url as Text>::parse(text).map(Self::Page)
        } else {
            Email::parse(text).map(Self::Email).map_err(unknown)
        }
    }
}

impl std::fmt::Display for Accent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Text for Accent {
    fn parse(text: &str) -> Result<Self, String> {
        let unknown = || format!("{} is not a colour such as \"#1d4f91\"", quoted(text));
        let are_digits = |digits: &&str| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = text.strip_prefix('#').filter(are_digits);
        let digits = digits.ok_or_else(unknown)?;
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| unknown());
        let accent = Self([part(0)?, part(2)?, part(4)?]);
        if accent.contrast_with_ground() < LEAST_CONTRAST {
            return Err("is too light to be read on white and on the light red of errors: its contrast must be at least 4.5 to 1".to_owned());
        }
        Ok(accent)
    }
}

impl Text for Tz {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{} is not a time zone such as \"Europe/Paris\"", quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_fault, load};

    #[test]
    fn what_pages_are_made_with_fits() {
        for (key, value, said) in [
            ("time_zone", "Europe/Pris", "not a time zone"),
            ("accent", "blue", "not a colour"),
            ("accent", "#12345", "not a colour"),
            ("accent", "#+1+2+3", "not a colour"),
            ("accent", "#é1234", "not a colour"),
            ("accent", "#ffcc00", "too light"),
            // On white it is 4.6 to 1, on the ground of errors 4.1.
            ("accent", "#757575", "too light"),
            ("language", "de", "none of fr, en"),
            ("logo_file", "logo.gif", ".svg or .png"),
            ("accessibility_contact", "nobody", "an e-mail address"),
            ("accessibility_contact", "javascript://example.org", "http or https"),
            ("accessibility_contact", "https://v:hunter2@example.org", "no password"),
            ("accessibility_scheme", "schema.pdf", "not an address"),
        ] {
            let name = format!("VIGIE__CONSOLE__{}", key.to_uppercase());
            assert_fault(&name, value, &format!("console.{key}"), said);
        }
        let config = load(&[("VIGIE__CONSOLE__ACCENT", "#1D4F91")]).unwrap();
        assert_eq!(config.console.accent.unwrap().to_string(), "#1d4f91");
        for (given, href) in [
            ("acces@example.org", "mailto:acces@example.org"),
            ("https://example.org/contact", "https://example.org/contact"),
        ] {
            let config = load(&[("VIGIE__CONSOLE__ACCESSIBILITY_CONTACT", given)]).unwrap();
            let contact = config.console.accessibility_contact.unwrap();
            assert_eq!((contact.to_string().as_str(), contact.href().as_str()), (given, href));
        }
    }
}
