//! Posts alerts to an address, signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp`, and
//! `webhook-signature: v1,…`, an HMAC-SHA256 over both and the body.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use url::Url;

use super::outlet::{InvalidOutlet, read_secret};
use crate::config;
use crate::model::delivery::{Delivery, Occasion};
use crate::view::{AlertObject, TimeText, time};

/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The form in which Standard Webhooks hands out secrets.
const PREFIX: &str = "whsec_";
/// The shortest secret, in bytes.
const SHORTEST: usize = 24;

/// Where alerts are posted.
pub(super) struct Webhook {
    url: Url,
    key: hmac::Key,
    client: reqwest::Client,
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: TimeText,
    data: &'a AlertObject,
}

impl Webhook {
    /// The configured one.
    pub fn open(rules: &config::Alerts) -> Result<Option<Self>, InvalidOutlet> {
        let Some(url) = rules.webhook_url.clone() else { return Ok(None) };
        let text = read_secret("alerts.webhook_secret_file", &rules.webhook_secret_file)?;
        let failed = |reason: &str| InvalidOutlet::new("alerts.webhook_secret_file", reason);
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| failed("not base64 after whsec_"))?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < SHORTEST {
            return Err(failed("fewer than 24 bytes"));
        }
        // Where it is sent is configured and nothing else: no redirect and no proxy of the environment.
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| InvalidOutlet::new("alerts.webhook_url", &error.to_string()))?;
        Ok(Some(Self { url, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), client }))
    }

    /// Posts an alert; the text says why that failed.
    pub async fn post(&self, delivery: &Delivery, alert: &AlertObject, now: DateTime<Utc>) -> Result<(), String> {
        let (id, timestamp) = (delivery.id.to_string(), now.timestamp());
        let kind = match delivery.occasion {
            Occasion::Raised => "alert.raised",
            Occasion::Disowned => "alert.disowned",
        };
        let body = Body { kind, timestamp: time(delivery.created_at), data: alert };
        let body = serde_json::to_string(&body).map_err(|error| error.to_string())?;
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.signature(&id, timestamp, &body))
            .body(body);
        // The address may hold a secret of its own.
        let response = request.send().await.map_err(|error| error.without_url().to_string())?;
        if response.status().is_success() { Ok(()) } else { Err(format!("answered {}", response.status().as_u16())) }
    }

    fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.key, signed.as_bytes())))
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhook")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation (Python's hmac).
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let webhook = Webhook {
            url: "http://127.0.0.1/".parse().unwrap(),
            key: hmac::Key::new(hmac::HMAC_SHA256, b"an example, not a secret"),
            client: reqwest::Client::new(),
        };
        let signature = webhook.signature("msg_1", 1_800_000_000, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,3z77gjuwAtxEaAEVdyvE4dqDgFBjcIemNkO3WRIvqsA=");
    }
}
