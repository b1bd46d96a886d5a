//! `[gate]`: one login for sites behind a proxy.

use url::{Host, Url};

use super::console::Console;
use super::faults::Faults;
use super::server::Server;
use super::setting::{Text, section};
use super::values::quoted;

section! {
    /// `[gate]`
    pub struct Gate {
        pub cookie_domain: String,
        pub hosts: Vec<Site>,
    }
}

const HTTPS: u16 = 443;

/// A site behind a proxy: `host` or `host:port`, reached by https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(Url);

impl Gate {
    /// Whether there is one.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.cookie_domain.is_empty()
    }

    /// The address, where it is a page of one of the sites: https, without a login in it, host and port exactly.
    #[must_use]
    pub fn page(&self, text: &str) -> Option<Url> {
        // What a browser would drop or turn round is not left to it.
        let is_plain =
            text.starts_with("https://") && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = is_plain.then(|| Url::parse(text).ok()).flatten()?;
        let authority = text.split(['/', '?', '#']).nth(2)?;
        let is_ours = !authority.is_empty() && !authority.contains('@');
        (is_ours && self.hosts.iter().any(|site| site.0.origin() == url.origin())).then_some(url)
    }

    /// Whether a request is for one of the sites, as a proxy says of it: by https (or as a socket, which some proxies call `wss`), host
    /// and port exactly.
    #[must_use]
    pub fn is_site(&self, proto: &str, host: &str) -> bool {
        ["https", "wss"].contains(&proto) && self.hosts.iter().any(|site| site.is_called(host))
    }

    pub(super) fn check(&self, server: &Server, console: &Console, faults: &mut Faults) {
        let message = "and gate.hosts go together: name both, or neither";
        faults.require(self.is_open() != self.hosts.is_empty(), "gate.cookie_domain", message);
        if !self.is_open() {
            return;
        }
        faults.require(
            console.enabled,
            "console.enabled",
            "must be true where there is a gate: it leads to the login page",
        );
        let domain = self.cookie_domain.as_str();
        let message = "must be a domain such as \"example.org\", in lower case, without a dot before it";
        faults.require(is_domain(domain), "gate.cookie_domain", message);
        let message = "is a public suffix: strangers have sites under it";
        faults.require(!is_public_suffix(domain), "gate.cookie_domain", message);
        let is_under = |host: Option<Host<&str>>| match host {
            Some(Host::Domain(host)) => {
                host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            }
            _ => false,
        };
        let all = self.hosts.iter().all(|site| is_under(site.0.host()));
        faults.require(all, "gate.hosts", "each must be under gate.cookie_domain");
        let public = &server.public_url;
        let fits = public.scheme() == "https" && is_under(public.host());
        faults.require(fits, "server.public_url", "must be https and under gate.cookie_domain, where there is a gate");
    }

    pub(super) fn weaknesses(&self, server: &Server, weak: &mut Faults) {
        let message = "no proxy is trusted: whatever a proxy asks at the gate is refused; name your proxies";
        weak.add_if(self.is_open() && server.trusted_proxies.is_empty(), "server.trusted_proxies", message);
    }
}

impl Site {
    /// Its origin, as policies name it.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether this is what a header calls it.
    fn is_called(&self, host: &str) -> bool {
        let (name, port) = match host.split_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (host, Some(HTTPS)),
        };
        port.is_some()
            && port == self.0.port_or_known_default()
            && self.0.host_str().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

fn is_domain(text: &str) -> bool {
    let is_host = Url::parse(&format!("https://{text}/")).is_ok_and(|url| url.host() == Some(Host::Domain(text)));
    is_host && text.contains('.') && !text.starts_with('.') && !text.ends_with('.')
}

fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

impl Text for Site {
    fn parse(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("{} is not a host, with its port or without, such as \"app.example.org\"", quoted(text));
        if text.contains(['/', '@', '?', '#', '\\', '*']) {
            return Err(unknown());
        }
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| unknown())?;
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Gate;
    use crate::config::support::{assert_fault, faults, load};

    const PUBLIC: (&str, &str) = ("VIGIE__SERVER__PUBLIC_URL", "https://login.example.org");
    const DOMAIN: (&str, &str) = ("VIGIE__GATE__COOKIE_DOMAIN", "example.org");
    const HOSTS: (&str, &str) = ("VIGIE__GATE__HOSTS", "app.example.org,wiki.example.org:8443");

    fn gate() -> Gate {
        load(&[PUBLIC, DOMAIN, HOSTS]).unwrap().gate
    }

    #[test]
    fn a_cookie_is_not_for_a_domain_that_strangers_share() {
        for domain in ["org", "co.uk", "gouv.fr", "github.io"] {
            let given = [PUBLIC, ("VIGIE__GATE__COOKIE_DOMAIN", domain), HOSTS];
            assert!(faults(&given).contains(&"gate.cookie_domain".to_owned()), "{domain}");
        }
        for domain in [".example.org", "Example.org", "192.0.2.1", "example.org/", "a b.org"] {
            let given = [PUBLIC, ("VIGIE__GATE__COOKIE_DOMAIN", domain), HOSTS];
            assert!(faults(&given).contains(&"gate.cookie_domain".to_owned()), "{domain}");
        }
        assert_eq!(faults(&[PUBLIC, DOMAIN]), ["gate.cookie_domain"]);
        assert_eq!(faults(&[PUBLIC, DOMAIN, ("VIGIE__GATE__HOSTS", "app.example.com")]), ["gate.hosts"]);
        assert_eq!(faults(&[PUBLIC, DOMAIN, ("VIGIE__GATE__HOSTS", "app.notexample.org")]), ["gate.hosts"]);
        assert_eq!(faults(&[DOMAIN, HOSTS]), ["server.public_url"]);
        assert_fault("VIGIE__GATE__HOSTS", "https://app.example.org", "gate.hosts", "not a host");
    }

    #[test]
    fn a_site_is_called_by_its_host_and_port() {
        let gate = gate();
        for host in ["app.example.org", "App.Example.org", "app.example.org:443", "wiki.example.org:8443"] {
            assert!(gate.is_site("https", host) && gate.is_site("wss", host), "{host}");
            assert!(!gate.is_site("http", host) && !gate.is_site("", host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "login.example.org",
            "app.example.org.",
            "app.example.org:",
            "app.example.org:444",
            "app.example.org:443:443",
            "wiki.example.org",
            "app.example.org, app.example.org",
            "user@app.example.org",
        ] {
            assert!(!gate.is_site("https", host), "{host}");
        }
    }

    #[test]
    fn only_pages_of_the_sites_are_returned_to() {
        let gate = gate();
        for page in
            ["https://app.example.org", "https://app.example.org:443/a?b=c@d", "https://wiki.example.org:8443/a/../b"]
        {
            assert!(gate.page(page).is_some(), "{page}");
        }
        for page in [
            "http://app.example.org/",
            "https://app.example.org:8443/",
            "https://wiki.example.org/",
            "https://evil.example/",
            "https://app.example.org.evil.example/",
            "https://app.example.org@evil.example/",
            "https://user@app.example.org/",
            "https://evil.example\\@app.example.org/",
            "https:\\\\app.example.org/",
            "https:app.example.org/",
            "https:///app.example.org/",
            "//app.example.org/",
            "https://app.example.org\t/",
            "javascript:alert(1)//app.example.org",
        ] {
            assert!(gate.page(page).is_none(), "{page}");
        }
    }
}
