//! A web address that takes events: a signed POST with a JSON array.

use chrono::{DateTime, Utc};
use url::Url;

use super::error::{InvalidSink, SinkError};
use super::shipment::Shipment;
use crate::config;
use crate::webhook::{self, InvalidWebhook};

/// The receiver of `[shipping.webhook]`.
#[derive(Debug)]
pub(super) struct Webhook(webhook::Webhook);

impl Webhook {
    /// The receiver at this address.
    pub(super) fn new(config: &config::WebhookSink, url: Url) -> Result<Self, InvalidSink> {
        let opened = webhook::Webhook::open(url, &config.secret_file, &config.ca_file);
        opened.map(Self).map_err(|invalid| match invalid {
            InvalidWebhook::Url(reason) => InvalidSink::new("shipping.webhook.url", reason),
            InvalidWebhook::Secret(reason) => InvalidSink::new("shipping.webhook.secret_file", reason),
            InvalidWebhook::Authorities(reason) => InvalidSink::new("shipping.webhook.ca_file", reason),
        })
    }

    /// Whether the receiver is there; nothing is sent.
    pub(super) async fn probe(&self) -> Result<(), String> {
        self.0.probe().await
    }

    /// Sends a shipment; `Ok` when the receiver has answered that it has it.
    pub(super) async fn take(&self, shipment: &Shipment, now: DateTime<Utc>) -> Result<(), SinkError> {
        let items: Vec<&str> = shipment.items.iter().map(|item| &*item.json).collect();
        self.0.post(&shipment.id, now, format!("[{}]", items.join(","))).await.map_err(SinkError)
    }
}
