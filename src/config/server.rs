//! `[server]`: how the server is reached.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::faults::Faults;
use super::loopback::is_loopback;
use super::mask::MASK;
use super::setting::{Text, section};
use super::values::quoted;
use crate::model::address::canonical;

/// Networks this wide or wider are everybody: nobody's proxies fill them.
const EVERYBODY_IPV4: u8 = 7;
const EVERYBODY_IPV6: u8 = 15;

section! {
    /// `[server]`
    pub struct Server {
        pub listen: SocketAddr,
        pub public_url: Url,
        pub metrics_listen: Option<SocketAddr>,
        pub trusted_proxies: Vec<IpNet>,
        pub cors_origins: Vec<String>,
        pub workers: usize,
        pub shutdown_timeout: Duration,
    }
}

impl Server {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(
            self.cors_origins.iter().all(|origin| is_origin(origin)),
            "server.cors_origins",
            "each must be scheme://host[:port], without a path and without *",
        );
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        weak.add_if(
            self.public_url.scheme() == "http" && !is_loopback(&self.public_url),
            "server.public_url",
            "http: tokens travel in the clear; put TLS in front",
        );
        weak.add_if(
            self.trusted_proxies.iter().any(is_everybody),
            "server.trusted_proxies",
            "everybody: whoever asks chooses the address that is recorded and throttled; name your proxies",
        );
        weak.add_if(
            self.metrics_listen.is_some_and(|address| canonical(address.ip()).is_unspecified()),
            "server.metrics_listen",
            "on all interfaces: whoever reaches this machine reads the metrics; name one address",
        );
    }
}

fn is_everybody(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() <= EVERYBODY_IPV4,
        IpNet::V6(network) => network.prefix_len() <= EVERYBODY_IPV6,
    }
}

/// An origin as browsers write it (RFC 6454 §6.2): scheme, host and a port that is not the scheme's own.
fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

impl Text for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let said = "is not an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"";
        text.parse().map_err(|_| format!("{} {said}", quoted(text)))
    }
}

/// The public address becomes the issuer of tokens, and the beginning of links. It has no login; one that is given by
/// mistake is not repeated.
impl Text for Url {
    const SHOWN: Option<fn(&str) -> String> = Some(|text| if text.contains('@') { MASK } else { text }.to_owned());

    fn parse(text: &str) -> Result<Self, String> {
        let url = Self::parse(text).map_err(|_| {
            let shown = quoted(if text.contains('@') { MASK } else { text });
            format!("{shown} is not an address such as \"https://vigie.example.org\"")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            Err("must be an http or https address".to_owned())
        } else if !url.username().is_empty() || url.password().is_some() {
            Err("must hold no user and no password".to_owned())
        } else if url.query().is_some() || url.fragment().is_some() {
            Err("must hold neither a ? nor a #, and nothing behind them".to_owned())
        } else {
            Ok(url)
        }
    }
}

/// A network; an address alone is a network of one.
impl Text for IpNet {
    fn parse(text: &str) -> Result<Self, String> {
        let one = || text.parse::<IpAddr>().ok().map(Self::from);
        let said = "is neither an address nor a network, such as \"10.0.0.0/8\"";
        text.parse().ok().or_else(one).ok_or_else(|| format!("{} {said}", quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_each_weak, assert_fault, load, owned, weak};
    use crate::config::{MASK, printable};

    #[test]
    fn what_becomes_the_issuer_is_nothing_else() {
        let (name, key) = ("VIGIE__SERVER__PUBLIC_URL", "server.public_url");
        for (address, said) in [
            ("https://hunter2@vigie.example.org", "no user"),
            ("https://v:hunter2@vigie.example.org", "no password"),
            ("https://vigie.example.org/?hunter2", "a ?"),
            ("https://vigie.example.org/#hunter2", "a #"),
            ("ftp://vigie.example.org/", "http or https"),
        ] {
            assert_fault(name, address, key, said);
            let told = load(&[(name, address)]).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(load(&[(name, "https://example.org/vigie/")]).is_ok());
        let printed = printable(None, owned(&[(name, "https://v:hunter2@vigie.example.org")])).unwrap();
        assert!(printed.contains(MASK) && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn an_address_alone_is_a_network_of_one() {
        let config = load(&[("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1, 10.1.0.0/16")]).unwrap();
        let shown: Vec<String> = config.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.1/32", "::1/128", "10.1.0.0/16"]);
    }

    #[test]
    fn a_server_that_is_open_to_everybody_is_weak() {
        assert_each_weak(&[
            ("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.1,0.0.0.0/0", "server.trusted_proxies"),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "server.trusted_proxies"),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "::/0", "server.trusted_proxies"),
            ("VIGIE__SERVER__PUBLIC_URL", "http://vigie.example.org", "server.public_url"),
            ("VIGIE__SERVER__METRICS_LISTEN", "0.0.0.0:9080", "server.metrics_listen"),
            ("VIGIE__SERVER__METRICS_LISTEN", "[::]:9080", "server.metrics_listen"),
            ("VIGIE__SERVER__METRICS_LISTEN", "[::ffff:0.0.0.0]:9080", "server.metrics_listen"),
        ]);
        assert_eq!(weak(&[("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/48,127.0.0.1")]), [""; 0]);
    }
}
