//! The form in which names are compared: what differs only in case, or in how it is encoded, is one name.
//!
//! Until the version after 0.1.0 it was NFKC in lower case, which takes `Οδυσσεύς` and `ΟΔΥΣΣΕΎΣ` for two. What was written then
//! keeps that form, as the record covers names and not how they are found; so a name is looked for in both forms.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// The form in which names are compared: compatibility caseless matching (Unicode 17, D146), composed.
#[must_use]
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
}

/// The form in which they were compared before.
fn fold_formerly(name: &str) -> String {
    name.nfkc().flat_map(char::to_lowercase).collect()
}

/// The forms under which a name may have been written.
#[must_use]
pub fn forms(name: &str) -> Vec<String> {
    let mut forms = vec![fold(name)];
    if !name.is_ascii() {
        let former = fold_formerly(name);
        forms.extend((former != forms[0]).then_some(former));
    }
    forms
}

/// Whether this is one of them.
#[must_use]
pub fn is_case_folded(name: &str, folded: &str) -> bool {
    if name.is_ascii() {
        let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
        return name.len() == folded.len() && lower.eq(folded.bytes());
    }
    forms(name).iter().any(|form| form == folded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_differ_only_in_case_or_form_are_one() {
        for (one, other) in [
            ("Zoé", "ZOE\u{301}"),
            ("Οδυσσεύς", "ΟΔΥΣΣΕΎΣ"),
            ("straße", "STRASSE"),
            ("ﬁona", "FIONA"),
            ("Ｊｅａｎ", "jean"),
            ("ᾳ", "ΑΙ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("ann"), fold("anna"));
    }

    #[test]
    fn what_was_written_before_is_still_found() {
        assert_eq!(forms("Οδυσσεύς"), ["οδυσσεύσ", "οδυσσεύς"]);
        assert!(is_case_folded("Οδυσσεύς", "οδυσσεύς") && is_case_folded("Οδυσσεύς", "οδυσσεύσ"));
        assert!(!is_case_folded("Οδυσσεύς", "οδυσσεύ") && !is_case_folded("alice", "Alice"));
        assert_eq!(forms("Zoé"), ["zoé"]);
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(name in "\\PC{0,20}") {
            let folded = fold(&name);
            prop_assert_eq!(fold(&folded), folded.as_str());
            prop_assert_eq!(fold(&fold_formerly(&name)), folded.as_str());
            prop_assert_eq!(fold(&name.to_uppercase()), fold(&name.to_lowercase().to_uppercase()));
            prop_assert!(is_case_folded(&name, &folded));
        }
    }
}
