//! `[shipping]`: where events are sent.

use std::path::PathBuf;

use serde::Deserialize;
use url::Host;

use super::faults::Faults;
use super::loopback::is_local;
use super::secret_url::SecretUrl;
use super::setting::{Text, plain, section};

section! {
    /// `[shipping]`
    pub struct Shipping {
        pub syslog: SyslogSink,
        pub file: FileSink,
        pub webhook: WebhookSink,
    }
}

section! {
    /// `[shipping.syslog]`
    pub struct SyslogSink {
        pub address: Option<HostAndPort>,
        pub tls: bool,
        pub ca_file: PathBuf,
        pub format: ShippingFormat,
    }
}

section! {
    /// `[shipping.file]`
    pub struct FileSink {
        pub path: PathBuf,
        pub max_mib: u32,
        pub keep: u32,
        pub format: ShippingFormat,
    }
}

section! {
    /// `[shipping.webhook]`
    pub struct WebhookSink {
        pub url: Option<SecretUrl>,
        pub secret_file: PathBuf,
        pub ca_file: PathBuf,
        pub format: ShippingFormat,
    }
}

/// How events are written for other systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShippingFormat {
    /// As in the API.
    Vigie,
    /// As events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

/// `host:port`, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAndPort(String);

plain!(ShippingFormat);

impl HostAndPort {
    /// The address as it was written: `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(host, _)| host)
    }
}

impl Text for HostAndPort {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| Host::parse(host).is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0));
        if fits { Ok(Self(text.to_owned())) } else { Err("must be host:port".to_owned()) }
    }
}

impl Shipping {
    pub(super) fn check(&self, faults: &mut Faults) {
        let Self { file, webhook, .. } = self;
        faults.require((1..=1_048_576).contains(&file.max_mib), "shipping.file.max_mib", "must be 1 to 1048576");
        faults.require(file.keep <= 10_000, "shipping.file.keep", "must be at most 10000");
        if let Some(url) = &webhook.url {
            let message = "must be an https address, or http to this very machine";
            faults.require(url.is_private(), "shipping.webhook.url", message);
            let names_nobody = url.username().is_empty() && url.password().is_none();
            faults.require(names_nobody, "shipping.webhook.url", "must hold no name and no password");
            let has_secret = !webhook.secret_file.as_os_str().is_empty();
            faults.require(has_secret, "shipping.webhook.secret_file", "must name a file: shipments are signed");
        }
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        let SyslogSink { address, tls, .. } = &self.syslog;
        let is_elsewhere = |address: &HostAndPort| !Host::parse(address.host()).is_ok_and(|host| is_local(&host));
        weak.add_if(
            !tls && address.as_ref().is_some_and(is_elsewhere),
            "shipping.syslog.tls",
            "off: events travel in the clear, and anybody may take them",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::support::{load, owned, weak};
    use crate::config::{Config, InvalidConfig};

    #[test]
    fn sections_within_sections_are_read_and_their_faults_named() {
        let config = load(&[
            ("VIGIE__SHIPPING__SYSLOG__ADDRESS", "collector.example:6514"),
            ("VIGIE__SHIPPING__SYSLOG__FORMAT", "ocsf"),
            ("VIGIE__SHIPPING__FILE__KEEP", "3"),
        ])
        .unwrap();
        assert_eq!(config.shipping.syslog.address.as_ref().map(HostAndPort::host), Some("collector.example"));
        assert_eq!(config.shipping.syslog.format, ShippingFormat::Ocsf);
        assert_eq!(config.shipping.file.keep, 3);

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[shipping]\nfile = \"x\"\n[shipping.syslog]\ntsl = true\n[shipping.webhook]\nurl = \"https://a@b/\"",
        )
        .unwrap();
        let environment = owned(&[
            ("VIGIE__SHIPPING__SYSLOG__ADDRESS", "collector.example"),
            ("VIGIE__SHIPPING__FILE__FORMAT", "xml"),
            ("VIGIE__SHIPPING__SYSLOG", "x"),
            ("VIGIE__SHIPPING", "x"),
        ]);
        let InvalidConfig(faults) = Config::load(Some(file.path()), environment).unwrap_err();
        let mut keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "VIGIE__SHIPPING",
                "shipping.file",
                "shipping.file.format",
                "shipping.syslog",
                "shipping.syslog.address",
                "shipping.syslog.tsl",
                "shipping.webhook.secret_file",
                "shipping.webhook.url",
            ]
        );
    }

    #[test]
    fn what_leaves_the_house_in_the_clear_is_a_weakness() {
        let address = |address| ("VIGIE__SHIPPING__SYSLOG__ADDRESS", address);
        let open = ("VIGIE__SHIPPING__SYSLOG__TLS", "false");
        assert_eq!(weak(&[address("collector.example:514"), open]), ["shipping.syslog.tls"]);
        assert_eq!(weak(&[address("[::1]:514"), open]), [""; 0]);
    }
}
