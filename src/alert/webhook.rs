//! Posts alerts to an address, signed.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::notifier::InvalidNotifier;
use crate::config;
use crate::model::delivery::{Delivery, Occasion};
use crate::view::{AlertObject, TimeText, time};
use crate::webhook::{self, InvalidWebhook};

/// The receiver of `[alerts] webhook_url`, to which alerts are posted.
#[derive(Debug)]
pub(super) struct Webhook(webhook::Webhook);

/// The JSON body of a notification.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: TimeText,
    data: &'a AlertObject,
}

impl Webhook {
    /// The webhook of `[alerts]`; `None` where no `webhook_url` is configured.
    pub fn open(rules: &config::Alerts) -> Result<Option<Self>, InvalidNotifier> {
        let Some(config::SecretUrl(url)) = rules.webhook_url.clone() else { return Ok(None) };
        let authorities_of_the_machine = Path::new("");
        let opened = webhook::Webhook::open(url, &rules.webhook_secret_file, authorities_of_the_machine);
        opened.map(|webhook| Some(Self(webhook))).map_err(|invalid| match invalid {
            InvalidWebhook::Secret(reason) => InvalidNotifier::new("alerts.webhook_secret_file", &reason),
            InvalidWebhook::Url(reason) | InvalidWebhook::Authorities(reason) => {
                InvalidNotifier::new("alerts.webhook_url", &reason)
            }
        })
    }

    /// Posts an alert; the text says why that failed.
    pub async fn post(
        &self,
        delivery: &Delivery,
        occasion: Occasion,
        alert: &AlertObject,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let kind = match occasion {
            Occasion::Raised => "alert.raised",
            Occasion::Disowned => "alert.disowned",
        };
        let body = Body { kind, timestamp: time(delivery.created_at), data: alert };
        let body = serde_json::to_string(&body).map_err(|error| error.to_string())?;
        self.0.post(&delivery.id.to_string(), now, body).await
    }

    /// Whether the receiver is there; nothing is posted.
    pub async fn probe(&self) -> Result<(), String> {
        self.0.probe().await
    }
}
