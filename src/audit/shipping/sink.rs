//! Where shipments go: made from the configuration, each known by the name of its section.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::{InvalidSink, SinkError};
use super::file::EventFile;
use super::shipment::Shipment;
use super::syslog::Syslog;
use super::webhook::Webhook;
use crate::config::{Config, SecretUrl, ShippingFormat};
use crate::connectivity::Connectivity;

/// A sink of `[shipping]`: a syslog collector, a file or a webhook.
#[derive(Debug)]
pub struct Sink {
    format: ShippingFormat,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Syslog(Syslog),
    File(EventFile),
    Webhook(Box<Webhook>),
}

impl Sink {
    /// The sinks that are configured.
    pub fn configured(config: &Config) -> Result<Vec<Self>, InvalidSink> {
        let shipping = &config.shipping;
        let mut sinks = Vec::new();
        if let Some(address) = &shipping.syslog.address {
            let host = config.server.public_url.host_str().unwrap_or("-");
            let transport = Transport::Syslog(Syslog::new(address, &shipping.syslog, host)?);
            sinks.push(Self { format: shipping.syslog.format, transport });
        }
        if !shipping.file.path.as_os_str().is_empty() {
            sinks.push(Self {
                format: shipping.file.format,
                transport: Transport::File(EventFile::new(&shipping.file)),
            });
        }
        if let Some(SecretUrl(url)) = &shipping.webhook.url {
            let transport = Transport::Webhook(Box::new(Webhook::new(&shipping.webhook, url.clone())?));
            sinks.push(Self { format: shipping.webhook.format, transport });
        }
        Ok(sinks)
    }

    /// Its name in the database, the log and the metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.transport {
            Transport::Syslog(_) => "syslog",
            Transport::File(_) => "file",
            Transport::Webhook(_) => "webhook",
        }
    }

    pub(super) const fn format(&self) -> ShippingFormat {
        self.format
    }

    /// Whether it could take something now, found out in so long. Nothing is sent.
    pub async fn probe(&self, patience: Duration) -> Connectivity {
        let trying = async {
            match &self.transport {
                Transport::Syslog(syslog) => syslog.probe().await,
                Transport::File(file) => file.probe(),
                Transport::Webhook(webhook) => webhook.probe().await,
            }
        };
        Connectivity::probe(patience, trying).await
    }

    /// Hands a shipment over. `Ok` once the sink has it, and not before.
    pub(super) async fn take(&self, shipment: &Shipment, now: DateTime<Utc>) -> Result<(), SinkError> {
        match &self.transport {
            Transport::Syslog(syslog) => syslog.take(&shipment.items).await,
            Transport::File(file) => file.take(&shipment.items).await,
            Transport::Webhook(webhook) => webhook.take(shipment, now).await,
        }
    }
}
