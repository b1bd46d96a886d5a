//! Checkpoints: signed statements "the chain had this many records and this root" (C2SP tlog-checkpoint, in a C2SP
//! signed-note). Who keeps one somewhere else can show later that nothing before it was changed or cut off.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{Note, Signer, StandardSigner, StandardVerifier, Verifier, key_id, new_ed25519_verifier_key};
use tlog_tiles::Hash;
use zeroize::Zeroizing;

use super::key_handover::{Handover, has_signed};
use crate::key::Key;
use crate::keyring::{EarlierKey, KeyPurpose, Keyring};

/// Ed25519, in the encoding of keys for signed notes.
const ED25519: u8 = 1;

/// What a checkpoint says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checkpoint {
    /// How many records there were.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The number of the newest key that links records, and the position of the first that it links; `None` before there was
    /// one.
    pub link_key: Option<(u32, u64)>,
}

/// What the line begins with that says so. Other readers of checkpoints pass over it (C2SP tlog-checkpoint, extensions).
const LINK_KEY: &str = "link-key ";

impl Checkpoint {
    fn extension(&self) -> String {
        self.link_key.map_or_else(String::new, |(number, first)| format!("{LINK_KEY}{number} {first}\n"))
    }
}

/// What the line about the newest link key says, if there is one.
fn read_link_key(extension: &str) -> Result<Option<(u32, u64)>, BadCheckpoint> {
    let Some(line) = extension.lines().find_map(|line| line.strip_prefix(LINK_KEY)) else { return Ok(None) };
    let read = || line.split_once(' ').and_then(|(number, first)| Some((number.parse().ok()?, first.parse().ok()?)));
    read().map(Some).ok_or(BadCheckpoint::Malformed)
}

/// A text that is no checkpoint of this history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCheckpoint {
    /// It is not a signed note with a checkpoint in it.
    #[error("this is no checkpoint")]
    Malformed,
    /// It is signed by nobody we know, or not rightly.
    #[error("the signature of the checkpoint is not that of {0}")]
    Signature(String),
    /// It is about another history.
    #[error("the checkpoint is of another history: {found} instead of {expected}")]
    Origin {
        /// The name of the history in its first line.
        found: String,
        /// The name of this history.
        expected: String,
    },
}

/// A file that should hold a checkpoint and does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct UnusableFile {
    /// The file that was read.
    pub path: PathBuf,
    /// Why no checkpoint can be read from it.
    pub reason: Unusable,
}

/// What is wrong with a file that should hold a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The system does not let us read it, for this reason.
    #[error("{0}")]
    Unreadable(String),
    /// What it says is no checkpoint of this history.
    #[error(transparent)]
    Bad(#[from] BadCheckpoint),
}

impl UnusableFile {
    /// Whether it is a checkpoint, but of another history: as where a new database was made beside an old data directory.
    #[must_use]
    pub const fn is_of_another_history(&self) -> bool {
        matches!(self.reason, Unusable::Bad(BadCheckpoint::Origin { .. }))
    }
}

/// Signs the checkpoints of one history, and knows those that were signed with earlier keys.
pub struct CheckpointKey {
    signer: StandardSigner,
    verifier: CheckpointVerifier,
}

/// Tells genuine checkpoints of one history, by public keys alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointVerifier {
    origin: String,
    /// The key that counts now.
    public: String,
    /// Keys that somebody else may have by now, and at which size of the chain the next began to count: of as many records
    /// or more, nothing is believed that they sign alone. The oldest first.
    earlier: Vec<(String, u64)>,
}

/// A text that is no public key of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no public key: `vigie audit checkpoint --key` prints it where the server runs")]
pub struct InvalidPublicKey;

impl std::str::FromStr for CheckpointVerifier {
    type Err = InvalidPublicKey;

    /// Reads a verifier key (C2SP signed-note: name, key id and key).
    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let public = text.trim().to_owned();
        let verifier = StandardVerifier::new(&public).map_err(|_| InvalidPublicKey)?;
        Ok(Self { origin: verifier.name().to_string(), public, earlier: Vec::new() })
    }
}

impl CheckpointVerifier {
    /// What a signed note says, if it is of this history and signed by a key that counted for so many records.
    pub fn open(&self, note: &str) -> Result<Checkpoint, BadCheckpoint> {
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| BadCheckpoint::Malformed)?;
        let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|_| BadCheckpoint::Malformed)?;
        if checkpoint.origin() != self.origin {
            let (found, expected) = (checkpoint.origin().to_owned(), self.origin.clone());
            return Err(BadCheckpoint::Origin { found, expected });
        }
        let counted = self.earlier.iter().filter(|(_, until)| checkpoint.size() < *until).map(|(public, _)| public);
        if !std::iter::once(&self.public).chain(counted).any(|public| has_signed(public, &note)) {
            return Err(BadCheckpoint::Signature(self.origin.clone()));
        }
        let link_key = read_link_key(checkpoint.extension())?;
        Ok(Checkpoint { size: checkpoint.size(), root: *checkpoint.hash(), link_key })
    }

    /// At which sizes of the chain another key took the place of one before.
    pub(super) fn handovers(&self) -> Vec<u64> {
        self.earlier.iter().map(|(_, until)| *until).collect()
    }

    /// The same with the keys before and after, as statements in `notes` say that both keys signed: whoever believes one follows
    /// them to the others.
    pub(super) fn following<'a>(mut self, notes: impl Iterator<Item = &'a str>) -> Self {
        let mut handovers: Vec<Handover> = notes.filter_map(Handover::read).collect();
        handovers.sort_by_key(|handover| handover.size);
        for handover in &handovers {
            if handover.before == self.public {
                let before = std::mem::replace(&mut self.public, handover.after.clone());
                self.earlier.push((before, handover.size));
            }
        }
        for handover in handovers.iter().rev() {
            let oldest = self.earlier.first().map_or(&self.public, |(public, _)| public);
            if handover.after == *oldest {
                self.earlier.insert(0, (handover.before.clone(), handover.size));
            }
        }
        self
    }

    /// What the signed note in a file says, if it is.
    pub fn open_file(&self, path: &Path) -> Result<Checkpoint, UnusableFile> {
        let unusable = |reason| UnusableFile { path: path.to_owned(), reason };
        let note = std::fs::read_to_string(path).map_err(|error| unusable(Unusable::Unreadable(error.to_string())))?;
        self.open(&note).map_err(|bad| unusable(bad.into()))
    }
}

impl CheckpointKey {
    /// The keys for the history with this name.
    #[must_use]
    pub fn new(keyring: &Keyring, database: &str) -> Self {
        let origin = format!("vigie/{database}");
        let (signer, public) = pair(&origin, keyring.key(KeyPurpose::Checkpoint));
        let earlier = keyring.earlier(KeyPurpose::Checkpoint).into_iter();
        let earlier = earlier.map(|EarlierKey { key, until }| (pair(&origin, &key).1, until)).collect();
        Self { signer, verifier: CheckpointVerifier { origin, public, earlier } }
    }

    /// The name of the history, which each checkpoint begins with.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.verifier.origin
    }

    /// The public key, as those who verify checkpoints keep it (C2SP signed-note: name, key id and key).
    #[must_use]
    pub fn public(&self) -> &str {
        &self.verifier.public
    }

    /// Signs a checkpoint; returns the signed note as text (C2SP signed-note).
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        self.signed_by(checkpoint, "", &[&self.signer])
    }

    /// The note with further lines, signed by this key and by the one before it.
    pub(super) fn sign_with(&self, before: &Self, checkpoint: &Checkpoint, further: &str) -> String {
        self.signed_by(checkpoint, further, &[&before.signer, &self.signer])
    }

    /// # Panics
    /// Never: Ed25519 signs everything.
    fn signed_by(&self, checkpoint: &Checkpoint, further: &str, signers: &[&dyn Signer]) -> String {
        let lines = checkpoint.extension() + further;
        let text = tlog_tiles::Checkpoint::new(self.origin(), checkpoint.size, checkpoint.root, &lines);
        let text = text.expect("there is an origin, and the lines are whole").to_bytes();
        let mut note = Note::new(&text, &[]).expect("lines of printable characters");
        note.add_sigs(signers).expect("Ed25519 signs everything");
        String::from_utf8(note.to_bytes()).expect("a note is text")
    }

    /// What tells the checkpoints that this key, and those before it, signed.
    pub(super) const fn verifier(&self) -> &CheckpointVerifier {
        &self.verifier
    }

    /// What a signed note says, if it is ours.
    pub fn open(&self, note: &str) -> Result<Checkpoint, BadCheckpoint> {
        self.verifier.open(note)
    }

    /// What the signed note in a file says, if it is ours.
    pub fn open_file(&self, path: &Path) -> Result<Checkpoint, UnusableFile> {
        self.verifier.open_file(path)
    }
}

impl std::fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckpointKey({}, {:08x})", self.origin(), self.signer.key_id())
    }
}

/// What signs with this key, and the public key in the form that the library reads.
///
/// # Panics
/// Never: the texts are put together as the library reads them.
fn pair(origin: &str, key: &Key) -> (StandardSigner, String) {
    let key = SigningKey::from_bytes(key.bytes());
    let public_bytes = [&[ED25519], key.verifying_key().as_bytes().as_slice()].concat();
    let private = Zeroizing::new([&[ED25519], key.as_bytes().as_slice()].concat());
    let text = Zeroizing::new(format!(
        "PRIVATE+KEY+{origin}+{:08x}+{}",
        key_id(origin, &public_bytes),
        *Zeroizing::new(STANDARD.encode(&*private))
    ));
    let signer = StandardSigner::new(&text).expect("a key in the form that the library reads");
    (signer, new_ed25519_verifier_key(origin, &key.verifying_key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master_key::MasterKey;

    const CHECKPOINT: Checkpoint = Checkpoint { size: 3, root: Hash([9; 32]), link_key: None };

    fn key(keyring: &Keyring, database: &str) -> CheckpointKey {
        CheckpointKey::new(keyring, database)
    }

    fn keyring() -> Keyring {
        Keyring::derived(&MasterKey::random(), "one")
    }

    fn not_ours() -> Result<Checkpoint, BadCheckpoint> {
        Err(BadCheckpoint::Signature("vigie/one".into()))
    }

    #[test]
    fn a_checkpoint_is_opened_by_the_key_that_signed_it() {
        let keyring = keyring();
        let note = key(&keyring, "one").sign(&CHECKPOINT);
        assert_eq!(note.lines().take(3).collect::<Vec<_>>(), ["vigie/one", "3", &STANDARD.encode([9; 32])]);
        assert_eq!(key(&keyring, "one").open(&note), Ok(CHECKPOINT));
    }

    #[test]
    fn a_checkpoint_says_which_key_links_records_and_from_where() {
        let key = key(&keyring(), "one");
        let checkpoint = Checkpoint { link_key: Some((2, 812)), ..CHECKPOINT };
        let note = key.sign(&checkpoint);
        assert_eq!(note.lines().nth(3), Some("link-key 2 812"));
        assert_eq!(key.open(&note), Ok(checkpoint));
        assert_eq!(read_link_key("other 1\n"), Ok(None));
        for line in ["link-key \n", "link-key 1\n", "link-key 1 x\n", "link-key -1 2\n", "link-key 1 2 3\n"] {
            assert_eq!(read_link_key(line), Err(BadCheckpoint::Malformed), "{line}");
        }
    }

    #[test]
    fn any_other_text_is_refused_with_the_reason() {
        let keyring = keyring();
        let ours = key(&keyring, "one");
        let note = ours.sign(&CHECKPOINT);
        assert_eq!(ours.open(&note.replacen("\n3\n", "\n4\n", 1)), not_ours());
        assert_eq!(ours.open(""), Err(BadCheckpoint::Malformed));
        assert_eq!(ours.open("vigie/one\n3\n"), Err(BadCheckpoint::Malformed));
        assert!(matches!(key(&keyring, "other").open(&note), Err(BadCheckpoint::Origin { .. })));
        assert_eq!(key(&self::keyring(), "one").open(&note), not_ours());
    }

    #[test]
    fn a_checkpoint_of_an_earlier_key_is_ours_only_of_fewer_records_than_the_next_began_with() {
        let mut keyring = keyring();
        let first = key(&keyring, "one");
        keyring.succeed(KeyPurpose::Checkpoint, 4);
        let second = key(&keyring, "one");
        assert_eq!(second.open(&first.sign(&CHECKPOINT)), Ok(CHECKPOINT));
        for size in [4, 5] {
            let checkpoint = Checkpoint { size, ..CHECKPOINT };
            assert_eq!(second.open(&first.sign(&checkpoint)), not_ours());
            assert_eq!(second.open(&second.sign(&checkpoint)), Ok(checkpoint));
            assert_eq!(first.open(&second.sign(&checkpoint)), not_ours());
        }
    }
}
