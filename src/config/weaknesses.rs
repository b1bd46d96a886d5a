//! Settings that are allowed, and weaker than advised: for `vigie config check`, `vigie doctor`, and the log of a start.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::ExposeSecret as _;

use super::database_address::PostgresAddress;
use super::{Algorithm, Config, DatabaseAddress, Fault, HOUR, is_local, is_loopback};
use crate::model::address::canonical;

/// Networks this wide or wider are everybody: nobody's proxies fill them.
const EVERYBODY_IPV4: u8 = 7;
const EVERYBODY_IPV6: u8 = 15;
/// More failures than this from one address, or in a row on one account before anybody waits, are no limit.
const NO_LIMIT: u32 = 1000;

impl Config {
    /// Settings that are allowed but weaker than advised, each as one sentence.
    #[must_use]
    pub fn weaknesses(&self) -> Vec<Fault> {
        let mut weak = Vec::new();
        let mut name = |is_weak: bool, key: &str, message: &str| {
            if is_weak {
                weak.push(Fault::new(key, message));
            }
        };
        let (server, tokens, passwords) = (&self.server, &self.tokens, &self.passwords);
        name(
            server.public_url.scheme() == "http" && !is_loopback(&server.public_url),
            "server.public_url",
            "http: tokens travel in the clear; put TLS in front",
        );
        name(
            server.trusted_proxies.iter().any(is_everybody),
            "server.trusted_proxies",
            "everybody: whoever asks chooses the address that is recorded and throttled; name your proxies",
        );
        name(
            server.metrics_listen.is_some_and(|address| canonical(address.ip()).is_unspecified()),
            "server.metrics_listen",
            "on all interfaces: whoever reaches this machine reads the metrics; name one address",
        );
        name(
            lacks_verified_tls(self.database.url.expose_secret(), is_in_environment),
            "database.url",
            "PostgreSQL elsewhere without verified TLS: add sslmode=verify-full, and sslrootcert where it is no public authority",
        );
        name(tokens.access_ttl > HOUR, "tokens.access_ttl", "longer than an hour; the check makes long lives needless");
        name(
            tokens.algorithm == Algorithm::Hs256,
            "tokens.algorithm",
            "HS256: whoever verifies tokens can also forge them",
        );
        let issuer = url::Url::parse(&tokens.issuer).ok();
        name(
            issuer.is_some_and(|issuer| issuer.scheme() == "http" && !is_loopback(&issuer)),
            "tokens.issuer",
            "http: whoever fetches keys from there may be given others",
        );
        self.name_late_reauthentication(&mut name);
        name(
            passwords.min_length < 15,
            "passwords.min_length",
            "below 15, the least where a password is the only factor",
        );
        name(
            passwords.argon2_below_floor,
            "passwords.argon2_below_floor",
            "allows hashes that are quick to guess; for tests only",
        );
        self.name_open_throttles(&mut name);
        let syslog = &self.shipping.syslog;
        name(
            !syslog.address.is_empty()
                && !syslog.tls
                && !url::Host::parse(syslog.host()).is_ok_and(|host| is_local(&host)),
            "shipping.syslog.tls",
            "off: events travel in the clear, and anybody may take them",
        );
        weak
    }

    fn name_late_reauthentication(&self, name: &mut impl FnMut(bool, &str, &str)) {
        let sessions = &self.sessions;
        let (after, key) = (sessions.reauthentication_after, "sessions.reauthentication_after");
        name(after.is_zero(), key, "off: a token of any age gives power to others");
        name(after > sessions.lifetime, key, "longer than sessions.lifetime: as good as off, no session gets so old");
        name(
            !sessions.reauthentication_for_exports,
            "sessions.reauthentication_for_exports",
            "off: a token of any age takes other people's history out",
        );
    }

    fn name_open_throttles(&self, name: &mut impl FnMut(bool, &str, &str)) {
        let throttle = &self.throttle;
        let is_open = throttle.first_delay.is_zero() || throttle.free_failures >= throttle.locked_after;
        name(is_open, "throttle.first_delay", "whoever guesses a password does not wait");
        let is_short = throttle.max_delay < Duration::from_secs(1);
        name(is_short, "throttle.max_delay", "whoever guesses a password hardly waits");
        name(throttle.daily_failures == 0, "throttle.daily_failures", "no limit of failures a day");
        name(throttle.overall_failures == 0, "throttle.overall_failures", "no limit of failures of the whole server");
        let many = "so many that an address or network is never closed";
        name(throttle.address_failures > NO_LIMIT, "throttle.address_failures", many);
        name(throttle.network_failures > 10 * NO_LIMIT, "throttle.network_failures", many);
    }
}

fn is_everybody(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() <= EVERYBODY_IPV4,
        IpNet::V6(network) => network.prefix_len() <= EVERYBODY_IPV6,
    }
}

/// Whether this leads to PostgreSQL on another machine, which need not prove who it is.
fn lacks_verified_tls(url: &str, is_set: impl Fn(&str) -> bool) -> bool {
    let Ok(DatabaseAddress::Postgres(address)) = DatabaseAddress::read(url) else { return false };
    let is_verified = address.given("sslmode").is_some_and(|mode| mode.starts_with("verify-"))
        || address.given("sslrootcert") == Some("system");
    !is_verified && leads_elsewhere(&address, is_set)
}

/// As libpq reads it: `hostaddr` before `host`, which is before the hosts in front of the path; a path is a socket of this
/// machine. What the address leaves out, a file of services or the environment may say.
fn leads_elsewhere(address: &PostgresAddress<'_>, is_set: impl Fn(&str) -> bool) -> bool {
    if ["service", "servicefile"].iter().any(|name| address.given(name).is_some()) {
        return true;
    }
    let given = ["hostaddr", "host"].iter().find_map(|name| address.given(name));
    let hosts = given.map_or_else(|| address.hosts.clone(), |hosts| hosts.split(',').collect());
    let names_none = hosts.iter().all(|host| host.is_empty());
    let lacks_address = address.given("hostaddr").is_none();
    (names_none && is_set("PGHOST"))
        || (lacks_address && (is_set("PGHOSTADDR") || is_set("PGSERVICE")))
        || !hosts.into_iter().all(is_this_machine)
}

fn is_in_environment(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

fn is_this_machine(host: &str) -> bool {
    let is_socket = host.is_empty() || host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    // As a parameter, an address has neither brackets nor a port.
    let is_bare = host.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    is_socket || is_bare || name.is_empty() || url::Host::parse(name).is_ok_and(|host| is_local(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(settings: &[(&str, &str)]) -> Vec<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, settings).unwrap().weaknesses().into_iter().map(|weak| weak.key).collect()
    }

    #[test]
    fn each_weak_setting_is_named() {
        for (name, value, key) in [
            ("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.1,0.0.0.0/0", "server.trusted_proxies"),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "server.trusted_proxies"),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "::/0", "server.trusted_proxies"),
            ("VIGIE__SERVER__PUBLIC_URL", "http://vigie.example.org", "server.public_url"),
            ("VIGIE__SERVER__METRICS_LISTEN", "0.0.0.0:9080", "server.metrics_listen"),
            ("VIGIE__SERVER__METRICS_LISTEN", "[::]:9080", "server.metrics_listen"),
            ("VIGIE__SERVER__METRICS_LISTEN", "[::ffff:0.0.0.0]:9080", "server.metrics_listen"),
            ("VIGIE__TOKENS__ISSUER", "http://vigie.example.org", "tokens.issuer"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "13h", "sessions.reauthentication_after"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_FOR_EXPORTS", "false", "sessions.reauthentication_for_exports"),
            ("VIGIE__TOKENS__ACCESS_TTL", "24h", "tokens.access_ttl"),
            ("VIGIE__TOKENS__ALGORITHM", "HS256", "tokens.algorithm"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "0s", "sessions.reauthentication_after"),
            ("VIGIE__PASSWORDS__MIN_LENGTH", "8", "passwords.min_length"),
            ("VIGIE__THROTTLE__FIRST_DELAY", "0s", "throttle.first_delay"),
            ("VIGIE__THROTTLE__FREE_FAILURES", "50", "throttle.first_delay"),
            ("VIGIE__THROTTLE__DAILY_FAILURES", "0", "throttle.daily_failures"),
            ("VIGIE__THROTTLE__OVERALL_FAILURES", "0", "throttle.overall_failures"),
            ("VIGIE__THROTTLE__ADDRESS_FAILURES", "100000", "throttle.address_failures"),
            ("VIGIE__THROTTLE__NETWORK_FAILURES", "100000", "throttle.network_failures"),
            ("DATABASE_URL", "postgres://vigie@db.example.org/vigie", "database.url"),
        ] {
            assert_eq!(weak(&[(name, value)]), [key], "{value}");
        }
        let short = [("VIGIE__THROTTLE__FIRST_DELAY", "1ms"), ("VIGIE__THROTTLE__MAX_DELAY", "999ms")];
        assert_eq!(weak(&short), ["throttle.max_delay"]);
        for (name, value) in [
            ("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/48,127.0.0.1"),
            ("VIGIE__TOKENS__ISSUER", "http://127.0.0.1:8080"),
            ("VIGIE__TOKENS__ISSUER", "https://vigie.example.org"),
            ("VIGIE__TOKENS__ISSUER", "vigie"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "12h"),
        ] {
            assert_eq!(weak(&[(name, value)]), [""; 0], "{value}");
        }
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
            assert!(lacks_verified_tls(url, |_| false), "{url}");
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
            assert!(!lacks_verified_tls(url, |_| false), "{url}");
        }
    }

    #[test]
    fn where_the_address_names_no_server_the_environment_does() {
        for (url, variable, is_weak) in [
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
            assert_eq!(lacks_verified_tls(url, |name| name == variable), is_weak, "{url} {variable}");
        }
    }

    #[test]
    fn the_configuration_for_production_is_as_advised() {
        let file = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml"));
        let url = "postgres://vigie:x@db.example.org/vigie?sslmode=verify-full";
        let config = Config::load(Some(file), [("DATABASE_URL".to_owned(), url.to_owned())]).unwrap();
        assert_eq!(config.weaknesses(), []);
    }
}
