//! Whether an address is this very machine's: nobody else reads what is sent there, and no name is proven.

use std::net::Ipv4Addr;

use url::{Host, Url};

pub fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| is_local(&host))
}

pub fn is_local(host: &Host<impl AsRef<str>>) -> bool {
    match host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        // Of schemes that browsers do not know, IPv4 addresses are not read as such.
        Host::Domain(name) => {
            let name = name.as_ref();
            name == "localhost" || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    }
}
