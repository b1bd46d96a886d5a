//! Addresses: one spelling for each, the key it is indexed by, and the networks that are counted together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// The text is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a network such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct InvalidAddress;

/// The one spelling of an address: IPv4-mapped IPv6 becomes IPv4.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The one spelling of a network: IPv4-mapped IPv6 becomes IPv4, and the bits of the host are cleared.
#[must_use]
pub fn canonical_network(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(net) if net.prefix_len() >= MAPPED_BITS => {
            net.addr().to_ipv4_mapped().and_then(|address| Ipv4Net::new(address, net.prefix_len() - MAPPED_BITS).ok())
        }
        _ => None,
    };
    mapped.map_or(network, IpNet::V4).trunc()
}

/// How an address is shown: its one spelling.
#[must_use]
pub fn text(address: IpAddr) -> String {
    canonical(address).to_string()
}

/// The address as a column that sorts like addresses do: 16 bytes, IPv4 as IPv4-mapped IPv6.
#[must_use]
pub fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The address that has this key.
#[must_use]
pub fn from_key(key: [u8; 16]) -> IpAddr {
    canonical(IpAddr::V6(Ipv6Addr::from(key)))
}

/// The keys of a network's addresses, as ranges of which both ends are included: one, or two where the network is one of IPv6
/// around the place that the keys of IPv4 addresses have there (RFC 4291 §2.5.5.2). An IPv4 address is in no network of IPv6.
#[must_use]
pub fn key_ranges(network: IpNet) -> Vec<([u8; 16], [u8; 16])> {
    let (first, last) = (key(network.network()), key(network.broadcast()));
    let (first_ipv4, last_ipv4) = (key(Ipv4Addr::UNSPECIFIED.into()), key(Ipv4Addr::BROADCAST.into()));
    if matches!(network, IpNet::V4(_)) || last < first_ipv4 || last_ipv4 < first {
        return vec![(first, last)];
    }
    let before = u128::from_be_bytes(first_ipv4) - 1;
    let behind = u128::from_be_bytes(last_ipv4) + 1;
    vec![(first, before.to_be_bytes()), (behind.to_be_bytes(), last)]
}

/// Reads a filter: an address, meaning it alone, or a network in CIDR form.
pub fn parse_filter(text: &str) -> Result<IpNet, InvalidAddress> {
    let network =
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| InvalidAddress)?;
    Ok(canonical_network(network))
}

/// The network that stands for one host: the IPv4 address itself, or the /64 that an IPv6 host has at its free use.
#[must_use]
pub fn host_network(address: IpAddr) -> IpNet {
    network_around(address, 32, 64)
}

/// The network that stands for one site: IPv4 /24, IPv6 /56.
#[must_use]
pub fn wide_network(address: IpAddr) -> IpNet {
    network_around(address, 24, 56)
}

/// The network that refusals are counted under: IPv4 /24, IPv6 /48.
#[must_use]
pub fn counted_network(address: IpAddr) -> IpNet {
    network_around(address, 24, 48)
}

/// What is left of an address when it is cut (PRV-02): the first of its /24, of IPv6 its /48.
#[must_use]
pub fn cut(address: IpAddr) -> IpAddr {
    kept_network(address).addr()
}

/// The network that stays known of an address when it is cut. Records cover it: it is never another one.
#[must_use]
pub fn kept_network(address: IpAddr) -> IpNet {
    network_around(address, 24, 48)
}

fn network_around(address: IpAddr, v4_bits: u8, v6_bits: u8) -> IpNet {
    let address = canonical(address);
    let bits = if address.is_ipv4() { v4_bits } else { v6_bits };
    IpNet::new(address, bits).expect("both lengths fit their family").trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_mapped_address_and_its_ipv4_address_are_one() {
        assert_eq!(canonical(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(text(ip("::ffff:192.0.2.1")), "192.0.2.1");
        assert_eq!(key(ip("::ffff:192.0.2.1")), key(ip("192.0.2.1")));
        assert_eq!(canonical(ip("::1")), ip("::1"));
        assert_eq!(text(ip("2001:DB8:0:0::1")), "2001:db8::1");
    }

    #[test]
    fn a_key_gives_its_address_back() {
        for text in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1"] {
            assert_eq!(from_key(key(ip(text))), ip(text));
        }
    }

    #[test]
    fn a_range_holds_exactly_the_addresses_of_its_network() {
        let in_network = |network: &str, text: &str| {
            let ranges = key_ranges(parse_filter(network).unwrap());
            ranges.iter().any(|(first, last)| (first..=last).contains(&&key(ip(text))))
        };
        let holds = |text: &str| in_network("192.0.2.0/24", text);
        assert!(holds("192.0.2.0") && holds("192.0.2.255") && holds("::ffff:192.0.2.7"));
        assert!(!holds("192.0.1.255") && !holds("192.0.3.0") && !holds("2001:db8::c000:201"));

        let holds = |text: &str| in_network("2001:db8::/32", text);
        assert!(holds("2001:db8::") && holds("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert!(!holds("2001:db9::") && !holds("2001:db7:ffff::"));

        for network in ["::/0", "::/1", "::/64"] {
            let holds = |text: &str| in_network(network, text);
            assert!(holds("::1") && holds("::fffe:ffff:ffff") && holds("::1:0:0:0") && holds("::"), "{network}");
            assert!(!holds("0.0.0.0") && !holds("192.0.2.1") && !holds("255.255.255.255"), "{network}");
        }
        assert!(in_network("0.0.0.0/0", "255.255.255.255") && !in_network("0.0.0.0/0", "::1"));
    }

    #[test]
    fn a_filter_is_an_address_or_a_network() {
        let read = |text: &str| parse_filter(text).map(|network| network.to_string());
        assert_eq!(read("192.0.2.1").as_deref(), Ok("192.0.2.1/32"));
        assert_eq!(read("2001:db8::1").as_deref(), Ok("2001:db8::1/128"));
        assert_eq!(read("192.0.2.77/24").as_deref(), Ok("192.0.2.0/24"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Ok("192.0.2.1/32"));
        assert_eq!(read("::ffff:192.0.2.0/120").as_deref(), Ok("192.0.2.0/24"));
        assert_eq!(read("::ffff:0:0/96").as_deref(), Ok("0.0.0.0/0"));
        assert_eq!(read("::/0").as_deref(), Ok("::/0"));
    }

    #[test]
    fn other_text_is_no_filter() {
        for text in ["", " 192.0.2.1", "192.0.2.1/33", "2001:db8::/129", "192.0.2", "fe80::1%eth0", "localhost", "/8"] {
            assert_eq!(parse_filter(text), Err(InvalidAddress), "{text:?}");
        }
    }

    #[test]
    fn neighbours_are_counted_together_and_strangers_apart() {
        assert_eq!(host_network(ip("::ffff:192.0.2.9")).to_string(), "192.0.2.9/32");
        assert_eq!(host_network(ip("2001:db8:1:2:3::9")).to_string(), "2001:db8:1:2::/64");
        assert_eq!(wide_network(ip("192.0.2.9")).to_string(), "192.0.2.0/24");
        assert_eq!(wide_network(ip("2001:db8:1:2ff::9")).to_string(), "2001:db8:1:200::/56");
    }
}
