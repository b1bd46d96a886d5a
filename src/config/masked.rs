//! Addresses as they may be shown: without what may be a secret in them, also where they are written wrongly.

/// Stands where something is not shown.
pub const MASK: &str = "********";

/// A web or mail address that may hold a secret. `Debug` shows nothing of it but where it leads.
#[derive(Clone)]
pub struct SecretUrl(pub url::Url);

impl std::ops::Deref for SecretUrl {
    type Target = url::Url;

    fn deref(&self) -> &url::Url {
        &self.0
    }
}

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}/{MASK}", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

/// What `PostgreSQL`'s client may be told in an address that is no secret. Whatever else is given may be a password.
const SHOWN: &[&str] = &[
    "application_name",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "port",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// The address of a database or a mail server: who logs in there is masked, and what is not known to be harmless.
#[must_use]
pub fn login_address(address: &str) -> String {
    if address.starts_with("sqlite:") {
        return address.to_owned();
    }
    let Some((scheme, rest)) = address.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return MASK.to_owned();
    };
    let (login, rest) = match split_login(rest) {
        (Some(_), rest) => (format!("{MASK}@"), rest),
        (None, rest) => (String::new(), rest),
    };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (hosts, _) = place.split_once('/').unwrap_or((place, ""));
    let place = if hosts.split(',').all(is_host) { place } else { MASK };
    let query = query.map(|query| format!("?{}", query.split('&').map(member).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{login}{place}{}", query.unwrap_or_default())
}

/// Whether a login in an address ends where everybody takes it to end. Otherwise the client reads a part of the password as
/// a host, a port or a database, and quotes it.
pub(super) fn is_unambiguous(address: &str) -> bool {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let (login, place) = split_login(rest);
    let hosts = place.split(['/', '?']).next().unwrap_or_default();
    let is_encoded = !login.unwrap_or_default().contains(['/', '?', '@']);
    is_encoded && hosts.split(',').all(is_host) && is_percent_encoded(address)
}

fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    })
}

/// A web address: its path and its query may be what only the receiver should know.
#[must_use]
pub fn web_address(address: &str) -> String {
    let parsed = url::Url::parse(address).ok();
    let origin = parsed.map(|url| url.origin()).filter(url::Origin::is_tuple);
    origin.map_or_else(|| MASK.to_owned(), |origin| format!("{}/{MASK}", origin.ascii_serialization()))
}

/// What stands before the last `@`, and behind it: a password that is not percent-encoded may hold `@`, `/`, `?` and `#`.
fn split_login(rest: &str) -> (Option<&str>, &str) {
    rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest))
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// `name`, `name:port`, `[address]:port`, or nothing, which is this machine. Behind another colon there may be a password.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (text, ""),
    };
    let is_bracketed = name.starts_with('[') && name.ends_with(']');
    (is_bracketed || !name.contains(':')) && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn member(text: &str) -> &str {
    let is_shown = text.split_once('=').is_some_and(|(name, _)| SHOWN.contains(&name));
    if is_shown { text } else { MASK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_an_address_that_may_be_a_password_is_shown() {
        for address in [
            "postgres://vigie:hunter2@db/vigie",
            "postgres://vigie:hunter2/zz@db/vigie",
            "postgres://vigie:hunter2?zz#@db/vigie",
            "postgres://vigie:p@hunter2@db/vigie",
            "postgres://vigie:p%hunter2@db/vigie",
            "postgres://vigie:hunter2",
            "postgres://vigie:hunter2/zz",
            "postgres://[::1]:hunter2/zz",
            "postgres://db/vigie?password=hunter2",
            "postgres://db/vigie?sslmode=require&passwort=hunter2",
            "postgres://db/vigie?hunter2",
            "postgres://db/vigie?sslpassword=hunter2&options=-cx%3Dhunter2",
            "host=db password=hunter2",
            "hunter2",
            "hun ter2 ://hunter2",
            "smtps://vigie:hunter2@mail.example.org",
        ] {
            let shown = login_address(address);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        for address in ["https://hooks.example.org/T0/hunter2", "https://v:hunter2@hooks/?hunter2", "hunter2"] {
            assert!(!web_address(address).contains("hunter2"), "{address}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for (address, shown) in [
            ("sqlite:data/vigie.db", "sqlite:data/vigie.db"),
            ("postgres:///vigie", "postgres:///vigie"),
            (
                "postgres://app:x@one:5432,[::1]:5433/vigie?sslmode=verify-full&sslpassword=x",
                "postgres://********@one:5432,[::1]:5433/vigie?sslmode=verify-full&********",
            ),
            ("smtps://v@mail.example.org:465", "smtps://********@mail.example.org:465"),
        ] {
            assert_eq!(login_address(address), shown);
        }
        assert_eq!(web_address("https://hooks.example.org:1/T0"), "https://hooks.example.org:1/********");
    }

    #[test]
    fn an_address_is_ambiguous_where_a_password_is_not_encoded() {
        for address in
            ["postgres://u:p%40%2F@db:5432/x?host=a,b", "postgres:///x", "postgres://[::1]:1,b:2", "postgres://u@"]
        {
            assert!(is_unambiguous(address), "{address}");
        }
        for address in ["u:p/z@db/x", "u:p%z@db/x", "u:p@z@db/x", "u:p?z@db/x", "u:p@y@db", "u:pass/x", "u:p%00@db"] {
            assert!(!is_unambiguous(&format!("postgres://{address}")), "{address}");
        }
    }
}
