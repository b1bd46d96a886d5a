//! The master key: 32 bytes that never enter the database, read from a file or the environment. It opens the keyring
//! (`keyring.rs`), which holds every other key, so that a dump of the database signs, decrypts and derives nothing.

use std::fs::DirBuilder;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::config::{Config, shown_file};
use crate::key::{Key, LENGTH};
use crate::regular_file;
use crate::whole_file;

/// More than any spelling of the key needs, in bytes; what follows in the file is not read.
const MAX_FILE_LENGTH: usize = 1024;

/// 32 bytes that encrypt the keyring. `Debug` shows nothing of them.
pub struct MasterKey(Key);

/// Names a master key: the beginning of a digest under a key derived from it, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterKeyId(pub String);

impl std::fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// There is no usable master key. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file is not there.
    #[error(
        "there is no master key at {}: put the file back from your backup, or copy it from another node; \
         only a new installation may make a new one",
        shown_file(path)
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others than the owner may read or write the file (KEY-01).
    #[error("the master key is open to others (mode {mode:03o}): run `chmod 600 {}`", path.display())]
    Readable {
        /// The path of the file.
        path: PathBuf,
        /// The permission bits of the file, as `chmod` takes them.
        mode: u32,
    },
    /// The system does not let us read the file.
    #[error("the master key {} cannot be read: {source}; check the file and who owns it", shown_file(path))]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was found is not 32 bytes in base64.
    #[error("{origin} is not a master key: it must be 32 bytes in base64 (`openssl rand -base64 32` makes one)")]
    Malformed {
        /// The file, or the key of the configuration.
        origin: String,
    },
    /// A file is there already; it is never overwritten.
    #[error("{} exists already and is kept: start again to use it, or move it away first", path.display())]
    Exists {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("the master key {} cannot be made: {source}; check that the directory is writable", shown_file(path))]
    CannotCreate {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl MasterKey {
    /// Reads the key from `[keys] master_key`, or else from its file.
    pub fn load(config: &Config) -> Result<Self, MasterKeyError> {
        let given = config.keys.master_key.expose_secret();
        if given.is_empty() {
            return Self::read(&config.master_key_path());
        }
        decode(given).ok_or_else(|| MasterKeyError::Malformed { origin: "keys.master_key".to_owned() })
    }

    /// Makes a new key and its file (mode 0600), which must not be there yet. It is on the disk when this returns.
    pub fn create(config: &Config) -> Result<Self, MasterKeyError> {
        Self::create_at(&config.master_key_path())
    }

    /// Makes a new master key in this file, which must not exist yet.
    pub fn create_at(path: &Path) -> Result<Self, MasterKeyError> {
        let (key, path) = (Self::random(), path.to_owned());
        match write_new(&path, &key.to_text()) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(MasterKeyError::Exists { path }),
            Err(source) => Err(MasterKeyError::CannotCreate { path, source }),
        }
    }

    /// A new key that is kept nowhere.
    ///
    /// # Panics
    /// If the system has no random source: nothing safe can be done then.
    #[must_use]
    pub fn random() -> Self {
        Self(Key::random())
    }

    /// The key made of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Key::from_bytes(bytes))
    }

    /// Names the key without telling anything of it.
    ///
    /// # Panics
    /// Never: there are 32 bytes.
    #[must_use]
    pub fn id(&self) -> MasterKeyId {
        let digest = self.derive("id", "").digest(b"");
        let beginning = digest[..8].try_into().expect("there are 32 bytes");
        MasterKeyId(format!("{:016x}", u64::from_be_bytes(beginning)))
    }

    /// A key for one use, by HKDF-SHA256 (RFC 5869): the uses cannot be played against each other.
    ///
    /// # Panics
    /// Never: so many bytes can be had.
    #[must_use]
    pub fn derive(&self, usage: &str, purpose: &str) -> Key {
        let mut derived = Zeroizing::new([0; LENGTH]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"vigie master key")
            .extract(self.0.bytes())
            .expand(&[usage.as_bytes(), b"\0", purpose.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut *derived))
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        Key::from_bytes(*derived)
    }

    /// Reads the key from this file. Checks the very file it then reads, so that nobody can exchange it in between.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let unreadable = |source| MasterKeyError::Unreadable { path: path.to_owned(), source };
        let (file, metadata) = regular_file::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => MasterKeyError::Missing { path: path.to_owned() },
            _ => unreadable(source),
        })?;
        let mode = metadata.mode() & 0o777;
        if is_open_to_others(mode, metadata.uid()) {
            return Err(MasterKeyError::Readable { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE_LENGTH));
        file.take(MAX_FILE_LENGTH as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(decode)
            .ok_or_else(|| MasterKeyError::Malformed { origin: path.display().to_string() })
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(STANDARD.encode(self.0.bytes()));
        text.push('\n');
        text
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Reads 32 bytes of base64, standard or url-safe, padded or not, with white space around.
fn decode(text: &str) -> Option<MasterKey> {
    const EITHER_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const ENGINES: [GeneralPurpose; 2] = [
        GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING),
        GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING),
    ];
    let bytes = ENGINES.iter().find_map(|engine| engine.decode(text.trim()).ok().map(Zeroizing::new))?;
    bytes.as_slice().try_into().ok().map(MasterKey::from_bytes)
}

/// A secret that an operator has put into a file, without the end of its line. A file that others can read is refused.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let told = |error: io::Error| error.to_string();
    let (mut file, metadata) = regular_file::open(path).map_err(told)?;
    if is_open_to_others(metadata.mode(), metadata.uid()) {
        return Err("open to others: run `chmod 600` on it".to_owned());
    }
    let mut secret = Zeroizing::new(Vec::new());
    file.read_to_end(&mut secret).map_err(told)?;
    let text = secret.strip_suffix(b"\n").unwrap_or(&secret);
    let length = text.strip_suffix(b"\r").unwrap_or(text).len();
    secret.truncate(length);
    Ok(secret)
}

/// Whether others than who reads a secret may use its file. As PostgreSQL has it, its owner decides, whoever reads: 0640
/// at most where it is root's, who mounts secrets for a group, and 0600 at most where it is another's.
const fn is_open_to_others(mode: u32, owner: u32) -> bool {
    mode & (if owner == 0 { 0o037 } else { 0o077 }) != 0
}

/// Writes a file that is not there yet, for its owner alone, and its directory: half a key would stop the next start.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(whole_file::directory_of(path))?;
    whole_file::create(path, text.as_bytes(), whole_file::PRIVATE)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use tempfile::TempDir;

    use super::*;

    fn config(directory: &Path, more: &[(&str, &str)]) -> Config {
        let directory = directory.to_str().unwrap().to_owned();
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, more.chain([("VIGIE__DATA__DIR".to_owned(), directory)])).unwrap()
    }

    fn key_file(text: &[u8], mode: u32) -> (TempDir, Config) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let config = config(directory.path(), &[]);
        (directory, config)
    }

    fn text() -> String {
        STANDARD.encode([7; 32])
    }

    #[test]
    fn a_key_that_was_made_is_found_again_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&directory.path().join("new").join("data"), &[]);
        assert!(matches!(MasterKey::load(&config), Err(MasterKeyError::Missing { .. })));
        let made = MasterKey::create(&config).unwrap();
        assert_eq!(MasterKey::load(&config).unwrap().0.bytes(), made.0.bytes());

        let path = config.master_key_path();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", STANDARD.encode(made.0.bytes())));
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let (_directory, config) = key_file(text().as_bytes(), 0o600);
        assert!(matches!(MasterKey::create(&config), Err(MasterKeyError::Exists { .. })));
        assert_eq!(MasterKey::load(&config).unwrap().0.bytes(), &[7; 32]);
    }

    #[test]
    fn key_01_a_key_that_others_can_read_is_refused_and_the_message_says_what_to_do() {
        for mode in [0o604, 0o644, 0o660, 0o666, 0o601, 0o620, 0o650] {
            let (_directory, config) = key_file(text().as_bytes(), mode);
            let error = MasterKey::load(&config).unwrap_err();
            assert!(matches!(error, MasterKeyError::Readable { mode: found, .. } if found == mode), "{error}");
            let advice = format!("chmod 600 {}", config.master_key_path().display());
            assert!(error.to_string().contains(&advice), "{error}");
        }
        for mode in [0o600, 0o400] {
            let (_directory, config) = key_file(text().as_bytes(), mode);
            assert!(MasterKey::load(&config).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn key_02_what_is_not_32_bytes_is_refused() {
        let texts = ["", "\n", "AAAA", "not base64!", &STANDARD.encode([7; 31]), &STANDARD.encode([7; 33])];
        for text in texts.map(str::as_bytes).into_iter().chain([[0xff; 43].as_slice(), &[b'A'; 5000]]) {
            let (_directory, config) = key_file(text, 0o600);
            assert!(matches!(MasterKey::load(&config), Err(MasterKeyError::Malformed { .. })), "{text:?}");
        }
    }

    #[test]
    fn the_key_may_be_given_in_any_usual_spelling_of_base64() {
        let bytes = [0xfb; 32];
        let spellings = [
            STANDARD.encode(bytes),
            STANDARD_NO_PAD.encode(bytes),
            URL_SAFE.encode(bytes),
            URL_SAFE_NO_PAD.encode(bytes),
        ];
        for spelling in spellings {
            let (_directory, config) = key_file(format!("  {spelling}\r\n").as_bytes(), 0o600);
            assert_eq!(MasterKey::load(&config).unwrap().0.bytes(), &bytes, "{spelling}");
        }
    }

    #[test]
    fn the_key_of_the_environment_wins_over_the_file() {
        let (directory, _) = key_file(text().as_bytes(), 0o600);
        let given = STANDARD.encode([9; 32]);
        let with_key = config(directory.path(), &[("VIGIE__KEYS__MASTER_KEY", &given)]);
        assert_eq!(MasterKey::load(&with_key).unwrap().0.bytes(), &[9; 32]);
        let with_fault = config(directory.path(), &[("VIGIE__KEYS__MASTER_KEY", "short")]);
        let error = MasterKey::load(&with_fault).unwrap_err();
        assert!(error.to_string().starts_with("keys.master_key is not a master key"), "{error}");
    }

    #[test]
    fn a_directory_in_its_place_is_an_error_and_no_missing_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        let config = config(directory.path(), &[]);
        assert!(matches!(MasterKey::load(&config), Err(MasterKeyError::Unreadable { .. })));
    }

    #[test]
    fn keys_for_uses_are_repeatable_and_differ_by_master_key_usage_and_purpose() {
        let derived = |bytes, usage, purpose| *MasterKey::from_bytes(bytes).derive(usage, purpose).bytes();
        let one = derived([1; 32], "digest", "username");
        assert_eq!(derived([1; 32], "digest", "username"), one);
        for other in [
            derived([2; 32], "digest", "username"),
            derived([1; 32], "seal", "username"),
            derived([1; 32], "digest", "address"),
            derived([1; 32], "digestu", "sername"),
        ] {
            assert_ne!(other, one);
        }
    }

    #[test]
    fn a_master_key_is_named_by_16_digits_that_are_its_own() {
        let id = MasterKey::from_bytes([1; 32]).id();
        assert!(id.0.len() == 16 && id.0.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(MasterKey::from_bytes([1; 32]).id(), id);
        assert_ne!(MasterKey::from_bytes([2; 32]).id(), id);
    }

    #[test]
    fn key_01_a_master_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", MasterKey::random()), "MasterKey");
    }

    #[test]
    fn a_secret_that_root_mounts_for_a_group_is_taken_whoever_reads_it() {
        for (mode, owner, is_open) in [
            (0o600, 1000, false),
            (0o640, 1000, true),
            (0o440, 1000, true),
            (0o400, 0, false),
            (0o440, 0, false),
            (0o640, 0, false),
            (0o660, 0, true),
            (0o650, 0, true),
            (0o444, 0, true),
        ] {
            assert_eq!(is_open_to_others(mode, owner), is_open, "{mode:03o} {owner}");
        }
        // The files of a test belong to whoever runs it.
        let is_root = rustix::process::geteuid().as_raw() == 0;
        for mode in [0o440, 0o640] {
            let (_directory, config) = key_file(text().as_bytes(), mode);
            assert_eq!(MasterKey::load(&config).is_ok(), is_root, "{mode:03o}");
            assert_eq!(read_secret(&config.master_key_path()).is_ok(), is_root, "{mode:03o}");
        }
    }

    /// What comes of reading both kinds of secrets from this file, in time.
    fn refusals(path: &Path) -> (String, String) {
        let ((told, heard), path) = (mpsc::channel(), path.to_owned());
        std::thread::spawn(move || {
            let (key, secret) = (MasterKey::read(&path).unwrap_err(), read_secret(&path).unwrap_err());
            told.send((key.to_string(), secret)).unwrap();
        });
        heard.recv_timeout(Duration::from_secs(10)).expect("nobody waits for it")
    }

    #[test]
    fn a_secret_in_anything_but_a_regular_file_is_refused_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let [pipe, socket, folder, link] = ["pipe", "socket", "folder", "link"].map(|name| directory.path().join(name));
        assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
        let _listener = UnixListener::bind(&socket).unwrap();
        DirBuilder::new().mode(0o700).create(&folder).unwrap();
        symlink(&pipe, &link).unwrap();
        for path in [pipe.as_path(), &socket, &folder, &link, Path::new("/dev/null")] {
            let (key, secret) = refusals(path);
            let shown = path.display();
            assert_eq!(secret, "it is not a regular file", "{shown}");
            assert!(key.contains("cannot be read: it is not a regular file"), "{shown}: {key}");
        }
    }

    /// As Kubernetes mounts a secret.
    #[test]
    fn a_secret_behind_links_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        DirBuilder::new().mode(0o700).create(at("..2026")).unwrap();
        fs::write(at("..2026/master.key"), text()).unwrap();
        fs::set_permissions(at("..2026/master.key"), Permissions::from_mode(0o400)).unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/master.key", at("master.key")).unwrap();
        assert_eq!(MasterKey::read(&at("master.key")).unwrap().0.bytes(), &[7; 32]);
        assert_eq!(read_secret(&at("master.key")).unwrap().as_slice(), text().as_bytes());
        symlink("..nowhere", at("dangling")).unwrap();
        assert!(matches!(MasterKey::read(&at("dangling")), Err(MasterKeyError::Missing { .. })));
    }
}
