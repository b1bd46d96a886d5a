//! POST requests of HTTP/1.0 that say no length, as nginx forwards those without a body unless its recipe says otherwise. They
//! have no body (RFC 9112 §6.3); the framework refuses them without an answer that says why, so the length is put in.

use tokio::io::ReadBuf;

const METHOD: &[u8] = b"POST ";
const VERSION: &[u8] = b" HTTP/1.0\r\n";
const LENGTH: &[u8] = b"Content-Length: 0\r\n";

/// What begins a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// Perhaps of such a request: its head is not whole yet.
    Incomplete,
    /// Of such a request: the length belongs here, so many bytes from its beginning.
    LacksLength(usize),
    /// The beginning of another request.
    Other,
}

/// Puts the length into the head of a request that begins at `start` of what was read, where it lacks one. `false` where that
/// cannot be said yet: more of the head must be read.
pub(super) fn put_in(buffer: &mut ReadBuf<'_>, start: usize) -> bool {
    match beginning(&buffer.filled()[start..]) {
        // What does not fit is for the framework to refuse.
        Beginning::Incomplete => buffer.remaining() == 0,
        Beginning::Other => true,
        Beginning::LacksLength(place) => {
            if buffer.remaining() >= LENGTH.len() {
                insert(buffer, start + place);
            }
            true
        }
    }
}

fn insert(buffer: &mut ReadBuf<'_>, place: usize) {
    let end = buffer.filled().len();
    buffer.put_slice(LENGTH);
    let behind = &mut buffer.filled_mut()[place..];
    behind.copy_within(..end - place, LENGTH.len());
    behind[..LENGTH.len()].copy_from_slice(LENGTH);
}

/// Of all requests but such ones no more than the first line is looked at.
fn beginning(read: &[u8]) -> Beginning {
    if !read.starts_with(METHOD) {
        let may_become_one = !read.is_empty() && METHOD.starts_with(read);
        return if may_become_one { Beginning::Incomplete } else { Beginning::Other };
    }
    let Some(line) = position(read, b"\r\n") else { return Beginning::Incomplete };
    let place = line + 2;
    if !read[..place].ends_with(VERSION) {
        return Beginning::Other;
    }
    // From the end of the first line, so that a head without fields ends as well.
    let Some(end) = position(&read[line..], b"\r\n\r\n") else { return Beginning::Incomplete };
    let mut fields = read[line..line + end].split(|byte| *byte == b'\n');
    let says_length =
        |field: &[u8]| begins_with(field, b"content-length:") || begins_with(field, b"transfer-encoding:");
    if fields.any(says_length) { Beginning::Other } else { Beginning::LacksLength(place) }
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn begins_with(field: &[u8], name: &[u8]) -> bool {
    field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, room: usize) -> (bool, String) {
        let mut bytes = vec![0; text.len() + room];
        let mut buffer = ReadBuf::new(&mut bytes);
        buffer.put_slice(text.as_bytes());
        let is_known = put_in(&mut buffer, 0);
        (is_known, String::from_utf8(buffer.filled().to_vec()).unwrap())
    }

    #[test]
    fn a_post_without_a_length_gets_one() {
        let with = "POST /auth/logout HTTP/1.0\r\nContent-Length: 0\r\nHost: b\r\n\r\n";
        assert_eq!(read("POST /auth/logout HTTP/1.0\r\nHost: b\r\n\r\n", 64), (true, with.to_owned()));
        let with = "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read("POST / HTTP/1.0\r\n\r\n", 19), (true, with.to_owned()));
    }

    #[test]
    fn every_other_request_stays_as_it_is() {
        for text in [
            "POST / HTTP/1.1\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.1\r\nHos",
            "GET / HTTP/1.0\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.0\r\ncontent-LENGTH: 2\r\n\r\n{}",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "",
        ] {
            assert_eq!(read(text, 64), (true, text.to_owned()));
        }
        let full = "POST / HTTP/1.0\r\n\r\n";
        assert_eq!(read(full, 18), (true, full.to_owned()), "there is no room");
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for() {
        let whole = "POST /auth/logout HTTP/1.0\r\nHost: b\r\n\r\n";
        for end in 1..whole.len() {
            assert_eq!(read(&whole[..end], 64), (false, whole[..end].to_owned()));
            assert!(read(&whole[..end], 0).0, "there is no room for more");
        }
    }
}
