//! The statement by which one checkpoint key takes the place of another: both sign how the chain stands at that moment, and it
//! names both. Whoever trusts one of them follows it to the other, and believes the older of fewer records only.

use signed_note::{Note, StandardVerifier, Verifier, VerifierList};

/// What the line begins with that names the key that counts from now on.
const AFTER: &str = "key ";
/// What the line begins with that names the one before.
const BEFORE: &str = "key-before ";

/// What such a statement says.
#[derive(Debug)]
pub(super) struct Handover {
    pub before: String,
    pub after: String,
    /// How many records there were.
    pub size: u64,
}

impl Handover {
    /// What the note says beside the size and the root of the chain.
    pub fn lines(before: &str, after: &str) -> String {
        format!("{BEFORE}{before}\n{AFTER}{after}\n")
    }

    /// The statement in a note; `None` where there is none, or not both keys signed it.
    pub fn read(note: &str) -> Option<Self> {
        let note = Note::from_bytes(note.as_bytes()).ok()?;
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
        let named = |what| checkpoint.extension().lines().find_map(|line| line.strip_prefix(what)).map(str::to_owned);
        let handover = Self { before: named(BEFORE)?, after: named(AFTER)?, size: checkpoint.size() };
        (has_signed(&handover.before, &note) && has_signed(&handover.after, &note)).then_some(handover)
    }
}

/// Whether this public key verifies a signature of the note.
pub(super) fn has_signed(public: &str, note: &Note) -> bool {
    StandardVerifier::new(public)
        .is_ok_and(|verifier| note.verify(&VerifierList::new(vec![Box::new(verifier) as Box<dyn Verifier>])).is_ok())
}

#[cfg(test)]
mod tests {
    use tlog_tiles::Hash;

    use super::*;
    use crate::audit::chain::{BadCheckpoint, Checkpoint, CheckpointKey, CheckpointVerifier};
    use crate::keyring::{KeyPurpose, Keyring};
    use crate::master_key::MasterKey;

    const fn of(size: u64) -> Checkpoint {
        Checkpoint { size, root: Hash([9; 32]), link_key: None }
    }

    fn statement(before: &CheckpointKey, after: &CheckpointKey, size: u64) -> String {
        after.sign_with(before, &of(size), &Handover::lines(before.public(), after.public()))
    }

    #[test]
    fn whoever_has_one_public_key_follows_it_to_the_others_both_ways() {
        let mut keyring = Keyring::derived(&MasterKey::random(), "one");
        let mut keys = vec![CheckpointKey::new(&keyring, "one")];
        for from in [4, 9] {
            keyring.succeed(KeyPurpose::Checkpoint, from);
            keys.push(CheckpointKey::new(&keyring, "one"));
        }
        let notes = [statement(&keys[0], &keys[1], 4), statement(&keys[1], &keys[2], 9)];
        for key in &keys {
            let known: CheckpointVerifier = key.public().parse().unwrap();
            let following = known.following(notes.iter().rev().map(String::as_str));
            for (signer, size, is_genuine) in
                [(0, 3, true), (0, 4, false), (1, 5, true), (1, 9, false), (2, 9, true), (2, 12, true)]
            {
                let opened = following.open(&keys[signer].sign(&of(size)));
                assert_eq!(opened.is_ok(), is_genuine, "{signer} {size}");
            }
        }
    }

    #[test]
    fn a_statement_that_not_both_keys_have_signed_leads_nowhere() {
        let keyring = Keyring::derived(&MasterKey::random(), "one");
        let (ours, stranger) = (
            CheckpointKey::new(&keyring, "one"),
            CheckpointKey::new(&Keyring::derived(&MasterKey::random(), "one"), "one"),
        );
        let alone = stranger.sign_with(&stranger, &of(4), &Handover::lines(ours.public(), stranger.public()));
        let known: CheckpointVerifier = ours.public().parse().unwrap();
        let following = known.following([alone.as_str()].into_iter());
        let refused = following.open(&stranger.sign(&of(5)));
        assert_eq!(refused, Err(BadCheckpoint::Signature("vigie/one".into())));
    }
}
