//! Passwords: which ones are accepted, how they are hashed, and how a typed one is compared with the stored form.
//!
//! Whether there is such a user, whether the password is right, and how it is stored cannot be told from the time
//! (ATH-01): each comparison computes one hash of every scheme that is stored, and at most one of them is the user's.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hashing_pool::{HashingPool, Refused};
use super::policy::{Policy, normalised};
use super::scheme::{Scheme, StoredHash};
use crate::config;
use crate::model::user::PasswordHash;

pub use super::policy::{MAX_BYTES, NewPassword, Unacceptable};

/// The most schemes of which each comparison computes one hash. Of more, the most costly are kept: logins by the
/// others then take a little longer than the rest.
pub const MAX_SCHEMES: usize = 8;

/// The policy for passwords and the threads that hash them. Cloning it is cheap; the clones are one.
#[derive(Clone)]
pub struct Passwords {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    pool: HashingPool,
    params: Params,
    /// One hash of no password for each scheme that is stored, the most costly first.
    dummies: RwLock<Arc<[StoredHash]>>,
}

/// What comparing a password gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// Whether it is the user's password.
    pub matches: bool,
    /// Whether it is, and its stored form is not what Vigie would make today: see [`Passwords::rehash`] (PWD-07).
    pub outdated: bool,
}

/// Passwords cannot be handled as configured.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// The file of refused passwords cannot be read.
    #[error("passwords.blocklist_file: {} cannot be read: {source}", config::shown_file(path))]
    Blocklist {
        /// `[passwords] blocklist_file`.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Argon2 does not allow the configured cost.
    #[error("passwords.argon2_memory_kib, argon2_iterations, argon2_parallelism: {0}")]
    Cost(argon2::Error),
    /// The threads cannot be started.
    #[error("passwords.hashing_threads: a thread cannot be started: {0}")]
    Threads(std::io::Error),
}

/// A password was neither hashed nor compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashingError {
    /// Too many wait already, or the memory for it cannot be had. Later it may work.
    #[error("too many passwords are being hashed; try again later")]
    Busy,
    /// The stored form cannot be read. Told only after the usual work, so that it takes the usual time.
    #[error("the stored form of the password cannot be read")]
    Corrupt,
    /// The work broke off.
    #[error("hashing a password broke off")]
    Stopped,
}

impl Passwords {
    /// Reads the list of refused passwords and starts the hashing threads.
    ///
    /// `product_words` are names by which the service is known, beside the configured words of its house.
    pub fn new(config: &config::Passwords, product_words: &[&str]) -> Result<Self, PasswordsError> {
        let words = product_words.iter().copied().chain(config.context_words.iter().map(String::as_str));
        let policy = Policy::new(config.min_length, words, &config.blocklist_file)
            .map_err(|source| PasswordsError::Blocklist { path: config.blocklist_file.clone(), source })?;
        let (memory, iterations, lanes) =
            (config.argon2_memory_kib, config.argon2_iterations, config.argon2_parallelism);
        let params = Params::new(memory, iterations, lanes, Some(Params::DEFAULT_OUTPUT_LEN));
        let params = params.map_err(PasswordsError::Cost)?;
        let threads = NonZero::new(config.hashing_threads).unwrap_or_else(cores).get();
        let pool = HashingPool::start(threads, config.hashing_queue).map_err(PasswordsError::Threads)?;
        let passwords = Self { inner: Arc::new(Inner { policy, pool, params, dummies: RwLock::new(Arc::new([])) }) };
        passwords.set_schemes([]);
        Ok(passwords)
    }

    /// Checks a password that a user wants to have (PWD-01 to PWD-04).
    ///
    /// It takes some milliseconds, on a thread that may be blocked.
    ///
    /// # Panics
    /// If the estimate does.
    pub async fn accept(&self, password: &SecretString, username: &str) -> Result<NewPassword, Unacceptable> {
        let (inner, password, username) = (Arc::clone(&self.inner), password.clone(), username.to_owned());
        let accepted =
            tokio::task::spawn_blocking(move || inner.policy.accept(password.expose_secret(), &username)).await;
        accepted.unwrap_or_else(|stopped| std::panic::resume_unwind(stopped.into_panic()))
    }

    /// The same of one that is to take the place of another.
    pub async fn accept_another(
        &self,
        password: &SecretString,
        current: &SecretString,
        username: &str,
    ) -> Result<NewPassword, Unacceptable> {
        let accepted = self.accept(password, username).await?;
        let current = normalised(current.expose_secret()).unwrap_or_default();
        if bool::from(current.as_bytes().ct_eq(accepted.0.as_bytes())) {
            return Err(Unacceptable::Unchanged);
        }
        Ok(accepted)
    }

    /// Hashes an accepted password: argon2id with the configured cost, as a PHC string (PWD-06).
    pub async fn hash(&self, password: NewPassword) -> Result<PasswordHash, HashingError> {
        let params = self.inner.params.clone();
        self.inner.pool.run(move || hash(params, &password.0)).await?
    }

    /// Hashes a password that was just verified, whatever the policy thinks of it (PWD-07).
    pub async fn rehash(&self, password: SecretString) -> Result<PasswordHash, HashingError> {
        let params = self.inner.params.clone();
        let work = move || match normalised(password.expose_secret()) {
            Some(normal) => hash(params, &normal),
            // What is too long matches nothing, so it was not verified either.
            None => Err(HashingError::Corrupt),
        };
        self.inner.pool.run(work).await?
    }

    /// Compares a typed password with the stored form; `None` for a user who does not exist or may not log in.
    ///
    /// Takes the same time for every user (ATH-01), also where it answers [`HashingError::Corrupt`].
    pub async fn verify(
        &self,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verification, HashingError> {
        let stored = stored.map(|stored| StoredHash::parse(&stored)).transpose();
        let corrupt = stored.is_err();
        let comparison = self.comparison(stored.ok().flatten());
        let work = move || comparison.run(password.expose_secret(), StoredHash::matches);
        let verification = self.inner.pool.run(work).await??;
        if corrupt { Err(HashingError::Corrupt) } else { Ok(verification) }
    }

    /// Tells which schemes are stored now, so that each comparison takes the same time whichever it meets.
    ///
    /// The configured one is always among them; at most [`MAX_SCHEMES`] are kept.
    pub fn set_schemes(&self, schemes: impl IntoIterator<Item = Scheme>) {
        let current = self.scheme();
        let mut others: Vec<_> = schemes.into_iter().filter(|scheme| *scheme != current).collect();
        others.sort_unstable_by_key(|scheme| (std::cmp::Reverse(scheme.weight()), *scheme));
        others.dedup();
        others.truncate(MAX_SCHEMES - 1);
        let dummies = std::iter::once(current).chain(others).map(StoredHash::dummy).collect();
        *self.inner.dummies.write().unwrap_or_else(PoisonError::into_inner) = dummies;
    }

    /// The scheme of the hashes that Vigie makes.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        let params = &self.inner.params;
        Scheme::Argon2 {
            variant: Algorithm::Argon2id,
            memory_kib: params.m_cost(),
            iterations: params.t_cost(),
            parallelism: params.p_cost(),
        }
    }

    /// How many passwords wait to be hashed or compared.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.pool.waiting()
    }

    fn comparison(&self, stored: Option<StoredHash>) -> Comparison {
        if let Some(scheme) = stored.as_ref().map(StoredHash::scheme) {
            self.remember_scheme(scheme);
        }
        Comparison { dummies: self.dummies(), stored, current: self.scheme() }
    }

    /// Takes up a scheme nobody told of, such as that of a user imported a moment ago: its next comparison no longer
    /// stands out.
    fn remember_scheme(&self, scheme: Scheme) {
        let known: Vec<_> = self.dummies().iter().map(StoredHash::scheme).collect();
        if !known.contains(&scheme) {
            self.set_schemes(known.into_iter().chain([scheme]));
        }
    }

    fn dummies(&self) -> Arc<[StoredHash]> {
        Arc::clone(&self.inner.dummies.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("scheme", &self.scheme()).finish_non_exhaustive()
    }
}

impl From<Refused> for HashingError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::Busy,
            Refused::Stopped => Self::Stopped,
        }
    }
}

/// All that one comparison computes.
struct Comparison {
    dummies: Arc<[StoredHash]>,
    stored: Option<StoredHash>,
    current: Scheme,
}

impl Comparison {
    /// Compares with one hash of every scheme; `matches` computes one.
    fn run(
        &self,
        password: &str,
        matches: impl Fn(&StoredHash, &[u8]) -> Result<bool, argon2::Error>,
    ) -> Result<Verification, HashingError> {
        let normal = normalised(password);
        let possible = normal.is_some();
        let (normal, typed) = (normal.unwrap_or_default(), if possible { password } else { "" });
        let mut found = false;
        for (hash, is_real) in self.hashes() {
            // One form for each scheme, whoever the user is: a password in another form than NFC costs no more.
            let form = if hash.scheme().may_be_ours() { normal.as_str() } else { typed };
            found |= matches(hash, form.as_bytes()).map_err(|_| HashingError::Busy)? & is_real;
        }
        let found = possible && found;
        let current = self.stored.as_ref().is_some_and(|stored| stored.is_as_made_by(self.current));
        Ok(Verification { matches: found, outdated: found && !current })
    }

    /// One hash of each scheme, always in the same order, and whether it is the user's own.
    fn hashes(&self) -> impl Iterator<Item = (&StoredHash, bool)> {
        let real = self.stored.as_ref().map(|stored| (stored, stored.scheme()));
        let of_scheme = move |scheme| real.filter(|(_, real)| *real == scheme).map(|(stored, _)| (stored, true));
        let each = self.dummies.iter().map(move |dummy| of_scheme(dummy.scheme()).unwrap_or((dummy, false)));
        let kept = |scheme| self.dummies.iter().any(|dummy| dummy.scheme() == scheme);
        let left_out = real.filter(|(_, scheme)| !kept(*scheme)).map(|(stored, _)| (stored, true));
        each.chain(left_out)
    }
}

fn hash(params: Params, password: &Zeroizing<String>) -> Result<PasswordHash, HashingError> {
    // The parameters were checked at the start, so only memory can be missing.
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password(password.as_bytes());
    hash.map(|hash| PasswordHash(hash.to_string())).map_err(|_| HashingError::Busy)
}

/// As many as can compute at the same time.
fn cores() -> NonZero<usize> {
    std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const PHRASE: &str = "cheval agrafe batterie correct";

    fn config() -> config::Passwords {
        config::Passwords {
            min_length: 15,
            argon2_memory_kib: 64,
            argon2_iterations: 1,
            argon2_parallelism: 1,
            argon2_below_floor: true,
            hashing_threads: 2,
            hashing_queue: 8,
            blocklist_file: PathBuf::new(),
            context_words: vec!["Belleville".to_owned()],
        }
    }

    fn passwords() -> Passwords {
        Passwords::new(&config(), &["vigie"]).unwrap()
    }

    async fn hashed(passwords: &Passwords, text: &str) -> PasswordHash {
        passwords.hash(passwords.accept(&text.into(), "alice").await.unwrap()).await.unwrap()
    }

    fn bcrypt_hash(password: &str, cost: u32) -> PasswordHash {
        PasswordHash(bcrypt::hash(password, cost).unwrap())
    }

    async fn verify(passwords: &Passwords, typed: &str, stored: &PasswordHash) -> (bool, bool) {
        let Verification { matches, outdated } = passwords.verify(typed.into(), Some(stored.clone())).await.unwrap();
        (matches, outdated)
    }

    /// The schemes that a comparison computes, in order, each with the number of bytes hashed.
    fn work(passwords: &Passwords, typed: &str, stored: Option<&PasswordHash>) -> Vec<(Scheme, usize)> {
        let done = RefCell::new(Vec::new());
        let stored = stored.map(|stored| StoredHash::parse(stored).unwrap());
        let compute = |hash: &StoredHash, password: &[u8]| {
            done.borrow_mut().push((hash.scheme(), password.len()));
            hash.matches(password)
        };
        passwords.comparison(stored).run(typed, compute).unwrap();
        done.into_inner()
    }

    #[tokio::test]
    async fn a_password_is_verified_whole_and_as_it_was_set() {
        let passwords = passwords();
        let long = format!("{PHRASE}{}", "é".repeat(400));
        let stored = hashed(&passwords, &long).await;
        assert!(stored.0.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", stored.0);
        assert_eq!(verify(&passwords, &long, &stored).await, (true, false));
        for cut in [72, 127] {
            let cut: String = long.chars().take(cut).collect();
            assert_eq!(verify(&passwords, &cut, &stored).await, (false, false));
        }
        assert_eq!(verify(&passwords, &long.to_uppercase(), &stored).await, (false, false));
        assert_ne!(hashed(&passwords, &long).await, stored, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn the_keyboards_encoding_does_not_matter() {
        let passwords = passwords();
        let stored = hashed(&passwords, "l'été à la forêt noire, un navet").await;
        let decomposed = "l'e\u{301}te\u{301} a\u{300} la fore\u{302}t noire, un navet";
        assert_eq!(verify(&passwords, decomposed, &stored).await, (true, false));
        let set_decomposed = hashed(&passwords, decomposed).await;
        assert_eq!(verify(&passwords, "l'été à la forêt noire, un navet", &set_decomposed).await, (true, false));
    }

    #[tokio::test]
    async fn an_imported_hash_is_compared_with_the_password_as_typed_too() {
        let passwords = passwords();
        let decomposed = "e\u{301}te\u{301}";
        let stored = bcrypt_hash(decomposed, 4);
        assert_eq!(verify(&passwords, decomposed, &stored).await, (true, true));
        assert_eq!(verify(&passwords, "autre", &stored).await, (false, false));
    }

    #[tokio::test]
    async fn other_hashes_match_and_are_outdated() {
        let passwords = passwords();
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let stored = bcrypt_hash("old one", 10).0.replace("$2b$", prefix);
            let stored = PasswordHash(stored);
            assert_eq!(verify(&passwords, "old one", &stored).await, (true, true), "{prefix}");
            assert_eq!(verify(&passwords, "new one", &stored).await, (false, false), "{prefix}");
        }
        let weaker = Passwords::new(&config::Passwords { argon2_memory_kib: 32, ..config() }, &[]).unwrap();
        let stored = hashed(&weaker, PHRASE).await;
        assert_eq!(verify(&passwords, PHRASE, &stored).await, (true, true));
        let renewed = passwords.rehash(PHRASE.into()).await.unwrap();
        assert_eq!(verify(&passwords, PHRASE, &renewed).await, (true, false));
    }

    #[tokio::test]
    async fn rehashing_asks_no_policy() {
        let passwords = passwords();
        let stored = passwords.rehash("old".into()).await.unwrap();
        assert_eq!(verify(&passwords, "old", &stored).await, (true, false));
        assert_eq!(passwords.rehash("x".repeat(1025).into()).await, Err(HashingError::Corrupt));
    }

    #[tokio::test]
    async fn nobody_and_the_too_long_match_nothing() {
        let passwords = passwords();
        let nothing = Verification { matches: false, outdated: false };
        assert_eq!(passwords.verify(PHRASE.into(), None).await, Ok(nothing));
        let empty = passwords.rehash("".into()).await.unwrap();
        assert_eq!(verify(&passwords, "", &empty).await, (true, false));
        assert_eq!(verify(&passwords, &"x".repeat(1025), &empty).await, (false, false));
        assert_eq!(verify(&passwords, &"x".repeat(1_000_000), &empty).await, (false, false));
    }

    #[tokio::test]
    async fn the_work_is_the_same_for_every_user() {
        let passwords = passwords();
        let bcrypt_4 = bcrypt_hash(PHRASE, 4);
        let bcrypt_5 = bcrypt_hash(PHRASE, 5);
        let own = hashed(&passwords, PHRASE).await;
        passwords.set_schemes([Scheme::of(&bcrypt_4).unwrap(), Scheme::of(&bcrypt_5).unwrap()]);
        let too_long = "x".repeat(1025);
        for typed in [PHRASE, "wrong", "", "e\u{301}te\u{301}", "nul\0nul", too_long.as_str()] {
            let for_nobody = work(&passwords, typed, None);
            let schemes: std::collections::BTreeSet<_> = for_nobody.iter().map(|(scheme, _)| *scheme).collect();
            assert_eq!(schemes.len(), 3, "one hash of each scheme");
            for stored in [&bcrypt_4, &bcrypt_5, &own] {
                assert_eq!(work(&passwords, typed, Some(stored)), for_nobody, "{typed}");
            }
        }
        for typed in [PHRASE, "e\u{301}te\u{301}"] {
            assert_eq!(work(&passwords, typed, None).len(), 3, "in whichever form it is typed");
        }
    }

    #[tokio::test]
    async fn a_hash_of_an_earlier_cost_is_of_the_normal_form_too() {
        let earlier = Passwords::new(&config::Passwords { argon2_iterations: 2, ..config() }, &["vigie"]).unwrap();
        let stored = hashed(&earlier, "l'été à la forêt noire, un navet").await;
        let decomposed = "l'e\u{301}te\u{301} a\u{300} la fore\u{302}t noire, un navet";
        assert_eq!(verify(&passwords(), decomposed, &stored).await, (true, true));
    }

    #[tokio::test]
    async fn the_configured_scheme_is_always_computed() {
        let passwords = passwords();
        let only = |scheme| vec![(scheme, 5)];
        assert_eq!(work(&passwords, "wrong", None), only(passwords.scheme()));
        passwords.set_schemes([passwords.scheme(), passwords.scheme()]);
        assert_eq!(work(&passwords, "wrong", None), only(passwords.scheme()));
    }

    #[tokio::test]
    async fn a_scheme_that_is_met_is_computed_from_then_on() {
        let passwords = passwords();
        let stored = bcrypt_hash(PHRASE, 4);
        let for_user = work(&passwords, "wrong", Some(&stored));
        assert_eq!(for_user.len(), 2);
        assert_eq!(work(&passwords, "wrong", None), for_user);
    }

    #[tokio::test]
    async fn a_user_of_a_scheme_that_was_left_out_can_log_in() {
        let passwords = passwords();
        passwords.set_schemes((5..12).map(|cost| Scheme::Bcrypt { cost }));
        let stored = bcrypt_hash(PHRASE, 4);
        assert_eq!(verify(&passwords, PHRASE, &stored).await, (true, true));
        assert_eq!(work(&passwords, "wrong", Some(&stored)).len(), MAX_SCHEMES + 1);
    }

    #[test]
    fn of_too_many_schemes_the_most_costly_are_kept() {
        let passwords = passwords();
        passwords.set_schemes((4..=16).map(|cost| Scheme::Bcrypt { cost }));
        let kept: Vec<_> = passwords.dummies().iter().map(StoredHash::scheme).collect();
        let expected = (10..=16).rev().map(|cost| Scheme::Bcrypt { cost });
        assert_eq!(kept, std::iter::once(passwords.scheme()).chain(expected).collect::<Vec<_>>());
        assert_eq!(kept.len(), MAX_SCHEMES);
    }

    #[tokio::test]
    async fn a_stored_form_that_cannot_be_read_is_told_apart_from_a_wrong_password() {
        let passwords = passwords();
        for text in ["", "plain text", "$2b$10$short", "$argon2id$v=19$m=64"] {
            let stored = Some(PasswordHash(text.to_owned()));
            assert_eq!(passwords.verify(PHRASE.into(), stored).await, Err(HashingError::Corrupt), "{text}");
        }
    }

    #[tokio::test]
    async fn more_than_may_wait_are_answered_busy() {
        let config = config::Passwords { hashing_threads: 1, hashing_queue: 2, argon2_memory_kib: 19_456, ..config() };
        let passwords = Passwords::new(&config, &[]).unwrap();
        let attempts = futures_util::future::join_all((0..10).map(|_| passwords.verify(PHRASE.into(), None))).await;
        let busy = attempts.iter().filter(|attempt| **attempt == Err(HashingError::Busy)).count();
        assert!((1..=7).contains(&busy), "one runs, two wait, {busy} are refused");
        assert_eq!(passwords.waiting(), 0);
    }

    #[test]
    fn a_missing_list_is_named_by_its_key() {
        let config = config::Passwords { blocklist_file: "/nowhere/list.txt".into(), ..config() };
        let message = Passwords::new(&config, &[]).unwrap_err().to_string();
        assert!(message.starts_with("passwords.blocklist_file: /nowhere/list.txt"), "{message}");
        let device = config::Passwords { blocklist_file: "/dev/zero".into(), ..config };
        let message = Passwords::new(&device, &[]).unwrap_err().to_string();
        assert!(message.ends_with("it is not a regular file"), "{message}");
    }

    #[tokio::test]
    async fn the_words_of_the_house_and_of_the_product_are_refused() {
        let passwords = passwords();
        for text in ["vigievigievigie", "belleville2026!", "Vigie-Belleville"] {
            assert_eq!(passwords.accept(&text.into(), "alice").await.unwrap_err(), Unacceptable::Context, "{text}");
        }
    }
}
