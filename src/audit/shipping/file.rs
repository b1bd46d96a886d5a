//! A file with one event a line, which is put aside when it is full. Own code, as the libraries for this never wait for the
//! disk: the cursor would move over lines that a power cut takes back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::SinkError;
use super::shipment::Item;
use crate::config;
use crate::whole_file::{directory_of, sync_directory_of};

const MIB: u64 = 1024 * 1024;

/// A file and those that were put aside: `NAME.1` is the newest of these.
#[derive(Debug, Clone)]
pub(super) struct EventFile {
    path: PathBuf,
    most_bytes: u64,
    keep: u32,
}

impl EventFile {
    /// The configured file; it need not be there yet.
    pub(super) fn new(config: &config::FileSink) -> Self {
        Self { path: config.path.clone(), most_bytes: u64::from(config.max_mib) * MIB, keep: config.keep }
    }

    /// Whether it could be written, which changes nothing: where it is not there yet, by a file that never has a name.
    pub(super) fn probe(&self) -> Result<(), String> {
        let tried = if self.path.exists() {
            self.require_events().and_then(|()| OpenOptions::new().append(true).open(&self.path).map(drop))
        } else {
            tempfile::tempfile_in(directory_of(&self.path)).map(drop)
        };
        tried.map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// Appends items; `Ok` when they are on the disk.
    pub(super) async fn take(&self, items: &[Item]) -> Result<(), SinkError> {
        let lines: String = items.iter().flat_map(|item| [&item.json, "\n"]).collect();
        let file = self.clone();
        let append = move || file.require_events().and_then(|()| file.append(lines.as_bytes()));
        let appended = tokio::task::spawn_blocking(append);
        let failed = |reason: &dyn std::fmt::Display| SinkError(format!("{}: {reason}", self.path.display()));
        appended.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// Refuses a file that begins with anything but an event: whoever names the master key or the database by mistake loses
    /// neither.
    fn require_events(&self) -> io::Result<()> {
        if !self.path.is_file() {
            return Ok(());
        }
        let mut first = Vec::new();
        File::open(&self.path)?.take(1).read_to_end(&mut first)?;
        match first[..] {
            [] | [b'{'] => Ok(()),
            _ => Err(io::Error::other("there is something else than events in it; name another file")),
        }
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let mut length = cut_half_line(&mut file)?;
        if length > 0 && length + lines.len() as u64 > self.most_bytes {
            self.put_aside()?;
            file = self.open()?;
            length = 0;
        }
        let written = file.write_all(lines).and_then(|()| file.sync_data());
        if written.is_err() {
            // They are sent again whole. Should this fail too, the next opening cuts what is left of the last.
            let _still_there = file.set_len(length);
        }
        written
    }

    /// Opens the file each time: somebody else may have put it aside.
    fn open(&self) -> io::Result<File> {
        let is_new = !self.path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        if is_new {
            sync_directory_of(&self.path)?;
        }
        Ok(file)
    }

    /// Moves every file one number up; what would be beyond the last goes.
    fn put_aside(&self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            rename(&self.numbered(number), &self.numbered(number + 1))?;
        }
        match self.keep {
            0 => std::fs::remove_file(&self.path)?,
            _ => rename(&self.path, &self.numbered(1))?,
        }
        sync_directory_of(&self.path)
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// A file that is not there need not move.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

/// Removes a line without an end, which a crash has left, and which is sent again; the length that remains.
fn cut_half_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let (mut end, mut block) = (length, Vec::new());
    while end > 0 {
        let start = end.saturating_sub(8 * 1024);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        io::Read::by_ref(file).take(end - start).read_to_end(&mut block)?;
        if let Some(place) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + place as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::fs::{read_to_string, write};

    use super::*;

    fn file(directory: &tempfile::TempDir, most_bytes: u64, keep: u32) -> EventFile {
        EventFile { path: directory.path().join("events.ndjson"), most_bytes, keep }
    }

    fn contents(file: &EventFile) -> Vec<String> {
        let aside = (1..9).map(|number| file.numbered(number));
        std::iter::once(file.path.clone()).chain(aside).map_while(|path| read_to_string(path).ok()).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(&directory, 8, 2);
        for lines in ["one\n", "two\n", "three\n", "a line that is too long\n", "five\n", "six\n"] {
            file.append(lines.as_bytes()).unwrap();
        }
        assert_eq!(contents(&file), ["six\n", "five\n", "a line that is too long\n"]);
    }

    #[test]
    fn with_none_to_keep_a_full_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(&directory, 4, 0);
        file.append(b"one\n").unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(contents(&file), ["two\n"]);
    }

    #[test]
    fn half_a_line_that_a_crash_left_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(&directory, MIB, 1);
        for (left, kept) in [
            ("", ""),
            ("{\"half", ""),
            ("one\n", "one\n"),
            ("one\n{\"half", "one\n"),
            (&format!("one\n{}", "x".repeat(20_000)), "one\n"),
            (&format!("{}\n{}", "y".repeat(20_000), "x".repeat(9_000)), &format!("{}\n", "y".repeat(20_000))),
        ] {
            write(&file.path, left).unwrap();
            file.append(b"next\n").unwrap();
            assert_eq!(contents(&file), [format!("{kept}next\n")]);
        }
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(&directory, MIB, 1);
        let item = || Item {
            kind: "x",
            at: chrono::DateTime::UNIX_EPOCH,
            severity: (1, "Informational"),
            json: "{}".to_owned(),
        };
        for left in ["c2VjcmV0", "SQLite format 3\0", "vigie\n1\n", "[]\n", "\n"] {
            write(&file.path, left).unwrap();
            let refused = file.take(&[item()]).await.unwrap_err().to_string();
            assert!(refused.contains("something else than events"), "{refused}");
            assert!(file.probe().unwrap_err().contains("something else than events"));
            assert_eq!(contents(&file), [left]);
        }
        for left in ["", "{\"one\":1}\n"] {
            write(&file.path, left).unwrap();
            file.probe().unwrap();
            file.take(&[item()]).await.unwrap();
            assert_eq!(contents(&file), [format!("{left}{{}}\n")]);
        }
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let file = file(&directory, MIB, 1);
        file.append(b"one\n").unwrap();
        assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
