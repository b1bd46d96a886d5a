//! A web address that takes events: a POST with a JSON array, signed as Standard Webhooks say
//! (<https://www.standardwebhooks.com>), so that the receiver knows it is from us and new.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use url::Url;
use zeroize::Zeroizing;

use super::shipment::Shipment;
use super::sink::{InvalidSink, SinkError};
use super::trust;
use crate::config;
use crate::master_key;

/// How long a receiver may take for a shipment.
const PATIENCE: Duration = Duration::from_secs(10);
/// What secrets begin with.
const PREFIX: &[u8] = b"whsec_";
/// Bytes that a secret may have.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
const SECRET_FILE: &str = "shipping.webhook.secret_file";

/// A receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    url: Url,
    http: reqwest::Client,
    key: hmac::Key,
}

impl Webhook {
    /// The receiver at this address.
    pub(super) fn new(config: &config::WebhookSink, url: Url) -> Result<Self, InvalidSink> {
        let trust = trust::client_config(&config.ca_file);
        let trust = trust.map_err(|reason| InvalidSink::new("shipping.webhook.ca_file", reason))?;
        // Whoever redirects would choose where the events go.
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(trust)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| InvalidSink::new("shipping.webhook.url", error.to_string()))?;
        let secret = master_key::read_secret(&config.secret_file);
        let secret = secret.map_err(|reason| InvalidSink::new(SECRET_FILE, reason))?;
        let key = key(&secret)
            .ok_or_else(|| InvalidSink::new(SECRET_FILE, "is not `whsec_` and 24 to 64 bytes in base64"))?;
        Ok(Self { url, http, key })
    }

    /// Sends a shipment; `Ok` when the receiver has answered that it has it.
    pub(super) async fn take(&self, shipment: &Shipment, now: DateTime<Utc>) -> Result<(), SinkError> {
        let items: Vec<&str> = shipment.items.iter().map(|item| &*item.json).collect();
        let body = format!("[{}]", items.join(","));
        let timestamp = now.timestamp().to_string();
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &shipment.id)
            .header("webhook-signature", sign(&self.key, &shipment.id, &timestamp, &body))
            .header("webhook-timestamp", timestamp)
            .body(body);
        // An address may hold what only the receiver should know: the host alone is told.
        let host = self.url.host_str().unwrap_or_default();
        let answer =
            request.send().await.map_err(|error| SinkError(format!("{host}: {}", causes(&error.without_url()))))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(SinkError(format!("{host} answers {status}"))) }
    }
}

fn key(secret: &[u8]) -> Option<hmac::Key> {
    let text = secret.strip_prefix(PREFIX)?;
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    SECRET_LENGTHS.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn sign(key: &hmac::Key, id: &str, timestamp: &str, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

/// The library's errors tell their reason only in their sources.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        let secret = [PREFIX, STANDARD.encode([7; 32]).as_bytes()].concat();
        let theirs = standardwebhooks::Webhook::new(std::str::from_utf8(&secret).unwrap()).unwrap();
        let (id, body) = ("vigie-1-0-5", r#"[{"name":"Zoé"}]"#);
        let ours = sign(&key(&secret).unwrap(), id, "1800000000", body);
        assert_eq!(ours, theirs.sign(id, 1_800_000_000, body.as_bytes()).unwrap());
    }

    #[test]
    fn a_secret_has_its_prefix_and_is_neither_short_nor_long() {
        let secret = |length: usize| [PREFIX, STANDARD.encode(vec![7; length]).as_bytes()].concat();
        assert!(key(&secret(24)).is_some() && key(&secret(64)).is_some());
        assert!(key(&secret(23)).is_none() && key(&secret(65)).is_none());
        assert!(key(&secret(32)[PREFIX.len()..]).is_none());
        assert!(key(b"whsec_#").is_none());
    }
}
