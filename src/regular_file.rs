//! Files of settings that are read as a whole: regular ones alone. A pipe waits for somebody who writes, and a device may never end.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

/// Opens a regular file, also by a link, as mounts have them. Anything else is refused before it is opened, and looked at again
/// when it is open: it may have been exchanged.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    refuse_special(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    refuse_special(&metadata)?;
    Ok((file, metadata))
}

/// Whether something else is there. What is not there, or cannot be looked at, need not be one: it may be made or mounted later.
pub(crate) fn is_something_else(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

fn refuse_special(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() { Ok(()) } else { Err(io::Error::other("it is not a regular file")) }
}
