//! What a user agent says of the device. The raw text is kept beside it; nothing is decided by either.

use super::session::Device;

/// Longest user agent kept, in characters (PRV-06).
const USER_AGENT_LENGTH: usize = 512;

/// A `User-Agent` as it is kept: visible ASCII, at most 512 characters, so that it is safe in every list and export.
#[must_use]
pub fn user_agent(header: &[u8]) -> Option<String> {
    let visible = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' };
    let kept: String = header.iter().map(visible).take(USER_AGENT_LENGTH).collect();
    (!kept.trim().is_empty()).then_some(kept)
}

/// Browser, system and kind of device, as far as they are recognised.
#[must_use]
pub fn device(user_agent: Option<&str>) -> Device {
    let Some(known) = user_agent.and_then(|agent| woothee::parser::Parser::new().parse(agent)) else {
        return Device::default();
    };
    let word = |text: &str| (!text.is_empty() && text != "UNKNOWN").then(|| text.to_owned());
    Device { browser: word(known.name), os: word(known.os), kind: word(known.category) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_browser_is_recognised() {
        let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let device = device(Some(agent));
        assert_eq!(device.browser.as_deref(), Some("Firefox"));
        assert_eq!(device.os.as_deref(), Some("Windows 10"));
        assert_eq!(device.kind.as_deref(), Some("pc"));
    }

    #[test]
    fn an_unknown_agent_is_no_device() {
        assert_eq!(device(Some("okhttp/4.9")), Device::default());
        assert_eq!(device(None), Device::default());
    }

    #[test]
    fn prv_06_a_user_agent_is_cut_and_holds_no_control_characters() {
        assert_eq!(user_agent(&[b'a'; 600]).map(|kept| kept.len()), Some(512));
        assert_eq!(user_agent(b"x\r\nSet-Cookie: \x1b[2J"), Some("x??Set-Cookie: ?[2J".to_owned()));
        assert_eq!(user_agent(b"  "), None);
    }
}
