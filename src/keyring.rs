//! The keyring: the keys of an installation, one for each use. They are kept in the database, all encrypted as one value with
//! the master key: none can be taken out, put in another's place or brought in from elsewhere. The master key can be
//! exchanged for another one, and the keys stay.
//!
//! What a key was used for may have to be verified when a newer one has taken its place. So each says from which size of
//! the record chain on it counts, and those before it are kept where that is so ([`Keyring::succeed`]).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::key::{CannotDecrypt, Key, LENGTH};
use crate::master_key::MasterKey;
use crate::model::words::words;

words! {
    /// The use of a key: each use has a key of its own.
    pub enum KeyPurpose {
        /// Signs checkpoints of the record chain.
        Checkpoint = "checkpoint",
        /// Links the records of the chain.
        Link = "link",
        /// Shows that the server itself recorded that something was removed from the history.
        Removal = "removal",
        /// Derives refresh tokens.
        RefreshToken = "refresh_token",
        /// Derives the tokens by which users report logins.
        ReportLink = "not_me",
        /// Masks names that nobody has.
        UnknownName = "unknown_name",
        /// Failures counted for an account.
        ThrottleAccount = "throttle_account",
        /// Failures counted for an account, by a known device.
        ThrottleKnownDevice = "throttle_known_device",
        /// Failures counted for an address.
        ThrottleAddress = "throttle_address",
        /// Failures counted for a network.
        ThrottleNetwork = "throttle_network",
        /// Failures counted for the whole server.
        ThrottleOverall = "throttle_overall",
        /// Encrypts what is kept encrypted in the database: private signing keys, names of those who are being erased.
        Encryption = "seal",
    }
}

/// The keys of an installation.
#[derive(Debug)]
pub struct Keyring {
    /// In the order of their purposes, and of their numbers.
    keys: Vec<NumberedKey>,
}

/// A key of a keyring, with its number among those of the same purpose.
#[derive(Debug, Clone)]
struct NumberedKey {
    purpose: KeyPurpose,
    /// From 1, for each purpose.
    number: u32,
    /// From which size of the record chain on it counts.
    from: u64,
    key: Key,
}

/// A key that a newer one has replaced.
#[derive(Debug, Clone)]
pub struct EarlierKey {
    /// The key that was replaced.
    pub key: Key,
    /// At which size of the record chain the next began to count.
    pub until: u64,
}

impl Keyring {
    /// The keys that were derived from the master key before there was a keyring: what was made with them stays good.
    #[must_use]
    pub fn derived(master: &MasterKey, database: &str) -> Self {
        let derived = |purpose| match purpose {
            KeyPurpose::Checkpoint => of_database(master, "checkpoint key", database),
            KeyPurpose::Link => of_database(master, "link key", database),
            KeyPurpose::Removal => of_database(master, "warrant key", database),
            KeyPurpose::RefreshToken => master.derive("digest", "refresh token"),
            KeyPurpose::ReportLink => master.derive("digest", "not me"),
            KeyPurpose::UnknownName => master.derive("digest", "unknown name"),
            KeyPurpose::ThrottleAccount => master.derive("digest", "throttle account"),
            KeyPurpose::ThrottleKnownDevice => master.derive("digest", "throttle known_device"),
            KeyPurpose::ThrottleAddress => master.derive("digest", "throttle address"),
            KeyPurpose::ThrottleNetwork => master.derive("digest", "throttle network"),
            KeyPurpose::ThrottleOverall => master.derive("digest", "throttle overall"),
            KeyPurpose::Encryption => master.derive("seal", ""),
        };
        let first =
            |purpose: &KeyPurpose| NumberedKey { purpose: *purpose, number: 1, from: 0, key: derived(*purpose) };
        Self { keys: KeyPurpose::ALL.iter().map(first).collect() }
    }

    /// The key that is used now.
    ///
    /// # Panics
    /// Never: there is one for each purpose, from the beginning on.
    #[must_use]
    pub fn key(&self, purpose: KeyPurpose) -> &Key {
        &self.newest(purpose).expect("each purpose has a key").key
    }

    /// From which size of the record chain on the newest key counts, and its number.
    #[must_use]
    pub fn begins(&self, purpose: KeyPurpose) -> u64 {
        self.newest(purpose).map_or(0, |newest| newest.from)
    }

    /// The keys that came before, the oldest first.
    #[must_use]
    pub fn earlier(&self, purpose: KeyPurpose) -> Vec<EarlierKey> {
        let of_purpose: Vec<&NumberedKey> = self.keys.iter().filter(|key| key.purpose == purpose).collect();
        of_purpose.windows(2).map(|pair| EarlierKey { key: pair[0].key.clone(), until: pair[1].from }).collect()
    }

    /// A new key takes the place of all before.
    pub fn replace(&mut self, purpose: KeyPurpose) {
        let number = self.newest(purpose).map_or(1, |newest| newest.number + 1);
        self.keys.retain(|key| key.purpose != purpose);
        self.add(NumberedKey { purpose, number, from: 0, key: Key::random() });
    }

    /// A new key counts from this size of the record chain on; those before are kept for what they made until then.
    pub fn succeed(&mut self, purpose: KeyPurpose, from: u64) {
        let number = self.newest(purpose).map_or(1, |newest| newest.number + 1);
        self.add(NumberedKey { purpose, number, from, key: Key::random() });
    }

    /// All keys, encrypted with the master key as the keyring of this number of this database.
    #[must_use]
    pub fn encrypt(&self, master: &MasterKey, database: &str, number: i64) -> Vec<u8> {
        encryption_key(master).encrypt(&context(database, number), self.to_text().as_bytes())
    }

    /// Reads what [`Keyring::encrypt`] has written with the same master key, for the same database and number.
    pub fn decrypt(master: &MasterKey, database: &str, number: i64, encrypted: &[u8]) -> Result<Self, CannotDecrypt> {
        let text = encryption_key(master).decrypt(&context(database, number), encrypted)?;
        std::str::from_utf8(&text).ok().and_then(Self::of_text).ok_or(CannotDecrypt)
    }

    fn newest(&self, purpose: KeyPurpose) -> Option<&NumberedKey> {
        self.keys.iter().rfind(|key| key.purpose == purpose)
    }

    fn add(&mut self, key: NumberedKey) {
        self.keys.push(key);
        self.keys.sort_by_key(|key| (key.purpose, key.number));
    }

    /// A line for each: purpose, number, where it counts from, key.
    fn to_text(&self) -> Zeroizing<String> {
        // With room from the start: moving the text would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(self.keys.len() * LONGEST_LINE));
        for NumberedKey { purpose, number, from, key } in &self.keys {
            // Nothing is kept from being written to a text.
            let _ = write!(text, "{purpose} {number} {from} ");
            STANDARD.encode_string(key.bytes(), &mut text);
            text.push('\n');
        }
        text
    }

    fn of_text(text: &str) -> Option<Self> {
        let keys = text.lines().map(NumberedKey::of_line).collect::<Option<Vec<_>>>()?;
        let keyring = Self { keys };
        KeyPurpose::ALL.iter().all(|purpose| keyring.newest(*purpose).is_some()).then_some(keyring)
    }
}

/// The longest purpose, two numbers, a key in base64 and what is between them, in bytes.
const LONGEST_LINE: usize = 128;

impl NumberedKey {
    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let purpose = words.next()?.parse().ok()?;
        let (number, from) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        // Decoding wants some bytes more than it fills.
        let mut bytes = Zeroizing::new([0; LENGTH + 4]);
        let length = STANDARD.decode_slice(words.next()?, &mut *bytes).ok().filter(|length| *length == LENGTH)?;
        let key = Zeroizing::new(<[u8; LENGTH]>::try_from(&bytes[..length]).ok()?);
        Some(Self { purpose, number, from, key: Key::from_bytes(*key) })
    }
}

/// A key as it was derived for the history with this name.
fn of_database(master: &MasterKey, purpose: &str, database: &str) -> Key {
    let bytes = Zeroizing::new(master.derive("digest", purpose).digest(database.as_bytes()));
    Key::from_bytes(*bytes)
}

fn encryption_key(master: &MasterKey) -> Key {
    master.derive("keyring", "")
}

fn context(database: &str, number: i64) -> String {
    format!("keyring {number} of {database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    #[test]
    fn a_keyring_is_opened_by_its_master_key_for_its_database_and_number_alone() {
        let keyring = Keyring::derived(&master(1), "one");
        let encrypted = keyring.encrypt(&master(1), "one", 1);
        let opened = Keyring::decrypt(&master(1), "one", 1, &encrypted).unwrap();
        for purpose in KeyPurpose::ALL {
            assert_eq!(opened.key(*purpose).bytes(), keyring.key(*purpose).bytes(), "{purpose}");
        }
        assert_eq!(Keyring::decrypt(&master(2), "one", 1, &encrypted).unwrap_err(), CannotDecrypt);
        assert_eq!(Keyring::decrypt(&master(1), "two", 1, &encrypted).unwrap_err(), CannotDecrypt);
        assert_eq!(Keyring::decrypt(&master(1), "one", 2, &encrypted).unwrap_err(), CannotDecrypt);
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let keyring = Keyring::derived(&master(1), "one");
        let keys: std::collections::HashSet<_> = KeyPurpose::ALL.iter().map(|one| *keyring.key(*one).bytes()).collect();
        assert_eq!(keys.len(), KeyPurpose::ALL.len());
    }

    #[test]
    fn a_keyring_that_lacks_a_purpose_is_refused() {
        let text = Keyring::derived(&master(1), "one").to_text();
        assert!(Keyring::of_text(&text).is_some());
        for (place, line) in text.lines().enumerate() {
            let rest: Vec<&str> = text.lines().filter(|other| *other != line).collect();
            assert!(Keyring::of_text(&rest.join("\n")).is_none(), "{place}");
        }
        for bad in ["seal 1 0", "seal 1 0 AAAA", "seal x 0 AAAA", "nothing 1 0 AAAA", ""] {
            assert!(NumberedKey::of_line(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_that_succeeds_another_leaves_it_for_what_it_made() {
        let mut keyring = Keyring::derived(&master(1), "one");
        let first = *keyring.key(KeyPurpose::Checkpoint).bytes();
        keyring.succeed(KeyPurpose::Checkpoint, 12);
        keyring.succeed(KeyPurpose::Checkpoint, 30);
        keyring.replace(KeyPurpose::RefreshToken);
        let encrypted = keyring.encrypt(&master(1), "one", 1);
        let keyring = Keyring::decrypt(&master(1), "one", 1, &encrypted).unwrap();
        assert_ne!(keyring.key(KeyPurpose::Checkpoint).bytes(), &first);
        assert_eq!(keyring.begins(KeyPurpose::Checkpoint), 30);
        let earlier = keyring.earlier(KeyPurpose::Checkpoint);
        assert_eq!(earlier.iter().map(|earlier| earlier.until).collect::<Vec<_>>(), [12, 30]);
        assert_eq!(earlier[0].key.bytes(), &first);
        assert!(keyring.earlier(KeyPurpose::RefreshToken).is_empty());
    }

    #[test]
    fn key_01_a_keyring_prints_nothing_of_its_keys() {
        let printed = format!("{:?}", Keyring::derived(&master(1), "one"));
        assert!(printed.contains("key: Key }") && !printed.contains('='), "{printed}");
    }
}
