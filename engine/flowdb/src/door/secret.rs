//! Tokens: read from files, wiped when dropped, printed by nothing, compared in constant time.

use crate::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// A token that those who knock have to show.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

const SECRET_BYTES_MAX: usize = 1024;

impl Secret {
    /// White space around it is dropped, an end of line most of all.
    ///
    /// Errors: it is empty, longer than 1024 bytes, or has other characters than visible ones of ASCII.
    pub fn new(text: &str) -> Result<Secret, Error> {
        let text = text.trim();
        if text.is_empty() || text.len() > SECRET_BYTES_MAX {
            return Err(Error::Config(format!("a token has 1 to {SECRET_BYTES_MAX} characters")));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Config("a token has visible characters of ASCII only".to_owned()));
        }
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }

    /// Reads a file that holds a token and nothing else.
    ///
    /// Errors: as [`Secret::new`]; the file cannot be read, or every user of the machine can read it.
    pub fn read(path: &Path) -> Result<Secret, Error> {
        let failed = |error: std::io::Error| Error::Config(format!("token in {}: {error}", path.display()));
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o004 != 0 {
            return Err(Error::Config(format!(
                "token in {}: every user may read it (mode {mode:03o}); chmod o-r",
                path.display()
            )));
        }
        // Room for all of it from the start: growth would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_BYTES_MAX + 1));
        file.take(2 * SECRET_BYTES_MAX as u64).read_to_string(&mut text).map_err(failed)?;
        Secret::new(&text).map_err(|error| Error::Config(format!("token in {}: {error}", path.display())))
    }

    /// Whether `shown` is this token. How long that takes does not depend on where they differ.
    pub fn is(&self, shown: &[u8]) -> Choice {
        self.0.as_bytes().ct_eq(shown)
    }

    /// The token itself, for the password of PostgreSQL's handshake and the header of a request.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_itself_and_no_other() {
        let secret = Secret::new(" s3cret\n").unwrap();
        assert!(bool::from(secret.is(b"s3cret")));
        for other in ["", "s3cre", "s3cret ", "s3crets", "S3cret"] {
            assert!(!bool::from(secret.is(other.as_bytes())), "{other:?}");
        }
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn what_cannot_be_in_a_header_is_no_token() {
        for text in ["", " \n", "two words", "umläut", "bell\x07", &"x".repeat(1025)] {
            assert!(Secret::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_every_user_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("flowdb-secret-{}", std::process::id()));
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Secret::read(&path).unwrap_err().to_string();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let secret = Secret::read(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("644") && !error.contains("s3cret"), "{error}");
        assert!(bool::from(secret.unwrap().is(b"s3cret")));
    }
}
