//! `[server]`: how the server is reached.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv6Net};
use url::Url;

use super::faults::Faults;
use super::loopback::is_loopback;
use super::mask::{MASK, holds_login};
use super::setting::{Text, section};
use super::values::quoted;
use crate::model::address::{canonical, canonical_network};

/// Nobody's proxies fill more than the widest networks that one holder has: an IPv4 /8, and a /19 of IPv6.
const WIDEST_IPV4: u8 = 8;
const WIDEST_IPV6: u8 = 19;

/// So many addresses together are everybody's: a sixteenth of IPv4, and an IPv6 /16.
const MOST_IPV4: u64 = 1 << 28;
const MOST_IPV6: u128 = 1 << 112;

/// Threads that the framework starts at most.
const MOST_WORKERS: usize = 512;

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
    /// The public address of a page, given by its path and query.
    #[must_use]
    pub fn page(&self, page: &str) -> String {
        format!("{}{page}", self.public_url.as_str().trim_end_matches('/'))
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(
            self.cors_origins.iter().all(|origin| is_origin(origin)),
            "server.cors_origins",
            "each must be scheme://host[:port], without a path and without *",
        );
        faults.require(self.workers <= MOST_WORKERS, "server.workers", "must be at most 512");
        faults.require(
            self.metrics_listen.is_none_or(|metrics| !share_a_port(self.listen, metrics)),
            "server.metrics_listen",
            "must not be the address of server.listen",
        );
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        weak.add_if(
            self.public_url.scheme() == "http" && !is_loopback(&self.public_url),
            "server.public_url",
            "http: tokens travel in the clear; put TLS in front",
        );
        weak.add_if(
            are_everybody(&self.trusted_proxies),
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

/// Whether a machine cannot listen on both.
fn share_a_port(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (canonical(one.ip()), canonical(other.ip()));
    one.port() != 0
        && one.port() == other.port()
        && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

/// Whether the networks hold addresses all over the world, one by one or together.
fn are_everybody(networks: &[IpNet]) -> bool {
    let networks: Vec<IpNet> = networks.iter().copied().map(canonical_network).collect();
    let (mut is_wide, mut ipv4, mut ipv6) = (false, 0_u64, 0_u128);
    for network in IpNet::aggregate(&networks) {
        match network {
            IpNet::V4(network) => {
                is_wide |= network.prefix_len() < WIDEST_IPV4;
                ipv4 += 1_u64 << (32 - network.prefix_len());
            }
            IpNet::V6(network) => {
                is_wide |= network.prefix_len() < WIDEST_IPV6 && global_addresses(network) > 0;
                ipv6 += global_addresses(network);
            }
        }
    }
    is_wide || ipv4 >= MOST_IPV4 || ipv6 >= MOST_IPV6
}

/// How many addresses of a network are of `2000::/3`, which is all that is given to anybody (RFC 4291 §2.4).
fn global_addresses(network: Ipv6Net) -> u128 {
    let first = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
    let is_within = network.network().segments()[0] >> 13 == 1;
    if is_within || network.contains(&first) { 1_u128 << (128 - network.prefix_len().max(3)) } else { 0 }
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
    const SHOWN: Option<fn(&str) -> String> =
        Some(|text| if text.contains('@') || holds_login(text) { MASK } else { text }.to_owned());

    fn parse(text: &str) -> Result<Self, String> {
        let url = Self::parse(text)
            .map_err(|_| format!("{} is not an address such as \"https://vigie.example.org\"", quoted(text)))?;
        if !matches!(url.scheme(), "http" | "https") {
            Err("must be an http or https address".to_owned())
        } else if !url.username().is_empty() || url.password().is_some() {
            Err("must hold no user and no password".to_owned())
        } else if url.path().starts_with("//") {
            Err("must have a path that begins with one /".to_owned())
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
            ("https://vigie.example.org//hunter2", "begins with one /"),
        ] {
            assert_fault(name, address, key, said);
            let message = load(&[(name, address)]).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(load(&[(name, "https://example.org/vigie/")]).is_ok());
        let printed = printable(None, owned(&[(name, "https://v:hunter2@vigie.example.org")])).unwrap();
        assert!(printed.contains(MASK) && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn two_listeners_need_two_addresses() {
        for metrics in ["127.0.0.1:8080", "0.0.0.0:8080", "[::ffff:127.0.0.1]:8080"] {
            let listen = [("VIGIE__SERVER__LISTEN", "127.0.0.1:8080"), ("VIGIE__SERVER__METRICS_LISTEN", metrics)];
            let message = load(&listen).unwrap_err().to_string();
            assert!(message.contains("must not be the address of server.listen"), "{message}");
        }
        let free = [("VIGIE__SERVER__LISTEN", "127.0.0.1:0"), ("VIGIE__SERVER__METRICS_LISTEN", "127.0.0.1:0")];
        assert!(load(&free).is_ok(), "any two free ports");
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
    }

    /// However they are written, and however they are cut.
    #[test]
    fn proxies_that_are_everybody_are_weak() {
        let eights = (0..256).map(|first| format!("{first}.0.0.0/8")).collect::<Vec<_>>().join(",");
        let tens = (0..64).map(|first| format!("{}.0.0.0/10", 4 * first)).collect::<Vec<_>>().join(",");
        for networks in [
            "0.0.0.0/0",
            "::ffff:0:0/96",
            "::ffff:0.0.0.0/96",
            "::ffff:0:0/97,::ffff:128.0.0.0/97",
            "16.0.0.0/7",
            &eights,
            &tens,
            "::/0",
            "::/1",
            "2000::/3",
            "2000::/4,3000::/4",
            "2001::/16,2002::/16,2600::/16,2a00::/16",
            "2a00::/18",
            "2001::/19,2400::/19,2600::/19,2601::/19,2800::/19,2a00::/19,2a01::/19,2c00::/19",
        ] {
            assert_eq!(weak(&[("VIGIE__SERVER__TRUSTED_PROXIES", networks)]), ["server.trusted_proxies"], "{networks}");
        }
        for networks in [
            "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,100.64.0.0/10",
            "::ffff:10.0.0.0/104",
            "fc00::/7,fe80::/10,::1",
            "10.0.0.0/8,fd00::/48,127.0.0.1",
            "2400:cb00::/32,2606:4700::/32,2a06:98c0::/29,173.245.48.0/20,104.16.0.0/13",
        ] {
            assert_eq!(weak(&[("VIGIE__SERVER__TRUSTED_PROXIES", networks)]), [""; 0], "{networks}");
        }
    }
}
