//! Posts JSON to an address, signed as Standard Webhooks say (<https://www.standardwebhooks.com>): `webhook-id`,
//! `webhook-timestamp`, and `webhook-signature: v1,…`, an HMAC-SHA256 over both and the body. So the receiver knows that it is
//! from us, and new.
//!
//! Where it goes is configured, and nothing else decides: no redirect and no proxy of the environment is followed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;
use zeroize::Zeroizing;

use crate::master_key;
use crate::trust;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What secrets begin with.
const PREFIX: &[u8] = b"whsec_";
/// Bytes that a secret may have.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A receiver of signed webhooks.
pub struct Webhook {
    url: Url,
    http: reqwest::Client,
    key: hmac::Key,
    trust: Option<Arc<ClientConfig>>,
}

/// A receiver cannot be posted to as it is configured: which setting is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidWebhook {
    /// The address cannot be used, for this reason.
    Url(String),
    /// The file with the secret cannot be used, for this reason.
    Secret(String),
    /// The file with the authorities cannot be used, for this reason.
    Authorities(String),
}

impl Webhook {
    /// The receiver at this address, believed by the authorities in `ca_file` or else those of the machine.
    pub fn open(url: Url, secret_file: &Path, ca_file: &Path) -> Result<Self, InvalidWebhook> {
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")));
        let mut trusted = None;
        if url.scheme() == "https" || !ca_file.as_os_str().is_empty() {
            let trust = trust::client_config(ca_file).map_err(InvalidWebhook::Authorities)?;
            http = http.tls_backend_preconfigured(trust.clone());
            trusted = Some(Arc::new(trust));
        }
        let http = http.build().map_err(|error| InvalidWebhook::Url(error.to_string()))?;
        let secret = master_key::read_secret(secret_file).map_err(InvalidWebhook::Secret)?;
        let key = key(&secret)
            .ok_or_else(|| InvalidWebhook::Secret("is not `whsec_` and 24 to 64 bytes in base64".to_owned()))?;
        Ok(Self { url, http, key, trust: trusted })
    }

    /// Posts a body of JSON. `Ok` when the receiver has answered that it has it; the text says why not.
    pub async fn post(&self, id: &str, now: DateTime<Utc>, body: String) -> Result<(), String> {
        let timestamp = now.timestamp().to_string();
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-signature", sign(&self.key, id, &timestamp, &body))
            .header("webhook-timestamp", timestamp)
            .body(body);
        let sent = request.send().await;
        let answer = sent.map_err(|error| format!("{}: {}", self.host(), causes(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("{} answers {status}", self.host())) }
    }

    /// Connects, by TLS where the address says so, and sends nothing: whether somebody is there, and who it should be.
    pub async fn probe(&self) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.host());
        let host = self.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| failed(&error))?;
        if self.url.scheme() != "https" {
            return Ok(());
        }
        let (Some(trust), Ok(name)) = (&self.trust, ServerName::try_from(host)) else {
            return Err(failed(&"is no name for TLS"));
        };
        TlsConnector::from(Arc::clone(trust)).connect(name, stream).await.map(drop).map_err(|error| failed(&error))
    }

    /// An address may hold what only the receiver should know: the host alone is told.
    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host()).finish_non_exhaustive()
    }
}

fn key(secret: &[u8]) -> Option<hmac::Key> {
    let text = secret.trim_ascii().strip_prefix(PREFIX)?;
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
