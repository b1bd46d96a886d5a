//! A client that costs little, so that what is measured is the server: HTTP/1.1 over connections that stay open.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection on which one request is under way at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, as long as the next request is not sent.
pub struct Answer<'connection> {
    pub status: u16,
    pub body: &'connection [u8],
    /// Whether the server closes the connection behind it.
    pub closes: bool,
}

/// A request with a bearer token, a JSON body, or neither.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let content_type = body.map_or("", |_| "Content-Type: application/json\r\n");
    let body = body.unwrap_or_default();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}{content_type}Content-Length: {length}\r\n\r\n{body}"
    );
    text.into_bytes()
}

/// A POST of a form, perhaps with a header `Authorization`.
pub fn form(path: &str, authorization: Option<&str>, fields: &[(&str, &str)]) -> Vec<u8> {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let length = body.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    text.into_bytes()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, buffer: vec![0; 16 * 1024] }
    }

    /// Sends a request and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> Answer<'_> {
        self.attempt(request).await.expect("the server closed the connection")
    }

    /// The same; `None` where the server closes the connection instead.
    pub async fn attempt(&mut self, request: &[u8]) -> Option<Answer<'_>> {
        self.stream.write_all(request).await.ok()?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.ok().filter(|read| *read > 0)?;
            filled += read;
            let Some(head) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let begin = head + 4;
            let text = std::str::from_utf8(&self.buffer[..head]).expect("text").to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().expect("a number"));
            if filled >= begin + length {
                let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
                let closes = text.lines().any(|line| line == "connection: close");
                return Some(Answer { status, body: &self.buffer[begin..begin + length], closes });
            }
        }
    }
}
