//! Syslog (RFC 5424) by TCP with octet counting (RFC 6587), over TLS unless switched off (RFC 5425): the event as JSON in
//! the message, under the facility "log audit".
//!
//! An open TCP connection never tells what has arrived: what is written to a collector that has just died is lost in
//! silence. So each shipment has a connection of its own, which we close for writing, and which the collector closes
//! when it has read to the end.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::{InvalidSink, SinkError};
use super::shipment::Item;
use crate::config::{HostAndPort, SyslogSink};
use crate::trust;
use crate::view::ocsf::Severity;
use crate::view::time;

/// The facility "log audit" (RFC 5424 §6.2.1).
const FACILITY: u32 = 13;
/// How long a collector may take for a shipment.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether a connection is over.
const LOOK: Duration = Duration::from_millis(2);

/// The collector of `[shipping.syslog]`.
pub(super) struct Syslog {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    host: String,
}

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syslog").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Syslog {
    /// The collector at `address`, as configured. Events name `host` as theirs.
    pub(super) fn new(address: &HostAndPort, config: &SyslogSink, host: &str) -> Result<Self, InvalidSink> {
        let tls = if config.tls { Some(connector(address.host(), config)?) } else { None };
        Ok(Self { address: address.as_str().to_owned(), tls, host: host.to_owned() })
    }

    /// Whether the collector is there, and who it should be; nothing is sent.
    pub(super) async fn probe(&self) -> Result<(), String> {
        self.connect().await.map_err(|error| format!("{}: {error}", self.address))
    }

    async fn connect(&self) -> io::Result<()> {
        let stream = TcpStream::connect(&self.address).await?;
        match &self.tls {
            Some((connector, name)) => connector.connect(name.clone(), stream).await.map(drop),
            None => Ok(()),
        }
    }

    /// Sends items; `Ok` when the collector has read the last.
    pub(super) async fn take(&self, items: &[Item]) -> Result<(), SinkError> {
        let failed = |reason: &dyn std::fmt::Display| SinkError(format!("{}: {reason}", self.address));
        match tokio::time::timeout(PATIENCE, self.send(&self.frames(items))).await {
            Ok(sent) => sent.map_err(|error| failed(&error)),
            Err(_) => Err(failed(&"it does not close a connection that has ended")),
        }
    }

    async fn send(&self, frames: &[u8]) -> io::Result<()> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let Some((connector, name)) = &self.tls else {
            hand_over(&mut stream, frames).await?;
            return has_all(&stream).await;
        };
        let mut stream = connector.connect(name.clone(), stream).await?;
        hand_over(&mut stream, frames).await?;
        has_all(stream.get_ref().0).await
    }

    fn frames(&self, items: &[Item]) -> Vec<u8> {
        let mut frames = String::new();
        for item in items {
            let message = self.message(item);
            let _ = write!(frames, "{} {message}", message.len());
        }
        frames.into_bytes()
    }

    /// Without a byte order mark, which RFC 5424 asks for and readers of JSON stumble over.
    fn message(&self, Item { kind, at, severity, json }: &Item) -> String {
        let (priority, process) = (FACILITY * 8 + urgency(*severity), std::process::id());
        format!("<{priority}>1 {} {} vigie {process} {kind} - {json}", time(*at), self.host)
    }
}

fn connector(host: &str, config: &SyslogSink) -> Result<(TlsConnector, ServerName<'static>), InvalidSink> {
    let trust = trust::client_config(&config.ca_file);
    let trust = trust.map_err(|reason| InvalidSink::new("shipping.syslog.ca_file", reason))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host);
    let name = name.map_err(|_| InvalidSink::new("shipping.syslog.address", "the host is no name for TLS"))?;
    Ok((TlsConnector::from(Arc::new(trust)), name))
}

/// From OCSF, where more is graver, to syslog, where less is.
const fn urgency((gravity, _): Severity) -> u32 {
    match gravity {
        ..=1 => 6,
        2 => 5,
        3 => 4,
        4 => 3,
        _ => 2,
    }
}

/// Sends all, says that this was all, and waits for the other side to close.
async fn hand_over(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), frames: &[u8]) -> io::Result<()> {
    stream.write_all(frames).await?;
    stream.shutdown().await?;
    match stream.read(&mut [0; 1]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::other("it answers, which no collector does")),
        // Some collectors end TLS without saying so (rsyslog is one). That nothing was cut off by chance is seen below.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) => Err(error),
    }
}

/// A collector that closed before it had read all is found out when the rest of our bytes reach it: the connection then
/// ends by an error. Until they have, the system still knows who is at the other end.
async fn has_all(stream: &TcpStream) -> io::Result<()> {
    while stream.peer_addr().is_ok() {
        tokio::time::sleep(LOOK).await;
    }
    stream.take_error()?.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use chrono::DateTime;
    use syslog_rfc5424::message::ProcId;
    use syslog_rfc5424::{SyslogFacility, SyslogSeverity, parse_message};

    use super::*;
    use crate::config::Config;
    use crate::view::ocsf::{CRITICAL, INFORMATIONAL};

    fn collector(address: &str) -> Syslog {
        let given = [("VIGIE__SHIPPING__SYSLOG__ADDRESS", address), ("VIGIE__SHIPPING__SYSLOG__TLS", "false")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::load(None, given).unwrap().shipping.syslog;
        Syslog::new(config.address.as_ref().unwrap(), &config, "vigie.example").unwrap()
    }

    fn item(severity: Severity) -> Item {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Item { kind: "session.started", at, severity, json: r#"{"name":"Zoé ] \" \\"}"#.to_owned() }
    }

    #[test]
    fn a_message_is_read_by_others_as_it_was_meant() {
        for (severity, read) in [(INFORMATIONAL, SyslogSeverity::SEV_INFO), (CRITICAL, SyslogSeverity::SEV_CRIT)] {
            let item = item(severity);
            let message = parse_message(collector("127.0.0.1:1").message(&item)).unwrap();
            assert_eq!((message.facility, message.severity), (SyslogFacility::LOG_AUDIT, read));
            assert_eq!(message.timestamp, Some(1_800_000_000));
            assert_eq!(message.hostname.as_deref(), Some("vigie.example"));
            assert_eq!(message.appname.as_deref(), Some("vigie"));
            assert_eq!(message.procid, i32::try_from(std::process::id()).ok().map(ProcId::PID));
            assert_eq!(message.msgid.as_deref(), Some("session.started"));
            assert_eq!(message.msg, item.json);
        }
    }

    #[test]
    fn frames_are_counted_in_bytes() {
        let collector = collector("127.0.0.1:1");
        let message = collector.message(&item(INFORMATIONAL));
        assert!(message.len() > message.chars().count());
        let frame = format!("{} {message}", message.len());
        assert_eq!(collector.frames(&[item(INFORMATIONAL), item(INFORMATIONAL)]), frame.repeat(2).into_bytes());
    }

    /// It closes at once, perhaps before the first byte has come: that is no receipt.
    #[tokio::test]
    async fn a_collector_that_closes_without_reading_has_taken_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = collector(&listener.local_addr().unwrap().to_string());
        let closing = std::thread::spawn(move || (0..20).for_each(|_| drop(listener.accept())));
        for _ in 0..20 {
            assert!(collector.take(&[item(INFORMATIONAL)]).await.is_err());
        }
        closing.join().unwrap();
    }
}
