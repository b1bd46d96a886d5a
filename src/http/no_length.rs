//! POST requests of HTTP/1.0 that say no length, as nginx forwards those without a body unless its recipe says otherwise. They
//! have no body (RFC 9112 §6.3); the framework refuses them without an answer that says why, so the length is put in.

use tokio::io::ReadBuf;

const LENGTH: &[u8] = b"Content-Length: 0\r\n";

/// Puts the length into the head of a request that begins at `start` of what was read, where it is whole and lacks one.
pub(super) fn put_in(buffer: &mut ReadBuf<'_>, start: usize) {
    let Some(place) = buffer.filled().get(start..).and_then(place_for_length) else { return };
    if buffer.remaining() < LENGTH.len() {
        return;
    }
    let end = buffer.filled().len();
    buffer.put_slice(LENGTH);
    let behind = &mut buffer.filled_mut()[start + place..];
    behind.copy_within(..end - start - place, LENGTH.len());
    behind[..LENGTH.len()].copy_from_slice(LENGTH);
}

/// Behind the first line of such a request; `None` where it is another.
fn place_for_length(read: &[u8]) -> Option<usize> {
    if !read.starts_with(b"POST ") {
        return None;
    }
    let head = &read[..position(read, b"\r\n\r\n")? + 2];
    let place = position(head, b"\r\n")? + 2;
    let mut lines = head[place..].split(|byte| *byte == b'\n');
    let says_length = |line: &[u8]| begins_with(line, b"content-length:") || begins_with(line, b"transfer-encoding:");
    (head[..place].ends_with(b" HTTP/1.0\r\n") && !lines.any(says_length)).then_some(place)
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn begins_with(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, room: usize) -> String {
        let mut bytes = vec![0; text.len() + room];
        let mut buffer = ReadBuf::new(&mut bytes);
        buffer.put_slice(text.as_bytes());
        put_in(&mut buffer, 0);
        String::from_utf8(buffer.filled().to_vec()).unwrap()
    }

    #[test]
    fn a_post_without_a_length_gets_one() {
        let with = "POST /auth/logout HTTP/1.0\r\nContent-Length: 0\r\nHost: b\r\n\r\n";
        assert_eq!(read("POST /auth/logout HTTP/1.0\r\nHost: b\r\n\r\n", 64), with);
        assert_eq!(read("POST / HTTP/1.0\r\n\r\n", 19), "POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn every_other_request_stays_as_it_is() {
        for text in [
            "POST / HTTP/1.0\r\nHost: b\r\n",
            "POST / HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: b\r\n\r\n",
            "POST / HTTP/1.0\r\ncontent-LENGTH: 2\r\n\r\n{}",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST ",
            "",
        ] {
            assert_eq!(read(text, 64), text);
        }
        let full = "POST / HTTP/1.0\r\n\r\n";
        assert_eq!(read(full, 18), full, "there is no room");
    }
}
