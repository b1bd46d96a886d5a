//! Addresses as they may be shown: without what may be a secret in them, also where they are written wrongly.

use super::database_address::{DatabaseAddress, PostgresAddress, is_shown};

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

/// The address of a database or a mail server: who logs in there is masked, and what is not known to be harmless. Where it is
/// not certain which part is which, all of it is.
#[must_use]
pub fn login_address(address: &str) -> String {
    if ["smtp://", "smtps://"].iter().any(|scheme| address.starts_with(scheme)) {
        return mail_address(address);
    }
    match DatabaseAddress::read(address) {
        Ok(DatabaseAddress::Sqlite(_)) => address.to_owned(),
        Ok(DatabaseAddress::Postgres(read)) => server_address(&read),
        Err(_) => {
            let scheme = ["sqlite:", "postgres://", "postgresql://"].into_iter().find(|it| address.starts_with(*it));
            format!("{}{MASK}", scheme.unwrap_or_default())
        }
    }
}

fn server_address(address: &PostgresAddress<'_>) -> String {
    let login = if address.login.is_some() { format!("{MASK}@") } else { String::new() };
    let hosts = address.hosts.join(",");
    let database = address.database.map(|name| format!("/{}", if is_plain(name) { name } else { MASK }));
    let members: Vec<String> = address.parameters.iter().map(|(name, value)| member(name, value)).collect();
    let query = if members.is_empty() { String::new() } else { format!("?{}", members.join("&")) };
    format!("{}://{login}{hosts}{}{query}", address.scheme, database.unwrap_or_default())
}

fn member(name: &str, value: &str) -> String {
    if is_shown(name) && is_plain(value) { format!("{name}={value}") } else { MASK.to_owned() }
}

/// Whether nothing in it stands for something else: behind `%26` there may be a password that was meant as a parameter.
fn is_plain(text: &str) -> bool {
    let text = text.replace("%2F", "/").replace("%2f", "/");
    text.chars().all(|character| character.is_alphanumeric() || "-._~+/,:".contains(character))
}

fn mail_address(address: &str) -> String {
    let Ok(url) = url::Url::parse(address) else { return MASK.to_owned() };
    let login = if url.username().is_empty() && url.password().is_none() { String::new() } else { format!("{MASK}@") };
    let host = url.host_str().filter(|host| is_plain(host.trim_matches(['[', ']']))).unwrap_or(MASK);
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{login}{host}{port}", url.scheme())
}

/// A web address: its path and its query may be what only the receiver should know.
#[must_use]
pub fn web_address(address: &str) -> String {
    let parsed = url::Url::parse(address).ok();
    let origin = parsed.map(|url| url.origin()).filter(url::Origin::is_tuple);
    origin.map_or_else(|| MASK.to_owned(), |origin| format!("{}/{MASK}", origin.ascii_serialization()))
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
            "postgres://db/vigie?user=v&password=p@hunter2&sslmode=require",
            "postgres://db/vigie&password=hunter2",
            "postgres://db/vigie;password=hunter2",
            "postgres://db/vigie password=hunter2",
            "postgres://db/vigie#hunter2",
            "postgres://db/vigie%26password%3Dhunter2",
            "postgres://db/vigie?sslmode=require?password=hunter2",
            "postgres://db/vigie?sslmode=require;password=hunter2",
            "postgres://db/vigie?sslmode=require%26password=hunter2",
            "postgres://db/vigie?application_name=x%26password%3Dhunter2",
            "postgres://db/vigie?connect_timeout=10;password=hunter2",
            "postgres://db/vigie?dbname=host=1 password=hunter2",
            "postgres://db/vigie?dbname=host%3D1%20password%3Dhunter2",
            "postgres:///x?host=127.0.0.1&port=1&password=a@hunter2",
            "sqlite://vigie:hunter2@h/x",
            "sqlite:x.db?password=hunter2",
            "host=db password=hunter2",
            "hunter2",
            "hun ter2 ://hunter2",
            "smtps://vigie:hunter2@mail.example.org",
            "smtps://vigie:p@hunter2@mail.example.org",
            "smtps://vigie:hunter2/zz@mail.example.org",
            "smtps://vigie:x@mail.example.org/?hunter2#hunter2",
            "smtps://vigie%40hunter2",
            "Smtps://vigie:hunter2@mail.example.org",
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
            ("postgres://@one", "postgres://********@one"),
            ("postgres:///x?host=/run/postgresql&port=1", "postgres:///x?host=/run/postgresql&port=1"),
            ("postgres://db/my%20own?sslmode=require", "postgres://db/********?sslmode=require"),
            ("postgresql://db:x/vigie", "postgresql://********"),
            ("sqlite:x;y", "sqlite:********"),
            ("mysql://db/vigie", "********"),
            ("smtp://mail.example.org", "smtp://mail.example.org"),
            ("smtp://[::1]:25/x", "smtp://[::1]:25"),
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
}
