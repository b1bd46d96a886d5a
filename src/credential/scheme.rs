//! Kinds of stored password hashes: which are understood, what each costs, and how one is compared with a password.

use std::cell::RefCell;
use std::str::FromStr;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use subtle::ConstantTimeEq as _;

use crate::model::user::PasswordHash;

/// bcrypt reads no further than this; what follows would not be verified (PWD-02).
const BCRYPT_MAX_BYTES: usize = 72;
/// About four seconds on today's machines, like the two limits below.
const BCRYPT_MAX_COST: u32 = 16;
const ARGON2_MAX_MEMORY_KIB: u32 = 1024 * 1024;
const ARGON2_MAX_ITERATIONS: u32 = 64;
/// Memory times iterations: libsodium's most careful preset, 1 GiB with 4 passes, is the dearest accepted.
const ARGON2_MAX_WORK: u64 = 4 * 1024 * 1024;
const ARGON2_MAX_PARALLELISM: u32 = 64;

/// A kind of stored hash and its cost. Two hashes of one scheme take the same time to compare.
///
/// The text form (`bcrypt:10`, `argon2id:19456:2:1`) is stable: it may be kept in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// bcrypt, in any of the variants `$2a$`, `$2b$`, `$2y$`.
    Bcrypt {
        /// Logarithm of the number of rounds.
        cost: u32,
    },
    /// Argon2 (RFC 9106), in any variant.
    Argon2 {
        /// Argon2id, which Vigie makes, or Argon2i or Argon2d.
        variant: Algorithm,
        /// Memory that a hash takes, in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        iterations: u32,
        /// Lanes that are computed side by side.
        parallelism: u32,
    },
}

/// A stored hash cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownHash {
    /// Of a kind that Vigie does not know.
    #[error("neither a bcrypt hash ($2a$, $2b$, $2y$) nor an argon2 hash ($argon2id$, $argon2i$, $argon2d$)")]
    Kind,
    /// Of a known kind, but not whole.
    #[error("not a well-formed {0} hash")]
    Malformed(&'static str),
    /// Comparing one would hold up every login.
    #[error(
        "{0} takes too long to compare: bcrypt up to cost 16, argon2 up to 1 GiB, 64 iterations, and 4 GiB of memory times iterations"
    )]
    TooCostly(Scheme),
}

/// The text is not that of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a scheme such as `bcrypt:10` or `argon2id:19456:2:1`")]
pub struct UnknownScheme;

impl Scheme {
    /// The scheme of a stored hash. The whole hash is read, so whatever has a scheme can be compared later.
    ///
    /// Refuses hashes that are too costly, so that an import cannot stall the server.
    pub fn of(hash: &PasswordHash) -> Result<Self, UnknownHash> {
        let scheme = StoredHash::parse(hash)?.scheme();
        if scheme.is_bearable() { Ok(scheme) } else { Err(UnknownHash::TooCostly(scheme)) }
    }

    /// Whether Vigie may have made such a hash, at this cost or an earlier one: of the normal form of the password. Other
    /// applications made theirs of the bytes as they were typed.
    pub(super) const fn may_be_ours(self) -> bool {
        matches!(self, Self::Argon2 { variant: Algorithm::Argon2id, .. })
    }

    /// A rough measure of the time it takes: 1 is the time that Argon2 takes for 1 KiB.
    pub(super) fn weight(self) -> u64 {
        match self {
            Self::Bcrypt { cost } => 80 << cost.min(31),
            Self::Argon2 { memory_kib, iterations, .. } => u64::from(memory_kib) * u64::from(iterations),
        }
    }

    fn is_bearable(self) -> bool {
        match self {
            Self::Bcrypt { cost } => cost <= BCRYPT_MAX_COST,
            Self::Argon2 { memory_kib, iterations, .. } => {
                memory_kib <= ARGON2_MAX_MEMORY_KIB
                    && iterations <= ARGON2_MAX_ITERATIONS
                    && self.weight() <= ARGON2_MAX_WORK
            }
        }
    }

    fn is_possible(self) -> bool {
        match self {
            Self::Bcrypt { cost } => (4..=31).contains(&cost),
            Self::Argon2 { parallelism, memory_kib, iterations, .. } => {
                parallelism <= ARGON2_MAX_PARALLELISM && Params::new(memory_kib, iterations, parallelism, None).is_ok()
            }
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bcrypt { cost } => write!(f, "bcrypt:{cost}"),
            Self::Argon2 { variant, memory_kib, iterations, parallelism } => {
                write!(f, "{variant}:{memory_kib}:{iterations}:{parallelism}")
            }
        }
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, costs) = text.split_once(':').ok_or(UnknownScheme)?;
        let costs: Vec<u32> = costs.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| UnknownScheme)?;
        let scheme = match (kind, costs.as_slice()) {
            ("bcrypt", &[cost]) => Self::Bcrypt { cost },
            (_, &[memory_kib, iterations, parallelism]) => {
                let variant = kind.parse().map_err(|_| UnknownScheme)?;
                Self::Argon2 { variant, memory_kib, iterations, parallelism }
            }
            _ => return Err(UnknownScheme),
        };
        // One scheme, one spelling: `bcrypt:+10` and `bcrypt:010` would be listed beside `bcrypt:10`.
        if scheme.is_possible() && scheme.to_string() == text { Ok(scheme) } else { Err(UnknownScheme) }
    }
}

/// A stored hash, read and ready to be compared. `Debug` shows only its scheme.
#[derive(Clone)]
pub(super) enum StoredHash {
    /// The text of a bcrypt hash.
    Bcrypt { cost: u32, text: String },
    /// The parts of an Argon2 hash.
    Argon2 { variant: Algorithm, version: Version, params: Params, salt: phc::Salt, digest: phc::Output },
}

impl StoredHash {
    /// Reads the stored form, whatever its cost.
    pub(super) fn parse(hash: &PasswordHash) -> Result<Self, UnknownHash> {
        let text = hash.0.as_str();
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            return Self::parse_bcrypt(text).ok_or(UnknownHash::Malformed("bcrypt"));
        }
        if text.starts_with("$argon2") {
            return Self::parse_argon2(text).ok_or(UnknownHash::Malformed("argon2"));
        }
        Err(UnknownHash::Kind)
    }

    fn parse_bcrypt(text: &str) -> Option<Self> {
        let cost = text.parse::<bcrypt::HashParts>().ok()?.get_cost();
        // The crate reads `+9` as a number too.
        let canonical = text.get(4..6) == Some(&format!("{cost:02}"));
        (canonical && Scheme::Bcrypt { cost }.is_possible()).then(|| Self::Bcrypt { cost, text: text.to_owned() })
    }

    fn parse_argon2(text: &str) -> Option<Self> {
        let parsed = phc::PasswordHash::new(text).ok()?;
        // A hash without a version is one of before there were versions (P-H-C/phc-winner-argon2, encoding.c).
        let version = parsed.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
        let hash = Self::Argon2 {
            variant: parsed.algorithm.as_str().parse().ok()?,
            version,
            params: Params::try_from(&parsed).ok()?,
            salt: parsed.salt?,
            digest: parsed.hash?,
        };
        hash.scheme().is_possible().then_some(hash)
    }

    /// A hash of no password: random salt, random digest. Comparing with it costs what a real one costs.
    pub(super) fn dummy(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Bcrypt { cost } => {
                let (salt, digest) = (random::<16>(), random::<23>());
                let encode = |bytes: &[u8]| bcrypt::BASE_64.encode(bytes);
                Self::Bcrypt { cost, text: format!("$2b${cost:02}${}{}", encode(&salt), encode(&digest)) }
            }
            Scheme::Argon2 { variant, memory_kib, iterations, parallelism } => Self::Argon2 {
                variant,
                version: Version::V0x13,
                params: Params::new(memory_kib, iterations, parallelism, Some(Params::DEFAULT_OUTPUT_LEN))
                    .expect("a scheme is only made of possible parameters"),
                salt: phc::Salt::new(&random::<16>()).expect("16 bytes make a salt"),
                digest: phc::Output::new(&random::<32>()).expect("32 bytes make a digest"),
            },
        }
    }

    /// The kind and the cost of the hash.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Bcrypt { cost, .. } => Scheme::Bcrypt { cost: *cost },
            Self::Argon2 { variant, params, .. } => Scheme::Argon2 {
                variant: *variant,
                memory_kib: params.m_cost(),
                iterations: params.t_cost(),
                parallelism: params.p_cost(),
            },
        }
    }

    /// Whether Vigie, set to `scheme`, would make such a hash today.
    pub(super) fn is_as_made_by(&self, scheme: Scheme) -> bool {
        let in_form = match self {
            Self::Bcrypt { .. } => false,
            Self::Argon2 { version, params, salt, digest, .. } => {
                let plain = params.data().is_empty() && params.keyid().is_empty();
                *version == Version::V0x13 && plain && salt.len() >= 16 && digest.len() >= Params::DEFAULT_OUTPUT_LEN
            }
        };
        in_form && self.scheme() == scheme
    }

    /// Computes the hash of `password` and compares. The time depends on the scheme alone.
    ///
    /// Fails only where the memory for it cannot be had.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, argon2::Error> {
        match self {
            Self::Bcrypt { text, .. } => Ok(bcrypt_matches(password, text)),
            Self::Argon2 { variant, version, params, salt, digest } => {
                let mut computed = [0; phc::Output::MAX_LENGTH];
                let computed = &mut computed[..digest.len()];
                argon2_into(&Argon2::new(*variant, *version, params.clone()), password, salt, computed)?;
                Ok(computed.ct_eq(digest.as_bytes()).into())
            }
        }
    }
}

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredHash({})", self.scheme())
    }
}

/// bcrypt stops at 72 bytes, and many implementations at a NUL: such a password matches nothing rather than by its
/// beginning. It is computed all the same, for the time.
fn bcrypt_matches(password: &[u8], text: &str) -> bool {
    let fits = password.len() <= BCRYPT_MAX_BYTES && !password.contains(&0);
    let compared = if fits { password } else { b"" };
    let matches = bcrypt::verify(compared, text).expect("the hash was read before: `StoredHash::parse`");
    fits & matches
}

thread_local! {
    /// The memory of this thread's last hash, kept for its next: to get it anew from the system each time costs a third of
    /// the hash. What it holds is overwritten from the first block on.
    static MEMORY: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// The most memory that a thread keeps, in blocks of 1 KiB; an imported hash may need more, which is given back.
const KEPT_BLOCKS: usize = 64 * 1024;

/// Computes a hash in the memory that the thread keeps. Fails where the memory cannot be had.
fn argon2_into(argon2: &Argon2<'_>, password: &[u8], salt: &[u8], out: &mut [u8]) -> Result<(), argon2::Error> {
    let needed = argon2.params().block_count();
    MEMORY.with_borrow_mut(|memory| {
        let missing = needed.saturating_sub(memory.len());
        memory.try_reserve_exact(missing).map_err(|_| argon2::Error::OutOfMemory)?;
        memory.resize(memory.len() + missing, Block::new());
        argon2.hash_password_into_with_memory(password, salt, out, &mut memory[..needed])?;
        if memory.len() > KEPT_BLOCKS {
            *memory = Vec::new();
        }
        Ok(())
    })
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Scheme, UnknownHash> {
        Scheme::of(&PasswordHash(text.to_owned()))
    }

    fn stored(text: &str) -> StoredHash {
        StoredHash::parse(&PasswordHash(text.to_owned())).unwrap()
    }

    const SALT_AND_DIGEST: &str = "c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";

    #[test]
    fn a_scheme_survives_its_text_form() {
        for text in ["bcrypt:4", "bcrypt:31", "argon2id:19456:2:1", "argon2i:64:1:8", "argon2d:4194304:100:1"] {
            assert_eq!(text.parse::<Scheme>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_scheme_that_is_spelt_otherwise_or_impossible_is_refused() {
        for text in ["", "bcrypt", "bcrypt:+10", "bcrypt:010", "bcrypt:3", "bcrypt:32", "bcrypt:10:1", "scrypt:1:2:3"] {
            assert_eq!(text.parse::<Scheme>(), Err(UnknownScheme), "{text}");
        }
        for text in ["argon2id:19456:2", "argon2id:8:1:2", "argon2id:64:0:1", "argon2id:64:1:0", "argon2id:9999:1:65"] {
            assert_eq!(text.parse::<Scheme>(), Err(UnknownScheme), "{text}");
        }
    }

    #[test]
    fn hashes_of_every_known_kind_have_a_scheme() {
        let made = bcrypt::hash("a password", 10).unwrap();
        assert!(made.starts_with("$2b$10$"));
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            assert_eq!(of(&format!("{prefix}{}", &made[4..])), Ok(Scheme::Bcrypt { cost: 10 }));
        }
        for variant in ["argon2id", "argon2i", "argon2d"] {
            let scheme = of(&format!("${variant}$v=19$m=65536,t=3,p=4${SALT_AND_DIGEST}")).unwrap();
            assert_eq!(scheme.to_string(), format!("{variant}:65536:3:4"));
        }
    }

    #[test]
    fn hashes_that_cannot_be_compared_are_refused_with_the_reason() {
        let made = bcrypt::hash("a password", 4).unwrap();
        for text in ["", "plain", "$1$abc$def", "{SSHA}abcdef", "$2x$10$abc", "$pbkdf2-sha256$i=1$abc$def"] {
            assert_eq!(of(text), Err(UnknownHash::Kind), "{text}");
        }
        for text in [&made[..59], "$2b$+4$", &made.replace("$04$", "$+4$"), &made.replace("$04$", "$03$"), "$2b$10$é"]
        {
            assert_eq!(of(text), Err(UnknownHash::Malformed("bcrypt")), "{text}");
        }
        let of_argon2 = |head: &str| of(&format!("{head}${SALT_AND_DIGEST}"));
        for head in ["$argon2id$v=18$m=64,t=1,p=1", "$argon2x$v=19$m=64,t=1,p=1", "$argon2id$v=19$m=64,t=0,p=1"] {
            assert_eq!(of_argon2(head), Err(UnknownHash::Malformed("argon2")), "{head}");
        }
        assert_eq!(of("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ"), Err(UnknownHash::Malformed("argon2")));
        assert_eq!(of("$argon2id"), Err(UnknownHash::Malformed("argon2")));
    }

    #[test]
    fn hashes_that_would_stall_the_server_are_refused() {
        let made = bcrypt::hash("a password", 4).unwrap();
        assert!(of(&made.replace("$04$", "$16$")).is_ok());
        assert!(matches!(of(&made.replace("$04$", "$17$")), Err(UnknownHash::TooCostly(_))));
        let of_argon2 = |cost: &str| of(&format!("$argon2id$v=19${cost},p=1${SALT_AND_DIGEST}"));
        assert!(of_argon2("m=1048576,t=4").is_ok());
        for cost in ["m=1048577,t=1", "m=1024,t=65", "m=1048576,t=5", "m=4294967295,t=4294967295"] {
            assert!(matches!(of_argon2(cost), Err(UnknownHash::TooCostly(_))), "{cost}");
        }
    }

    #[test]
    fn bcrypt_never_cuts_a_password() {
        let long = "x".repeat(72);
        let hash = stored(&bcrypt::hash(&long, 4).unwrap());
        assert_eq!(hash.matches(long.as_bytes()), Ok(true));
        assert_eq!(hash.matches(format!("{long}y").as_bytes()), Ok(false));
        let hash = stored(&bcrypt::hash("before", 4).unwrap());
        assert_eq!(hash.matches(b"before\0after"), Ok(false));
        let empty = stored(&bcrypt::hash("", 4).unwrap());
        assert_eq!(empty.matches(b"\0"), Ok(false));
        assert_eq!(empty.matches("x".repeat(73).as_bytes()), Ok(false));
    }

    #[test]
    fn an_argon2_hash_without_version_is_read_as_version_16() {
        let params = Params::new(64, 1, 1, Some(32)).unwrap();
        let mut digest = [0; 32];
        Argon2::new(Algorithm::Argon2i, Version::V0x10, params)
            .hash_password_into(b"old", b"somesaltsomesalt", &mut digest)
            .unwrap();
        let digest = phc::Output::new(&digest).unwrap();
        let hash = stored(&format!("$argon2i$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA${digest}"));
        assert_eq!(hash.matches(b"old"), Ok(true));
        assert_eq!(hash.matches(b"Old"), Ok(false));
    }

    #[test]
    fn a_dummy_is_a_valid_hash_of_its_scheme_and_never_the_same() {
        for text in ["bcrypt:4", "argon2id:64:1:1"] {
            let scheme: Scheme = text.parse().unwrap();
            assert_eq!(StoredHash::dummy(scheme).scheme(), scheme);
            assert_eq!(StoredHash::dummy(scheme).matches(b"anything"), Ok(false));
        }
        let texts: Vec<_> = (0..2)
            .map(|_| match StoredHash::dummy(Scheme::Bcrypt { cost: 4 }) {
                StoredHash::Bcrypt { text, .. } => text,
                StoredHash::Argon2 { .. } => unreachable!("a bcrypt scheme makes a bcrypt hash"),
            })
            .collect();
        assert_ne!(texts[0], texts[1]);
        assert_eq!(of(&texts[0]), Ok(Scheme::Bcrypt { cost: 4 }));
    }

    #[test]
    fn a_stored_hash_prints_only_its_scheme() {
        let hash = stored(&bcrypt::hash("a password", 4).unwrap());
        assert_eq!(format!("{hash:?}"), "StoredHash(bcrypt:4)");
    }
}
