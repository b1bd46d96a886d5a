//! Signing: what the chain is now becomes a checkpoint, but only where it continues what was signed before, and every record
//! since is linked by the key. A chain that was rewritten or cut off never gets the server's signature, and the file in the
//! data directory stays the witness of what was.

use tlog_tiles::{check_tree, prove_tree};

use super::chain_hash::ChainHashKeys;
use super::proven_head::{head_at, prove_growth};
use super::tree::{self, Stored};
use super::verify::{TrustedKeys, may_begin_at};
use super::{Chain, Checkpoint, Damage, size};
use crate::store::chain::{self, Head, StoredCheckpoint};
use crate::store::{Db, StoreError};
use crate::whole_file;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The chain does not continue what was signed before, or nobody can tell.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for NotSigned {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Damaged(Damage::Unreadable { what }),
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
        self.checkpoint_linked(self.hash_keys().await?).await
    }

    /// The same of a chain whose records are linked so.
    pub(super) async fn checkpoint_linked(&self, hash_keys: ChainHashKeys) -> Result<StoredCheckpoint, NotSigned> {
        // The file first: the chain has grown since, if anything.
        let (own, is_ours) = self.own_unless_of_another_history()?;
        let trusted = TrustedKeys { keys: self.keys.clone(), hash_keys };
        let (head, newest) = self.proved(own, &trusted).await?;
        let due = checkpoint_of(&head, &trusted.hash_keys);
        let checkpoint = match newest {
            Some((newest, says)) if says.size == due.size => newest,
            _ => {
                let made = StoredCheckpoint { size: head.size, at: self.clock.now(), note: self.key().sign(&due) };
                let (kept, vault) = (made.clone(), self.vault.clone());
                let keep = move |db: &mut Db| {
                    vault.ensure_current_in(db)?;
                    chain::keep_checkpoint(db, &kept)
                };
                self.store.write(keep).await?;
                made
            }
        };
        if is_ours {
            self.keep_in_file(&checkpoint.note, checkpoint.size);
        }
        Ok(checkpoint)
    }

    /// Signs what the chain is now into the file alone, where it has grown since this process looked: between one checkpoint
    /// and the next, nobody takes back unseen what is sealed.
    pub async fn checkpoint_to_file(&self) -> Result<(), NotSigned> {
        let head = self.store.read(chain::head).await?;
        if self.proven.is_proven_and_in_file(&head) {
            return Ok(());
        }
        let (_, is_ours) = self.own_unless_of_another_history()?;
        let Some(from) = self.proven.head() else { return self.checkpoint().await.map(drop) };
        let (hash_keys, to) = (self.hash_keys().await?, head.clone());
        let note = self.key().sign(&checkpoint_of(&head, &hash_keys));
        let prove = move |db: &mut Db| prove_growth(db, from, &to, &hash_keys);
        self.store.read_long(prove).await?;
        self.proven.advance_to(&head);
        if is_ours {
            self.keep_in_file(&note, head.size);
        }
        Ok(())
    }

    /// The checkpoint in the file, and whether the file may be replaced by one of this history.
    fn own_unless_of_another_history(&self) -> Result<(Option<Checkpoint>, bool), Damage> {
        match self.own_checkpoint() {
            Ok(own) => {
                if own.is_none() {
                    self.proven.reset_if_file_was_removed();
                }
                Ok((own, true))
            }
            Err(unusable) if unusable.is_of_another_history() => Ok((None, false)),
            Err(unusable) => Err(unusable.into()),
        }
    }

    /// How the chain stands, and the newest checkpoint in the database: proved to lead there, as `own` does.
    async fn proved(&self, own: Option<Checkpoint>, trusted: &TrustedKeys) -> Result<(Head, Newest), NotSigned> {
        loop {
            let base = self.store.read(chain::base).await?;
            let (begins, trusted, from) = (base.clone(), trusted.clone(), self.proven.head());
            let prove = move |db: &mut Db| prove(db, own, from, &begins, &trusted);
            let proved = self.store.read_long(prove).await;
            if let Ok((head, _)) = &proved {
                self.proven.advance_to(head);
            }
            // Where the oldest records were removed meanwhile, it begins elsewhere now.
            if proved.is_ok() || self.store.read(chain::base).await? == base {
                return proved;
            }
        }
    }

    /// Whether the chain, as it is signed, began like this.
    pub(super) async fn began_like(&self, beginning: &Head) -> Result<(), NotSigned> {
        let trusted = TrustedKeys { keys: self.keys.clone(), hash_keys: self.hash_keys().await? };
        let now = trusted.opened(&self.checkpoint().await?)?;
        let beginning = checkpoint_of(beginning, &trusted.hash_keys);
        self.store.read_long(move |db| leads_to(db, &beginning, &now)).await
    }

    fn keep_in_file(&self, note: &str, size: i64) {
        let is_there = std::fs::read(self.file()).is_ok_and(|kept| kept == note.as_bytes());
        match if is_there { Ok(()) } else { self.write_file(note) } {
            Ok(()) => self.proven.set_in_file(size),
            Err(error) => {
                tracing::warn!(path = %self.file().display(), cause = %error, "the checkpoint cannot be written");
            }
        }
    }

    /// Half a checkpoint would be damage.
    fn write_file(&self, note: &str) -> std::io::Result<()> {
        whole_file::replace(&self.file(), note.as_bytes(), whole_file::PUBLIC)
    }
}

/// The newest checkpoint in the database, and what it says.
type Newest = Option<(StoredCheckpoint, Checkpoint)>;

/// What a checkpoint says of a chain that stands so.
pub(super) fn checkpoint_of(head: &Head, hash_keys: &ChainHashKeys) -> Checkpoint {
    Checkpoint { size: size(head.size), root: tree::root(&head.peaks), link_key: hash_keys.newest() }
}

pub(super) fn prove(
    db: &mut Db,
    own: Option<Checkpoint>,
    proven: Option<Head>,
    base: &Head,
    trusted: &TrustedKeys,
) -> Result<(Head, Newest), NotSigned> {
    // In this order: the chain has grown since, if anything.
    let newest = chain::newest_checkpoint(db)?;
    let head = chain::head(db)?;
    let now = checkpoint_of(&head, &trusted.hash_keys);
    let newest = newest.map(|newest| Ok::<_, Damage>((trusted.opened(&newest)?, newest))).transpose()?;
    let own = own.map(|own| trusted.made_with_these_keys(own)).transpose()?;
    for earlier in own.into_iter().chain(newest.as_ref().map(|(says, _)| *says)) {
        if earlier.size >= size(base.size) {
            leads_to(db, &earlier, &now)?;
        } else if may_begin_at(db, base, trusted)? {
            // What it saw is gone, rightly so: the checkpoint where the chain begins was signed when it led there.
            leads_to(db, &checkpoint_of(base, &trusted.hash_keys), &now)?;
        } else {
            return Err(Damage::UnsignedBase { size: base.size }.into());
        }
    }
    // What no checkpoint has seen is there as it was sealed, and nothing between.
    let earlier = own.into_iter().chain(newest.as_ref().map(|(says, _)| *says)).max_by_key(|says| says.size);
    let from = match earlier.filter(|earlier| earlier.size > size(base.size)) {
        Some(earlier) => head_at(db, &earlier)?,
        None => base.clone(),
    };
    prove_growth(db, from, &head, &trusted.hash_keys)?;
    if let Some(proven) = proven {
        prove_growth(db, proven, &head, &trusted.hash_keys)?;
    }
    if let Some(position) = chain::outside_chain(db)? {
        return Err(Damage::OutsideChain { position }.into());
    }
    Ok((head, newest.map(|(says, stored)| (stored, says))))
}

/// Proves that the chain of one checkpoint is the beginning of the chain of another.
fn leads_to(db: &mut Db, earlier: &Checkpoint, later: &Checkpoint) -> Result<(), NotSigned> {
    if earlier.size > later.size {
        return Err(Damage::CutOff { size: later.size, seen: earlier.size }.into());
    }
    if earlier.size == 0 || earlier.root == later.root && earlier.size == later.size {
        return Ok(());
    }
    let stored = Stored::new(db);
    let proved = prove_tree(later.size, earlier.size, &stored);
    let hashes = stored.result(proved)?;
    check_tree(&hashes, later.size, later.root, earlier.size, earlier.root)
        .map_err(|_| Damage::Rewritten { size: earlier.size }.into())
}
