//! Who is calling: the client's address, believed from a proxy's header only where the proxy is trusted (ATH-06).
//! The chain is read from right to left, so that what a client wrote itself is never reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::IpNet;

use crate::model::address::canonical;

/// The two ends that a request is known to come from. An extractor, once `middleware::wrap` is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress {
    /// The client: the one to record and to throttle.
    pub client: IpAddr,
    /// The other end of the TCP connection: the client itself, or the proxy nearest to Vigie.
    pub connection: IpAddr,
    /// Whether the other end is a trusted proxy, whose headers are believed.
    pub through_proxy: bool,
}

impl RemoteAddress {
    /// Reads the ends of a request. A connection without an address (in-process tests) is 0.0.0.0.
    #[must_use]
    pub fn of(request: &ServiceRequest, trusted: &[IpNet]) -> Self {
        let connection = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| canonical(peer.ip()));
        Self {
            client: client_address(connection, trusted, request.headers()),
            connection,
            through_proxy: is_trusted(connection, trusted),
        }
    }
}

/// The client's address: the first one, from the right, that is not a trusted proxy.
///
/// `Forwarded` (RFC 7239) and `X-Forwarded-For` are read only where `peer` is trusted. What is no address (garbage,
/// `unknown`, an obfuscated name) ends the walk at the last address understood; if all are trusted, the leftmost is
/// the client.
///
/// If both headers are there, `X-Forwarded-For` counts: proxies write that one unless told otherwise and let
/// `Forwarded` pass as the client sent it, so the other choice would hand the address to the client.
#[must_use]
pub fn client_address(peer: IpAddr, trusted: &[IpNet], headers: &HeaderMap) -> IpAddr {
    let peer = canonical(peer);
    if !is_trusted(peer, trusted) {
        return peer;
    }
    if headers.contains_key(X_FORWARDED_FOR) {
        walk(peer, trusted, elements_from_right(headers, &X_FORWARDED_FOR), node_address)
    } else {
        walk(peer, trusted, elements_from_right(headers, &FORWARDED), forwarded_for)
    }
}

fn walk<'a>(
    peer: IpAddr,
    trusted: &[IpNet],
    elements: impl Iterator<Item = &'a str>,
    address_of: fn(&str) -> Option<IpAddr>,
) -> IpAddr {
    let mut nearest = peer;
    for element in elements {
        let Some(address) = address_of(element.trim()) else { break };
        nearest = canonical(address);
        if !is_trusted(nearest, trusted) {
            break;
        }
    }
    nearest
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The elements of a list header, over all its lines, the last one first. A line that is not ASCII is one empty
/// element, which is no address.
fn elements_from_right<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> = headers.get_all(name).map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().rev().flat_map(|line| {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let (before, element) = split_last_outside_quotes(rest?, b',');
            rest = before;
            Some(element)
        })
    })
}

/// Splits at the last separator outside quotes. Quotes are matched from the right too: an open quote that a client
/// left in its own part does not swallow what the proxies appended.
fn split_last_outside_quotes(text: &str, separator: u8) -> (Option<&str>, &str) {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for (at, &byte) in bytes.iter().enumerate().rev() {
        if byte == b'"' && (at == 0 || bytes[at - 1] != b'\\') {
            quoted = !quoted;
        } else if byte == separator && !quoted {
            return (Some(&text[..at]), &text[at + 1..]);
        }
    }
    (None, text)
}

/// The address in the parameter `for` of one element of `Forwarded`; `None` also where it is there twice.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut rest = Some(element);
    let mut found = None;
    while let Some(text) = rest {
        let (before, pair) = split_last_outside_quotes(text, b';');
        rest = before;
        let (name, value) = pair.trim().split_once('=')?;
        if !name.eq_ignore_ascii_case("for") {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(node_address(unquoted(value)?)?);
    }
    found
}

/// The text of a token or of a quoted string. An address needs no escapes, so a backslash stays and is refused later.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn node_address(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address);
    }
    if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_fits.then(|| address.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?;
    }
    let (address, port) = node.split_once(':')?;
    is_port(port).then(|| address.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    /// Reads the address as a server that trusts `10.0.0.0/8` and `2001:db8:aaaa::/48`.
    fn client(peer: &str, lines: &[(&str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8:aaaa::/48".parse().unwrap()];
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_address(peer.parse().unwrap(), &trusted, &headers).to_string()
    }

    #[rstest]
    #[case::no_header(&[])]
    #[case::x_forwarded_for(&[("x-forwarded-for", "192.0.2.66")])]
    #[case::forwarded(&[("forwarded", "for=192.0.2.66")])]
    #[case::a_proxy_named(&[("x-forwarded-for", "192.0.2.66, 10.0.0.1")])]
    fn a_stranger_cannot_choose_its_address(#[case] lines: &[(&str, &str)]) {
        assert_eq!(client("198.51.100.7", lines), "198.51.100.7");
        assert_eq!(client("::ffff:198.51.100.7", lines), "198.51.100.7");
    }

    #[rstest]
    #[case::one("192.0.2.1", "192.0.2.1")]
    #[case::written_by_the_client("192.0.2.66, 192.0.2.1", "192.0.2.1")]
    #[case::proxy_claimed_by_the_client("192.0.2.66, 10.9.9.9, 192.0.2.1", "192.0.2.1")]
    #[case::two_proxies("192.0.2.66, 192.0.2.1, 10.0.0.2", "192.0.2.1")]
    #[case::mapped_proxy("192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1")]
    #[case::mapped_client("::ffff:192.0.2.1", "192.0.2.1")]
    #[case::ipv6_proxy("2001:db8::1,2001:db8:aaaa::5", "2001:db8::1")]
    #[case::ports("192.0.2.1:4711, [2001:db8:aaaa::5]:80", "192.0.2.1")]
    #[case::brackets("[2001:db8::1]", "2001:db8::1")]
    #[case::brackets_and_port("[2001:db8::1]:4711", "2001:db8::1")]
    #[case::all_trusted("10.0.0.3, 10.0.0.2", "10.0.0.3")]
    #[case::no_spaces("192.0.2.66,192.0.2.1", "192.0.2.1")]
    #[case::open_quote("\", 192.0.2.1", "192.0.2.1")]
    fn x_forwarded_for_is_read_from_the_right(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(client(PROXY, &[("x-forwarded-for", line)]), expected);
    }

    #[rstest]
    #[case::empty("", PROXY)]
    #[case::unknown("unknown", PROXY)]
    #[case::name("localhost", PROXY)]
    #[case::left_of_it_is_not_reached("192.0.2.66, unknown", PROXY)]
    #[case::behind_a_proxy("192.0.2.66, unknown, 10.0.0.2", "10.0.0.2")]
    #[case::empty_element("192.0.2.66,, 10.0.0.2", "10.0.0.2")]
    #[case::port_of_letters("192.0.2.1:http", PROXY)]
    #[case::port_too_long("192.0.2.1:123456", PROXY)]
    #[case::open_bracket("[2001:db8::1", PROXY)]
    #[case::text_after_bracket("[2001:db8::1]x", PROXY)]
    #[case::ipv4_in_brackets("[192.0.2.1]", PROXY)]
    #[case::zone("fe80::1%eth0", PROXY)]
    #[case::octal("0300.0.2.1", PROXY)]
    #[case::not_ascii("192.0.2.66, é", PROXY)]
    fn what_is_no_address_ends_the_walk(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(client(PROXY, &[("x-forwarded-for", line)]), expected);
    }

    #[rstest]
    #[case::plain("for=192.0.2.1", "192.0.2.1")]
    #[case::any_case_and_parameters("By=203.0.113.43;FOR=192.0.2.1;proto=https", "192.0.2.1")]
    #[case::quoted_ipv6("for=\"[2001:db8::1]\"", "2001:db8::1")]
    #[case::quoted_ipv6_and_port("for=\"[2001:db8::1]:4711\"", "2001:db8::1")]
    #[case::quoted_port("for=\"192.0.2.1:80\"", "192.0.2.1")]
    #[case::from_the_right("for=192.0.2.66, for=192.0.2.1, for=10.0.0.2", "192.0.2.1")]
    #[case::open_quote_of_the_client("for=\"192.0.2.66, for=192.0.2.1", "192.0.2.1")]
    #[case::comma_in_quotes("for=192.0.2.1;host=\"a, for=192.0.2.66\"", "192.0.2.1")]
    #[case::escaped_quote("for=192.0.2.1;host=\"a\\\", for=192.0.2.66;b=\\\"\"", "192.0.2.1")]
    #[case::obfuscated("for=192.0.2.66, for=_hidden", PROXY)]
    #[case::unknown("for=192.0.2.66, for=unknown, for=10.0.0.2", "10.0.0.2")]
    #[case::no_for("for=192.0.2.66, proto=https", PROXY)]
    #[case::twice("for=192.0.2.66;for=192.0.2.1", PROXY)]
    #[case::half_quoted("for=\"192.0.2.66", PROXY)]
    #[case::escaped_digit("for=\"192.0.2.\\6\"", PROXY)]
    #[case::no_pair("192.0.2.66", PROXY)]
    fn forwarded_is_read_from_the_right(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(client(PROXY, &[("forwarded", line)]), expected);
    }

    #[test]
    fn several_lines_are_one_chain() {
        let lines = [("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "192.0.2.1, 10.0.0.2")];
        assert_eq!(client(PROXY, &lines), "192.0.2.1");
        let lines = [("forwarded", "for=192.0.2.66"), ("forwarded", "for=192.0.2.1"), ("forwarded", "for=10.0.0.2")];
        assert_eq!(client(PROXY, &lines), "192.0.2.1");
    }

    #[test]
    fn a_forwarded_that_the_client_adds_changes_nothing() {
        let lines = [("forwarded", "for=192.0.2.66"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(client(PROXY, &lines), "192.0.2.1");
        let lines = [("forwarded", "for=192.0.2.66"), ("x-forwarded-for", "unknown")];
        assert_eq!(client(PROXY, &lines), PROXY);
    }
}
