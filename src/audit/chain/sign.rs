//! Signing: what the chain is now becomes a checkpoint, but only where it continues what was signed before. A chain that was
//! rewritten or cut off never gets the server's signature, and the file in the data directory stays the witness of what was.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use tlog_tiles::{check_tree, prove_tree};

use super::tree::{self, Stored};
use super::verify::{is_rightful, opened};
use super::{Chain, Checkpoint, CheckpointKey, Fault, size};
use crate::store::chain::{self, Head, StoredCheckpoint};
use crate::store::{Db, StoreError};
use crate::warrant::WarrantKey;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The chain does not continue what was signed before, or nobody can tell.
    #[error(transparent)]
    Damaged(#[from] Fault),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for NotSigned {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Damaged(Fault::Unreadable { what }),
            passing => Self::Store(passing),
        }
    }
}

impl Chain {
    /// Signs what the chain is now, unless the newest checkpoint says it already. It is kept in the database and written to
    /// the file; a file that cannot be written is logged, and written the next time.
    ///
    /// Both the file and the newest checkpoint in the database must lead to what is signed: else both stay as they are. A
    /// file of another history can say nothing of this one, and stays too.
    pub async fn checkpoint(&self) -> Result<StoredCheckpoint, NotSigned> {
        // The file first: the chain has grown since, if anything.
        let (own, is_ours) = match self.own_checkpoint() {
            Ok(own) => (own, true),
            Err(unusable) if unusable.is_of_another_history() => (None, false),
            Err(unusable) => return Err(Fault::File(unusable).into()),
        };
        let (head, newest) = self.proved(own).await?;
        let checkpoint = match newest {
            Some(newest) if newest.size == head.size => newest,
            _ => {
                let note = self.key.sign(&checkpoint_of(&head));
                let made = StoredCheckpoint { size: head.size, at: self.clock.now(), note };
                let kept = made.clone();
                self.store.write(move |db| chain::keep_checkpoint(db, &kept)).await?;
                made
            }
        };
        if is_ours
            && std::fs::read(self.file()).ok().as_deref() != Some(checkpoint.note.as_bytes())
            && let Err(error) = self.write_file(&checkpoint.note)
        {
            tracing::warn!(path = %self.file().display(), cause = %error, "the checkpoint cannot be written");
        }
        Ok(checkpoint)
    }

    /// How the chain stands, and the newest checkpoint in the database: proved to lead there, as `own` does.
    async fn proved(&self, own: Option<Checkpoint>) -> Result<(Head, Option<StoredCheckpoint>), NotSigned> {
        loop {
            let base = self.store.read(chain::base).await?;
            let (begins, key, warrants) = (base.clone(), Arc::clone(&self.key), Arc::clone(&self.warrants));
            let prove = move |db: &mut Db| prove(db, own, &begins, &key, &warrants);
            let proved = self.store.read_at_length(prove).await;
            // Where the oldest records were removed meanwhile, it begins elsewhere now.
            if proved.is_ok() || self.store.read(chain::base).await? == base {
                return proved;
            }
        }
    }

    /// Whether the chain, as it is signed, began like this.
    pub(super) async fn began_so(&self, beginning: &Head) -> Result<(), NotSigned> {
        let signed = opened(&self.checkpoint().await?, &self.key)?;
        let beginning = checkpoint_of(beginning);
        self.store.read_at_length(move |db| leads_to(db, &beginning, &signed)).await
    }

    /// Whole or not at all, also when the machine stops: half a checkpoint would be damage.
    fn write_file(&self, note: &str) -> std::io::Result<()> {
        let new = self.file().with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(new, self.file())
    }
}

/// What a checkpoint says of a chain that stands so.
pub(super) fn checkpoint_of(head: &Head) -> Checkpoint {
    Checkpoint { size: size(head.size), root: tree::root(&head.peaks) }
}

fn prove(
    db: &mut Db,
    own: Option<Checkpoint>,
    base: &Head,
    key: &CheckpointKey,
    warrants: &WarrantKey,
) -> Result<(Head, Option<StoredCheckpoint>), NotSigned> {
    // In this order: the chain has grown since, if anything.
    let newest = chain::newest_checkpoint(db)?;
    let head = chain::head(db)?;
    let (now, stored) = (checkpoint_of(&head), newest.as_ref().map(|newest| opened(newest, key)).transpose()?);
    for earlier in own.into_iter().chain(stored) {
        if earlier.size >= size(base.size) {
            leads_to(db, &earlier, &now)?;
        } else if is_rightful(db, base, key, warrants)? {
            // What it saw is gone, rightly so: the checkpoint where the chain begins was signed when it led there.
            leads_to(db, &checkpoint_of(base), &now)?;
        } else {
            return Err(Fault::Base { size: base.size }.into());
        }
    }
    Ok((head, newest))
}

/// Proves that the chain of one checkpoint is the beginning of the chain of another.
fn leads_to(db: &mut Db, earlier: &Checkpoint, later: &Checkpoint) -> Result<(), NotSigned> {
    if earlier.size > later.size {
        return Err(Fault::CutOff { size: later.size, seen: earlier.size }.into());
    }
    if earlier.size == 0 || earlier == later {
        return Ok(());
    }
    let stored = Stored::new(db);
    let proved = prove_tree(later.size, earlier.size, &stored);
    let hashes = stored.result(proved)?;
    check_tree(&hashes, later.size, later.root, earlier.size, earlier.root)
        .map_err(|_| Fault::Rewritten { size: earlier.size }.into())
}
