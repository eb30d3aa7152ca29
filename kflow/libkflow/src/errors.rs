//! Texts that wait for `kflowError`: the last hundred, of calls that failed and of the background.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

const TEXTS_MAX: usize = 100;
/// A text ends here, at a character.
const TEXT_BYTES_MAX: usize = 1024;
/// Tokens of so many senders are kept out: of the present one and of former ones that still report.
const SECRETS_MAX: usize = 4;

/// Shared by all threads; no call waits for longer than a copy takes.
#[derive(Debug, Default)]
pub struct Errors(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    texts: VecDeque<String>,
    /// Texts that made room for later ones since the last was fetched.
    dropped: u64,
    /// Whether texts also go to standard error.
    is_verbose: bool,
    secrets: VecDeque<Zeroizing<String>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("texts", &self.texts).finish_non_exhaustive()
    }
}

impl Errors {
    /// Adds a text; the oldest makes room for it, which the next fetch tells.
    pub fn push(&self, text: &str) {
        let mut waiting = self.lock();
        let text = waiting.presentable(text);
        if waiting.is_verbose {
            // A program without standard error reads it by kflowError.
            let _ = writeln!(io::stderr(), "libkflow: {text}");
        }
        if waiting.texts.len() == TEXTS_MAX {
            waiting.texts.pop_front();
            waiting.dropped += 1;
        }
        waiting.texts.push_back(text);
    }

    /// Hands the oldest text to `take`, and forgets it if that succeeds. `None` if no text waits.
    pub fn fetch<T>(&self, take: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut waiting = self.lock();
        if waiting.dropped > 0 {
            let taken = take(&format!("{} earlier errors were not fetched in time", waiting.dropped))?;
            waiting.dropped = 0;
            return Some(taken);
        }
        let taken = take(waiting.texts.front()?)?;
        waiting.texts.pop_front();
        Some(taken)
    }

    pub fn set_verbose(&self, is_verbose: bool) {
        self.lock().is_verbose = is_verbose;
    }

    /// From now on no text has this in it.
    pub fn keep_out(&self, secret: &str) {
        let mut waiting = self.lock();
        if secret.is_empty() || waiting.secrets.iter().any(|known| known.as_str() == secret) {
            return;
        }
        if waiting.secrets.len() == SECRETS_MAX {
            waiting.secrets.pop_front();
        }
        waiting.secrets.push_back(Zeroizing::new(secret.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic leaves the texts as they are.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Without secrets, and as a string of C can be: without a zero.
    fn presentable(&self, text: &str) -> String {
        let mut text = text.replace('\0', "\u{fffd}");
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "…");
            }
        }
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(errors: &Errors) -> Option<String> {
        errors.fetch(|text| Some(text.to_owned()))
    }

    #[test]
    fn texts_are_fetched_once_and_in_their_order() {
        let errors = Errors::default();
        assert_eq!(fetch(&errors), None);
        errors.push("first");
        errors.push("second");
        assert_eq!(fetch(&errors).as_deref(), Some("first"));
        assert_eq!(fetch(&errors).as_deref(), Some("second"));
        assert_eq!(fetch(&errors), None);
    }

    #[test]
    fn the_last_hundred_are_kept_and_the_rest_is_counted() {
        let errors = Errors::default();
        for number in 0..103 {
            errors.push(&number.to_string());
        }
        assert_eq!(fetch(&errors).as_deref(), Some("3 earlier errors were not fetched in time"));
        let rest: Vec<String> = std::iter::from_fn(|| fetch(&errors)).collect();
        assert_eq!(rest.len(), 100);
        assert_eq!((rest[0].as_str(), rest[99].as_str()), ("3", "102"));
    }

    #[test]
    fn text_that_was_not_taken_stays() {
        let errors = Errors::default();
        errors.push("stays");
        assert_eq!(errors.fetch(|_| None::<()>), None);
        assert_eq!(fetch(&errors).as_deref(), Some("stays"));
    }

    #[test]
    fn no_text_has_the_token_or_a_zero_in_it() {
        let errors = Errors::default();
        errors.keep_out("");
        errors.keep_out("s3cret");
        errors.push("s3cret is wrong: \0s3cret");
        assert_eq!(fetch(&errors).as_deref(), Some("… is wrong: \u{fffd}…"));
    }

    #[test]
    fn long_text_ends_at_a_character() {
        let errors = Errors::default();
        errors.push(&"é".repeat(2000));
        assert_eq!(fetch(&errors).unwrap(), "é".repeat(512));
    }
}
