//! The API token: read from a file, a systemd credential or a C caller's string, never from the command line; wiped
//! when it is dropped; printed by nothing.
//!
//! What it does not do: wipe the copies that live while a request is written (header map, socket buffer, TLS).

use crate::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest token. Kentik's have 32 characters.
const TOKEN_BYTES_MAX: usize = 1024;

/// The secret that proves who sends. Has neither `Display` nor any serialisation; `Debug` prints a placeholder.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// What to do with a token that every user of the machine may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposed {
    /// It is an error.
    Refuse,
    /// It is used, and the warning says so. For files that others make, as secrets of Kubernetes are.
    Warn,
}

/// A token's file is open to every user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWarning {
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
}

impl fmt::Display for TokenWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TokenWarning { path, mode } = self;
        write!(f, "every user of this machine may read the API token in {} (mode {mode:03o})", path.display())
    }
}

impl Token {
    /// Takes a token that a caller holds. White space around it is dropped, an end of line most of all.
    ///
    /// # Errors
    /// It is empty, longer than 1024 bytes, or has other characters than visible ones of ASCII.
    pub fn new(text: &str) -> Result<Token, Error> {
        let text = text.trim();
        let refuse = |what: &str| Err(Error::Token { what: what.into() });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > TOKEN_BYTES_MAX {
            return refuse("it is longer than 1024 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("it has blanks, control characters or others that are not ASCII");
        }
        Ok(Token(Zeroizing::new(text.to_owned())))
    }

    /// Reads it from a file.
    ///
    /// # Errors
    /// The file cannot be read, is open to every user (see [`Exposed`]) or holds no token.
    pub fn from_file(path: &Path, exposed: Exposed) -> Result<(Token, Option<TokenWarning>), Error> {
        let attempt = || format!("read the API token from {}", path.display());
        let file = File::open(path).map_err(|source| Error::io(attempt(), source))?;
        // Of the open file, which a rename cannot exchange any more.
        let mode = file.metadata().map_err(|source| Error::io(attempt(), source))?.mode() & 0o777;
        let open_to_all = mode & 0o004 != 0;
        if open_to_all && exposed == Exposed::Refuse {
            return Err(Error::TokenExposed { path: path.into(), mode });
        }
        // Room for all of it from the start: growth would leave copies behind.
        let room = 2 * TOKEN_BYTES_MAX;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
        file.take(room as u64).read_to_end(&mut bytes).map_err(|source| Error::io(attempt(), source))?;
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(Error::Token { what: format!("{} holds no text", path.display()) });
        };
        let token = Token::new(text).map_err(|error| match error {
            Error::Token { what } => Error::Token { what: format!("in {}: {what}", path.display()) },
            other => other,
        })?;
        Ok((token, open_to_all.then(|| TokenWarning { path: path.into(), mode })))
    }

    /// Reads it from the systemd credential of this name. `folder` is what `CREDENTIALS_DIRECTORY` holds.
    ///
    /// # Errors
    /// As [`Token::from_file`]; the name has to be one of a file.
    pub fn from_credential(folder: &Path, name: &str) -> Result<Token, Error> {
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(Error::Token { what: format!("{name:?} is no name of a credential") });
        }
        Token::from_file(&folder.join(name), Exposed::Refuse).map(|(token, _)| token)
    }

    /// The token itself, for the one header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A file of this mode that is gone with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn with(name: &str, mode: u32, bytes: &[u8]) -> Scratch {
            let folder = std::env::temp_dir().join(format!("kflow-token-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
            let scratch = Scratch(folder);
            std::fs::write(scratch.file(), bytes).unwrap();
            std::fs::set_permissions(scratch.file(), std::fs::Permissions::from_mode(mode)).unwrap();
            scratch
        }

        fn file(&self) -> PathBuf {
            self.0.join("token")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_token_is_read_without_the_end_of_its_line() {
        let scratch = Scratch::with("plain", 0o600, b"s3cret\r\n");
        let (token, warning) = Token::from_file(&scratch.file(), Exposed::Refuse).unwrap();
        assert_eq!((token.expose(), warning), ("s3cret", None));
        assert_eq!(Token::from_credential(&scratch.0, "token").unwrap().expose(), "s3cret");
    }

    #[test]
    fn a_file_that_all_may_read_is_refused_or_warned_about() {
        let scratch = Scratch::with("exposed", 0o644, b"s3cret");
        let error = Token::from_file(&scratch.file(), Exposed::Refuse).unwrap_err();
        assert!(matches!(error, Error::TokenExposed { mode: 0o644, .. }), "{error}");
        let (_, warning) = Token::from_file(&scratch.file(), Exposed::Warn).unwrap();
        assert!(warning.unwrap().to_string().contains("(mode 644)"));
    }

    #[test]
    fn a_group_may_read_a_token() {
        let scratch = Scratch::with("group", 0o640, b"s3cret");
        let (_, warning) = Token::from_file(&scratch.file(), Exposed::Refuse).unwrap();
        assert_eq!(warning, None);
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_being_shown() {
        for text in ["", " \n", "s3cret s3cret", "s3cret\u{7}", "s3crét", "s3\ncret", &"s3cret".repeat(200)]
        {
            let error = Token::new(text).unwrap_err().to_string();
            assert!(!error.contains("s3c"), "{error}");
        }
        let scratch = Scratch::with("binary", 0o600, b"s3cret\xff\xfe");
        let error = Token::from_file(&scratch.file(), Exposed::Refuse).unwrap_err().to_string();
        assert!(error.ends_with("token holds no text"), "{error}");
        let scratch = Scratch::with("long", 0o600, &[b'a'; 5000]);
        let error = Token::from_file(&scratch.file(), Exposed::Refuse).unwrap_err().to_string();
        assert!(error.contains("1024"), "{error}");
    }

    #[test]
    fn a_credential_does_not_lead_out_of_its_folder() {
        for name in ["", ".", "..", "../token", "/etc/passwd"] {
            assert!(Token::from_credential(Path::new("/nonexistent"), name).is_err(), "{name}");
        }
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert_eq!(format!("{:?}", Token::new("s3cret").unwrap()), "Token(…)");
    }
}
