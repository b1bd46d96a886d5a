//! One checkpoint key takes the place of another: both sign how the chain stands at that moment, and the statement names both.
//! Whoever trusts one of them follows it to the other, and believes the older of fewer records only. From there on another key
//! links the records as well.

use chrono::{DateTime, Utc};
use signed_note::Note;

use super::checkpoint::has_signed;
use super::links::Links;
use super::sign::{checkpoint_of, prove};
use super::verify::Signed;
use super::{Chain, CheckpointKey, Fault, LinkKey, NotSigned, size};
use crate::keyring::Keyring;
use crate::store::chain::{self, StoredCheckpoint};
use crate::store::{Db, StoreError, link_keys};

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
    /// The statement in a note; `None` where there is none, or not both keys signed it.
    pub fn read(note: &str) -> Option<Self> {
        let note = Note::from_bytes(note.as_bytes()).ok()?;
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
        let named = |what| checkpoint.extension().lines().find_map(|line| line.strip_prefix(what)).map(str::to_owned);
        let handover = Self { before: named(BEFORE)?, after: named(AFTER)?, size: checkpoint.size() };
        (has_signed(&handover.before, &note) && has_signed(&handover.after, &note)).then_some(handover)
    }
}

/// The chain is not at rest, or not what it was.
#[derive(Debug)]
pub enum Unsettled {
    /// Records wait, or a checkpoint of so many records was signed already.
    Grows,
    /// It does not continue what was signed before, or nobody can tell.
    NotSigned(NotSigned),
}

impl From<StoreError> for Unsettled {
    fn from(error: StoreError) -> Self {
        Self::NotSigned(error.into())
    }
}

impl Chain {
    /// Locks the chain until the transaction ends, where all is sealed and continues what was signed before, and nobody has
    /// signed it as it stands; returns how many records there are.
    pub fn settled_in(&self, db: &mut Db) -> Result<u64, Unsettled> {
        let head = chain::lock(db)?;
        if chain::is_any_waiting(db, chain::OLDEST)? || chain::checkpoint_of(db, head.size)?.is_some() {
            return Err(Unsettled::Grows);
        }
        let base = chain::base(db)?;
        let signed = Signed { keys: self.keys.clone(), links: self.links_in(db)? };
        prove(db, None, self.seen.head(), &base, &signed).map_err(Unsettled::NotSigned)?;
        Ok(size(head.size))
    }

    /// Lets the keys of this keyring link and sign what follows. Under [`Chain::settled_in`].
    pub fn hand_over_in(&self, db: &mut Db, keys: &Keyring, now: DateTime<Utc>) -> Result<(), StoreError> {
        let head = chain::head(db)?;
        let links = LinkKey::all(keys);
        if let Some((number, newest)) = (1..).zip(links.iter()).last() {
            link_keys::insert(db, &newest.start(number, head.size))?;
        }
        let links = Links::read(db, &links)?;
        let (before, after) = (self.key(), CheckpointKey::new(keys, self.vault.database()));
        let named = format!("{BEFORE}{}\n{AFTER}{}\n", before.public(), after.public());
        let note = after.sign_with(before, &checkpoint_of(&head, &links), &named);
        chain::keep_checkpoint(db, &StoredCheckpoint { size: head.size, at: now, note })
    }

    /// The statements by which one checkpoint key took the place of another, the oldest first.
    pub async fn handovers(&self) -> Result<Result<Vec<String>, Fault>, StoreError> {
        let sizes = self.key().verifier().handovers();
        let read = move |db: &mut Db| {
            let mut notes = Vec::new();
            for size in sizes {
                match chain::checkpoint_of(db, i64::try_from(size).unwrap_or(i64::MAX))? {
                    Some(checkpoint) => notes.push(checkpoint.note),
                    None => return Ok(Err(Fault::Handover { size })),
                }
            }
            Ok::<_, StoreError>(Ok(notes))
        };
        self.store.read(read).await
    }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::Hash;

    use super::*;
    use crate::audit::chain::{BadCheckpoint, Checkpoint, CheckpointVerifier};
    use crate::keyring::Purpose;
    use crate::master_key::MasterKey;

    const fn of(size: u64) -> Checkpoint {
        Checkpoint { size, root: Hash([9; 32]), link_key: None }
    }

    fn statement(before: &CheckpointKey, after: &CheckpointKey, size: u64) -> String {
        let named = format!("{BEFORE}{}\n{AFTER}{}\n", before.public(), after.public());
        after.sign_with(before, &of(size), &named)
    }

    #[test]
    fn whoever_has_one_public_key_follows_it_to_the_others_both_ways() {
        let mut keyring = Keyring::derived(&MasterKey::random(), "one");
        let mut keys = vec![CheckpointKey::new(&keyring, "one")];
        for from in [4, 9] {
            keyring.succeed(Purpose::Checkpoint, from);
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
        let named = format!("{BEFORE}{}\n{AFTER}{}\n", ours.public(), stranger.public());
        let alone = stranger.sign_with(&stranger, &of(4), &named);
        let known: CheckpointVerifier = ours.public().parse().unwrap();
        let following = known.following([alone.as_str()].into_iter());
        let refused = following.open(&stranger.sign(&of(5)));
        assert_eq!(refused, Err(BadCheckpoint::Signature("vigie/one".into())));
    }
}
