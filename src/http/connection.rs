//! A connection, and how long a client may hold it that neither asks nor takes what it asked for.
//!
//! The framework waits for the head of a first request. This waits for what comes later: the next head, also where it arrives
//! byte by byte, the rest of a body that nobody reads, a reader that has stopped reading.
//!
//! Proxies keep connections for their next request, most of them for 60 s. One that the server closes at the moment at which
//! a proxy sends a request costs that request, and a proxy may repeat none that is not idempotent (RFC 9110 §9.2.2), such as
//! a logout: so a server waits longer than its proxies.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::missing_content_length;

/// Longest that a client may take to send the head of a request.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest that a connection is kept on which nothing is asked: longer than proxies keep theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How often a connection looks whether it is time: a request moves no timer.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest that a client may take nothing of its answer once the buffers of the system are full.
const LONGEST_STALL: Duration = Duration::from_secs(30);
/// What the system keeps of an answer that the client has not taken, in bytes. It keeps as much again for itself.
pub(super) const SEND_BUFFER: usize = 128 * 1024;

/// What a connection is doing: shared by the connection and its requests.
#[derive(Debug)]
pub(super) struct Activity {
    /// Requests under way, from the head of each to the last byte of its answer.
    requests: Cell<u32>,
    /// When the last answer ended.
    waits_since: Cell<Instant>,
    /// When the first bytes behind that answer came.
    head_since: Cell<Option<Instant>>,
    /// Whether an answer has said that the connection closes.
    is_closing: Cell<bool>,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Rc<Activity>);

impl Activity {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            requests: Cell::new(0),
            waits_since: Cell::new(Instant::now()),
            head_since: Cell::new(None),
            is_closing: Cell::new(false),
        })
    }

    /// Notes that a request begins; it is under way until the value is dropped.
    pub fn begin(self: &Rc<Self>) -> UnderWay {
        self.requests.set(self.requests.get() + 1);
        self.head_since.set(None);
        UnderWay(Rc::clone(self))
    }

    /// Bytes came: of a request under way, or of the next one's head.
    fn received(&self) {
        if self.requests.get() == 0 && self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
    }

    /// Until when the next head must be whole, or what is sent behind the last answer at an end.
    fn deadline(&self) -> Instant {
        if self.requests.get() > 0 {
            return Instant::now() + IDLE_TIMEOUT;
        }
        let waits_since = self.waits_since.get();
        match self.head_since.get() {
            _ if self.is_closing.get() => waits_since + HEAD_TIMEOUT,
            None => waits_since + IDLE_TIMEOUT,
            Some(since) => since + HEAD_TIMEOUT,
        }
    }
}

impl UnderWay {
    /// Its answer is the last: what was sent behind it is not acted on (RFC 9112 §9.6).
    pub fn close(&self) {
        self.0.is_closing.set(true);
    }

    /// Whether it was sent behind one whose answer is the last.
    pub fn is_too_late(&self) -> bool {
        self.0.is_closing.get()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
        self.0.waits_since.set(Instant::now());
    }
}

/// A connection with its limits.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// What its requests are doing.
    pub activity: Rc<Activity>,
    /// Wakes the connection every [`LOOK_EVERY`], to look whether a limit has passed.
    alarm: Pin<Box<Sleep>>,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// The beginning of a head that is handed on as a whole ([`missing_content_length`]).
    held_back: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now() + LOOK_EVERY));
        Self { stream, activity: Activity::new(), alarm, stalled: None, held_back: Vec::new() }
    }

    /// Ready once nothing has been asked for too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let now = Instant::now();
            if self.activity.deadline() <= now {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(now + LOOK_EVERY);
        }
    }

    /// Reads what there is, but the head of a POST of HTTP/1.0 as a whole.
    fn poll_read_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        if !self.held_back.is_empty() {
            let fitting = self.held_back.len().min(buffer.remaining());
            buffer.put_slice(&self.held_back[..fitting]);
            self.held_back.drain(..fitting);
            if !self.held_back.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
            if self.activity.requests.get() > 0 || missing_content_length::put_in(buffer, start) {
                let has_some = buffer.filled().len() > start;
                return if has_some && read.is_pending() { Poll::Ready(Ok(())) } else { read };
            }
            match read {
                Poll::Pending => {
                    self.held_back = buffer.filled()[start..].to_vec();
                    buffer.set_filled(start);
                    return Poll::Pending;
                }
                // Perhaps there is more already.
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
                ended @ Poll::Ready(_) => return ended,
            }
        }
    }

    /// Hands on what came of a write; one that waits for too long is an error.
    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LONGEST_STALL)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.poll_read_head(cx, buffer);
        if buffer.filled().len() > before || !self.held_back.is_empty() {
            self.activity.received();
        }
        if read.is_pending() && self.poll_overdue(cx).is_ready() {
            // As if the client had hung up: it may still take what it is being sent.
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

pin_project! {
    /// The body of an answer: until its last byte the request is under way.
    #[derive(Debug)]
    pub(super) struct Answering<B> {
        #[pin]
        body: B,
        under_way: Option<UnderWay>,
    }
}

impl<B> Answering<B> {
    pub const fn new(body: B, under_way: Option<UnderWay>) -> Self {
        Self { body, under_way }
    }
}

impl<B: MessageBody> MessageBody for Answering<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.project().body.poll_next(cx)
    }
}
