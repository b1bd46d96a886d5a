//! stub replaced at merge
use ipnet::IpNet;
use std::net::IpAddr;
/// k
#[must_use]
pub fn key(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v) => v.to_ipv6_mapped().octets(),
        IpAddr::V6(v) => v.octets(),
    }
}
/// r
#[must_use]
pub fn key_range(net: IpNet) -> ([u8; 16], [u8; 16]) {
    (key(net.network()), key(net.broadcast()))
}
