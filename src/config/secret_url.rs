//! Web and mail addresses that may hold a secret: nothing of one is shown but where it leads, also where it is written wrongly.

use url::{Origin, Url};

use super::loopback::is_loopback;
use super::mask::{MASK, NOT_THE_TEXT, is_plain};
use super::setting::Text;

/// A web or mail address that may hold a secret: nothing of it is shown but where it leads.
#[derive(Clone)]
pub struct SecretUrl(pub Url);

impl SecretUrl {
    /// Whether nobody reads what is posted there: by https, or to this very machine.
    pub(super) fn is_private(&self) -> bool {
        self.scheme() == "https" || (self.scheme() == "http" && is_loopback(self))
    }
}

impl Text for SecretUrl {
    const SHOWN: Option<fn(&str) -> String> = Some(shown);

    fn parse(text: &str) -> Result<Self, String> {
        Url::parse(text).map(Self).map_err(|_| NOT_THE_TEXT.to_owned())
    }
}

impl std::ops::Deref for SecretUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown(self.as_str()))
    }
}

/// Where an address leads. The login of a mail server is masked; the path and the query of a web address may be what only the
/// receiver should know.
fn shown(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return MASK.to_owned() };
    if ["smtp://", "smtps://"].iter().any(|scheme| address.starts_with(scheme)) {
        return mail_server(&url);
    }
    let origin = Some(url.origin()).filter(Origin::is_tuple);
    origin.map_or_else(|| MASK.to_owned(), |origin| format!("{}/{MASK}", origin.ascii_serialization()))
}

fn mail_server(url: &Url) -> String {
    let login = if url.username().is_empty() && url.password().is_none() { String::new() } else { format!("{MASK}@") };
    let host = url.host_str().filter(|host| is_plain(host.trim_matches(['[', ']']))).unwrap_or(MASK);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{login}{host}{port}", url.scheme())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_address_that_may_be_a_password_is_shown() {
        for address in [
            "smtps://vigie:hunter2@mail.example.org",
            "smtps://vigie:p@hunter2@mail.example.org",
            "smtps://vigie:hunter2/zz@mail.example.org",
            "smtps://vigie:x@mail.example.org/?hunter2#hunter2",
            "smtps://vigie%40hunter2",
            "Smtps://vigie:hunter2@mail.example.org",
            "postgres://vigie:hunter2@db/vigie",
            "https://hooks.example.org/T0/hunter2",
            "https://v:hunter2@hooks/?hunter2",
            "hunter2",
        ] {
            assert!(!shown(address).contains("hunter2"), "{}", shown(address));
        }
    }

    #[test]
    fn where_an_address_leads_is_shown() {
        for (address, shown) in [
            ("smtp://mail.example.org", "smtp://mail.example.org"),
            ("smtp://[::1]:25/x", "smtp://[::1]:25"),
            ("smtps://v@mail.example.org:465", "smtps://********@mail.example.org:465"),
            ("https://hooks.example.org:1/T0", "https://hooks.example.org:1/********"),
        ] {
            assert_eq!(super::shown(address), shown);
            assert_eq!(format!("{:?}", SecretUrl(address.parse().unwrap())), shown);
        }
    }
}
