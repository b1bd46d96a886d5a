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

/// Longest name of a device or session, in characters.
const NAME_LENGTH: usize = 64;

/// A name that somebody gives a device or a session is too long, or holds control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {NAME_LENGTH} characters, no control characters")]
pub struct UnfitName;

/// The name of a device or session; `None` where only space is given.
pub fn given_name(text: String) -> Result<Option<String>, UnfitName> {
    if text.chars().count() > NAME_LENGTH || text.chars().any(char::is_control) {
        return Err(UnfitName);
    }
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// Longest hint that is looked at, in bytes.
const HINT_LENGTH: usize = 32;

/// Systems that one user agent stands for, as the hints of a browser tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemHint(&'static str);

impl SystemHint {
    /// Reads `Sec-CH-UA-Platform` and `Sec-CH-UA-Platform-Version` (User-Agent Client Hints). `None` for whatever tells nothing more
    /// than the user agent: Windows alone says "10" there whichever it is. Its versions are those of an interface of it, which is 13
    /// and later on Windows 11 (Microsoft's "Detect Windows 11 using User-Agent Client Hints").
    #[must_use]
    pub fn read(platform: &[u8], version: &[u8]) -> Option<Self> {
        if platform != b"\"Windows\"" || version.len() > HINT_LENGTH {
            return None;
        }
        let version = std::str::from_utf8(version).ok()?.strip_prefix('"')?.strip_suffix('"')?;
        match version.split('.').next()?.parse::<u16>().ok()? {
            1..=10 => Some(Self(WINDOWS[0])),
            13.. => Some(Self(WINDOWS[1])),
            _ => None,
        }
    }
}

/// Both call themselves by the first name.
const WINDOWS: [&str; 2] = ["Windows 10", "Windows 11"];

/// The systems that a user agent may stand for which names this one.
#[must_use]
pub fn alike(os: &str) -> [&str; 2] {
    if WINDOWS.contains(&os) { WINDOWS } else { [os, os] }
}

/// The same as [`device`], with what the browser's hints say besides.
#[must_use]
pub fn device_with_hint(user_agent: Option<&str>, hint: Option<SystemHint>) -> Device {
    let mut device = device(user_agent);
    // A hint says which of them it is, and nothing that the user agent does not allow for.
    if let (Some(os), Some(SystemHint(system))) = (&mut device.os, hint)
        && WINDOWS.contains(&os.as_str())
    {
        system.clone_into(os);
    }
    device
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
    fn windows_11_is_told_from_10_by_the_hints_of_a_browser() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        let os = |agent, platform: &str, version: &str| {
            device_with_hint(Some(agent), SystemHint::read(platform.as_bytes(), version.as_bytes())).os
        };
        let windows = "\"Windows\"";
        assert_eq!(os(chrome, windows, "\"15.0.0\"").as_deref(), Some("Windows 11"));
        assert_eq!(os(chrome, windows, "\"13.0\"").as_deref(), Some("Windows 11"));
        let long = format!("\"15.{}\"", "0".repeat(40));
        for (platform, version) in [
            (windows, "\"10.0.0\""),
            (windows, "\"0.3.0\""),
            (windows, "\"12.0.0\""),
            (windows, "15.0.0"),
            (windows, "\"\""),
            (windows, "\"-15\""),
            (windows, "\"99999999999\""),
            (windows, &long),
            ("Windows", "\"15.0.0\""),
            ("\"Linux\"", "\"15.0.0\""),
            ("", ""),
        ] {
            assert_eq!(os(chrome, platform, version).as_deref(), Some("Windows 10"), "{platform} {version}");
        }
        // A hint makes no Windows of something else.
        let linux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(os(linux, windows, "\"15.0.0\"").as_deref(), Some("Linux"));
        assert_eq!(device_with_hint(None, SystemHint::read(windows.as_bytes(), b"\"15.0.0\"")), Device::default());
        assert_eq!((alike("Windows 11"), alike("Linux")), (WINDOWS, ["Linux", "Linux"]));
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
