//! Reads a password: from the terminal without showing it, or from the standard input. Never from an argument, which
//! every user of the machine can see.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::outcome::{Failure, Outcome};

/// More than any password may have, in bytes; what follows is refused.
const MAX_LENGTH: u64 = 4096;

/// Whether somebody can be asked.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// The first line of the standard input.
pub(super) fn from_stdin() -> Outcome<SecretString> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    io::stdin().lock().take(MAX_LENGTH).read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| Failure::saying("the password is not UTF-8"))?;
    if text.is_empty() {
        return Err(Failure::saying("there is no password on the standard input"));
    }
    Ok(SecretString::from(text.to_owned()))
}

/// Asks on the terminal, twice; `None` where nothing is typed.
pub(super) fn ask(prompt: &str) -> Outcome<Option<SecretString>> {
    let first = SecretString::from(rpassword::prompt_password(prompt)?);
    if first.expose_secret().is_empty() {
        return Ok(None);
    }
    let again = SecretString::from(rpassword::prompt_password("Once more: ")?);
    if first.expose_secret() != again.expose_secret() {
        return Err(Failure::saying("the two passwords differ"));
    }
    Ok(Some(first))
}
