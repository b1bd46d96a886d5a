//! `[database]`: the store.

use std::net::Ipv6Addr;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use url::Host;

use super::database_address::{DatabaseAddress, PostgresAddress};
use super::faults::Faults;
use super::loopback::is_local;
use super::setting::section;
use super::values::NOT_A_REGULAR_FILE;
use crate::regular_file;

section! {
    /// `[database]`
    pub struct Database {
        pub url: DatabaseAddress,
        pub pool_size: u32,
        pub wait: Duration,
        pub migrate_on_start: bool,
    }
}

impl Database {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require((1..=256).contains(&self.pool_size), "database.pool_size", "must be 1 to 256");
        faults.require(!self.wait.is_zero(), "database.wait", "must be longer than zero");
        let DatabaseAddress::Sqlite(path) = &self.url else { return };
        let is_no_file = regular_file::is_something_else(path);
        faults.add_if(is_no_file, "database.url", NOT_A_REGULAR_FILE);
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        weak.add_if(
            lacks_verified_tls(&self.url, in_environment),
            "database.url",
            "PostgreSQL elsewhere without verified TLS: add sslmode=verify-full, and sslrootcert where it is no public authority",
        );
    }
}

/// The value of a variable that PostgreSQL's client reads; `None` where it is not set or empty.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whether this leads to PostgreSQL on another machine, which need not prove who it is.
fn lacks_verified_tls(url: &DatabaseAddress, variables: impl Fn(&str) -> Option<String>) -> bool {
    let DatabaseAddress::Postgres(url) = url else { return false };
    PostgresAddress::read(url.expose_secret())
        .is_ok_and(|address| !is_verified(&address, &variables) && leads_elsewhere(&address, &variables))
}

/// As libpq reads it: what the address leaves out, a file of services says, and then the environment.
fn is_verified(address: &PostgresAddress<'_>, variables: Variables<'_>) -> bool {
    let asks = |mode: Option<&str>, root: Option<&str>| {
        mode.is_some_and(|mode| mode.starts_with("verify-")) || root == Some("system")
    };
    let (mode, root) = (address.given("sslmode"), address.given("sslrootcert"));
    let has_service = address.given("service").is_some() || variables("PGSERVICE").is_some();
    if mode.is_some() || root == Some("system") || has_service {
        return asks(mode, root);
    }
    let root_elsewhere = variables("PGSSLROOTCERT").filter(|_| root.is_none());
    asks(variables("PGSSLMODE").as_deref(), root_elsewhere.as_deref())
}

/// As libpq reads it: `hostaddr` before `host`, which is before the hosts in front of the path; a path is a socket of this
/// machine. What the address leaves out, a file of services or the environment may say.
fn leads_elsewhere(address: &PostgresAddress<'_>, variables: Variables<'_>) -> bool {
    if ["service", "servicefile"].iter().any(|name| address.given(name).is_some()) {
        return true;
    }
    let is_elsewhere = |hosts: &str| !hosts.split(',').all(is_this_machine);
    let set_elsewhere = |name: &str| variables(name).is_some_and(|hosts| is_elsewhere(&hosts));
    let given = ["hostaddr", "host"].iter().find_map(|name| address.given(name));
    let hosts = given.map_or_else(|| address.hosts.clone(), |hosts| hosts.split(',').collect());
    let names_none = hosts.iter().all(|host| host.is_empty());
    let lacks_address = address.given("hostaddr").is_none();
    let has_address = lacks_address && variables("PGHOSTADDR").is_some();
    if lacks_address && (variables("PGSERVICE").is_some() || set_elsewhere("PGHOSTADDR")) {
        return true;
    }
    (names_none && !has_address && set_elsewhere("PGHOST")) || !hosts.into_iter().all(is_this_machine)
}

fn in_environment(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(|value| value.to_string_lossy().into_owned())
}

fn is_this_machine(host: &str) -> bool {
    let is_socket = host.is_empty() || host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    // As a parameter, an address has neither brackets nor a port.
    let is_bare = host.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    is_socket || is_bare || name.is_empty() || Host::parse(name).is_ok_and(|host| is_local(&host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::support::assert_each_weak;

    fn is_weak(url: &str, variables: &[(&str, &str)]) -> bool {
        let set = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        lacks_verified_tls(&DatabaseAddress::parse(url).unwrap(), set)
    }

    #[test]
    fn postgres_elsewhere_in_the_clear_is_weak() {
        assert_each_weak(&[("DATABASE_URL", "postgres://vigie@db.example.org/vigie", "database.url")]);
    }

    #[test]
    fn postgres_elsewhere_must_prove_who_it_is() {
        for url in [
            "postgres://vigie:x@db.example.org/vigie?sslmode=require",
            "postgres://vigie@192.0.2.1:5432/vigie",
            "postgresql://127.0.0.1,db.example.org:5432/vigie",
            "postgres://vigie@/vigie?host=db.example.org",
            "postgres://localhost/vigie?hostaddr=192.0.2.1",
            "postgres://localhost/vigie?host=2001:db8::1",
            "postgres:///vigie?service=elsewhere",
            "postgres://localhost/vigie?servicefile=/etc/services.conf",
        ] {
            assert!(is_weak(url, &[]), "{url}");
        }
        for url in [
            "sqlite:data/vigie.db",
            "postgres://vigie:x@db.example.org/vigie?sslmode=verify-full",
            "postgres://db.example.org/vigie?sslmode=verify-ca&sslrootcert=/x",
            "postgres://db.example.org/vigie?sslrootcert=system",
            "postgres://vigie@localhost:5432,[::1]:5433/vigie",
            "postgres:///vigie",
            "postgres://vigie@%2Frun%2Fpostgresql/vigie",
            "postgres://vigie@/vigie?host=/run/postgresql",
            "postgres://vigie@/vigie?hostaddr=::1,127.0.0.1",
        ] {
            assert!(!is_weak(url, &[]), "{url}");
        }
    }

    #[test]
    fn where_the_address_names_no_server_the_environment_does() {
        for (url, variable, expected) in [
            ("postgres:///vigie", "PGHOST", true),
            ("postgres:///vigie", "PGHOSTADDR", true),
            ("postgres:///vigie", "PGSERVICE", true),
            ("postgres://localhost/vigie", "PGHOSTADDR", true),
            ("postgres://localhost/vigie", "PGHOST", false),
            ("postgres:///vigie?host=/run/postgresql", "PGHOST", false),
            ("postgres:///vigie?hostaddr=127.0.0.1", "PGHOSTADDR", false),
            ("postgres:///vigie?sslmode=verify-full", "PGHOST", false),
            ("postgres:///vigie", "PGPORT", false),
            ("sqlite:data/vigie.db", "PGHOST", false),
        ] {
            assert_eq!(is_weak(url, &[(variable, "db.example.org")]), expected, "{url} {variable}");
        }
        for (url, variable, value, expected) in [
            ("postgres:///vigie", "PGHOST", "localhost", false),
            ("postgres:///vigie", "PGHOST", "/run/postgresql", false),
            ("postgres:///vigie", "PGHOST", "localhost,db.example.org", true),
            ("postgres:///vigie", "PGHOSTADDR", "127.0.0.1,::1", false),
            ("postgres:///vigie", "PGHOSTADDR", "192.0.2.1", true),
        ] {
            assert_eq!(is_weak(url, &[(variable, value)]), expected, "{url} {variable}={value}");
        }
    }

    #[test]
    fn where_the_address_asks_for_no_tls_the_environment_may() {
        let url = "postgres://db.example.org/vigie";
        for (url, variables, expected) in [
            (url, &[("PGSSLMODE", "verify-full")][..], false),
            (url, &[("PGSSLMODE", "verify-ca")][..], false),
            (url, &[("PGSSLROOTCERT", "system")][..], false),
            (url, &[("PGSSLMODE", "require")][..], true),
            (url, &[("PGSSLROOTCERT", "/etc/ssl/x.pem")][..], true),
            (url, &[("PGSSLMODE", "verify-full"), ("PGSERVICE", "x")][..], true),
            ("postgres:///vigie", &[("PGSSLMODE", "verify-full"), ("PGHOST", "db.example.org")][..], false),
            ("postgres://db.example.org/vigie?sslmode=require", &[("PGSSLMODE", "verify-full")][..], true),
            ("postgres://db.example.org/vigie?sslrootcert=/x", &[("PGSSLROOTCERT", "system")][..], true),
        ] {
            assert_eq!(is_weak(url, variables), expected, "{url} {variables:?}");
        }
    }
}
