//! What the words of the API are called in the reader's language.

use super::super::frame::Frame;
use crate::model::audit::AuditKind;
use crate::model::session::EndReason;

/// A name as names of texts have it.
pub(super) fn dashed(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

/// What a word is called that is a value of this member.
pub(super) fn value(frame: &Frame, member: &str, word: &str) -> String {
    frame.text(&format!("{}-{}", dashed(member), dashed(word)))
}

/// Why a session ended, in a few words.
pub(super) fn reason(frame: &Frame, reason: EndReason) -> String {
    value(frame, "reason", reason.as_str())
}

/// What that means, in a sentence.
pub(super) fn meaning(frame: &Frame, reason: EndReason) -> String {
    frame.text(&format!("reason-{}-means", dashed(reason.as_str())))
}

/// What happened, of the kinds of events that happen in a session; `None` of others, which have their word alone.
pub(super) fn event(frame: &Frame, kind: AuditKind) -> Option<String> {
    let is_named = matches!(
        kind,
        AuditKind::SessionStarted
            | AuditKind::SessionRefreshed
            | AuditKind::SessionEnded
            | AuditKind::SessionNamed
            | AuditKind::SessionUnknown
            | AuditKind::TokenRefused
            | AuditKind::FormRefused
            | AuditKind::RefreshRefused
            | AuditKind::PasswordChanged
            | AuditKind::UnrecognisedLoginReported
    );
    is_named.then(|| value(frame, "event", kind.as_str()))
}

/// How an identity was proved (RFC 8176).
pub(super) fn method(frame: &Frame, method: &str) -> String {
    if method == "pwd" { frame.text("method-pwd") } else { method.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_filter_of_sessions_has_a_text() {
        let texts = include_str!("../texts/fr.ftl");
        let has = |name: String| assert!(texts.contains(&format!("\n{name} = ")), "{name}");
        for reason in EndReason::WORDS {
            has(format!("reason-{}", dashed(reason)));
            has(format!("reason-{}-means", dashed(reason)));
        }
        for state in crate::model::filter::StateFilter::WORDS {
            has(format!("state-{state}"));
        }
        for member in <crate::model::filter::SessionFilter as crate::model::filter::Filter>::MEMBERS {
            let subject = member.name.strip_suffix("_from").or(member.name.strip_suffix("_to"));
            has(format!("filter-{}", dashed(subject.unwrap_or(member.name))));
        }
    }
}
