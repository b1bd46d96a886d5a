//! What a browser or an application says it is: in a few words, and whole for whoever asks.

use super::frame::Frame;
use crate::model::session::Device;

/// Longest user agent that is shown as it is, in characters.
const SHORT: usize = 40;

/// A user agent in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    /// In a few words.
    pub short: String,
    /// All of it, where that says more.
    pub whole: Option<String>,
}

impl Agent {
    /// The user agent and what is recognised of it.
    pub fn new(frame: &Frame, device: &Device, user_agent: Option<&str>) -> Self {
        let short = short(device, user_agent);
        let whole = user_agent.filter(|whole| short.as_deref() != Some(whole)).map(str::to_owned);
        Self { short: short.unwrap_or_else(|| frame.text("agent-unknown")), whole }
    }
}

/// Browser and system; where neither is recognised, how the text begins.
fn short(device: &Device, user_agent: Option<&str>) -> Option<String> {
    let known: Vec<&str> = [&device.browser, &device.os].into_iter().flatten().map(String::as_str).collect();
    if !known.is_empty() {
        return Some(known.join(", "));
    }
    let text = user_agent?;
    Some(if text.chars().count() > SHORT {
        text.chars().take(SHORT - 1).chain(['…']).collect()
    } else {
        text.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_told_in_a_few_words() {
        let device = |browser: Option<&str>, os: Option<&str>| Device {
            browser: browser.map(str::to_owned),
            os: os.map(str::to_owned),
            kind: None,
        };
        assert_eq!(short(&device(Some("Firefox"), Some("Linux")), Some("Mozilla/5.0 …")).unwrap(), "Firefox, Linux");
        assert_eq!(short(&device(None, Some("Linux")), None).unwrap(), "Linux");
        assert_eq!(short(&Device::default(), Some("curl/8.5.0")).unwrap(), "curl/8.5.0");
        let long = "x".repeat(512);
        let begun = short(&Device::default(), Some(&long)).unwrap();
        assert_eq!((begun.chars().count(), begun.ends_with('…')), (40, true));
        assert_eq!(short(&Device::default(), None), None);
    }
}
