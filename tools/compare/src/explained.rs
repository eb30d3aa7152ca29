//! The list of explanations, `explained.toml`: differences whose reason was found by reading the packets.
//!
//! An entry holds for the captures, conversations and fields that it names; what it does not name, it holds for all
//! of. `*` stands for any run of characters.
//!
//! ```toml
//! [[explained]]
//! capture = "name-*.pcap"                          # without folders
//! conversation = "6 192.0.2.1 * 192.0.2.9 80"      # protocol and both sides, in either order
//! fields = ["retransmission", "out_of_order"]
//! reason = "The second SYN comes by another path before the first one."
//!
//! [[explained]]
//! account = "link.unsupported"                     # packets that are missing, if the ledger has as many frames here
//! reason = "The sensor does not read this link type."
//! ```

use crate::conversation::Key;
use crate::judged::{Context, Pair};
use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The list of this project.
const LIST: &str = include_str!("../explained.toml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanations {
    #[serde(default)]
    explained: Vec<Explanation>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    #[serde(default = "any")]
    pub capture: String,
    #[serde(default = "any")]
    pub conversation: String,
    #[serde(default)]
    pub fields: Vec<String>,
    pub account: Option<String>,
    pub reason: String,
}

fn any() -> String {
    "*".to_owned()
}

impl Explanations {
    pub fn of_the_project() -> anyhow::Result<Explanations> {
        Explanations::parse(LIST).context("explained.toml")
    }

    pub fn parse(text: &str) -> anyhow::Result<Explanations> {
        let list: Explanations = toml::from_str(text)?;
        for entry in &list.explained {
            let is_narrow = entry.capture != "*" || entry.account.is_some();
            ensure!(is_narrow, "an explanation names a capture or an account: {}", entry.reason);
            ensure!(!entry.reason.trim().is_empty(), "an explanation of {} has no reason", entry.capture);
        }
        Ok(list)
    }

    pub fn entries(&self) -> &[Explanation] {
        &self.explained
    }

    /// The first entry that holds for the difference.
    pub fn find(&self, context: &Context<'_>, pair: &Pair) -> Option<usize> {
        self.explained.iter().position(|entry| entry.holds(context, pair))
    }
}

impl Explanation {
    pub fn is_of(&self, capture: &str) -> bool {
        matches(&self.capture, capture.rsplit('/').next().unwrap_or(capture))
    }

    fn holds(&self, context: &Context<'_>, pair: &Pair) -> bool {
        let is_account = self.account.as_ref().is_none_or(|account| {
            let frames = context.accounts.get(account).copied().unwrap_or(0);
            (1..=frames).contains(&pair.missing_packets)
        });
        let is_field = self.fields.is_empty() || self.fields.iter().any(|field| field == pair.field);
        let is_conversation = match &pair.conversation {
            None => self.conversation == "*",
            Some(key) => {
                matches(&self.conversation, &key.to_string()) || matches(&self.conversation, &reversed(key))
            }
        };
        is_account && is_field && is_conversation && self.is_of(context.capture)
    }
}

fn reversed(key: &Key) -> String {
    Key { protocol: key.protocol, a: key.b, b: key.a }.to_string()
}

/// Whether the text is the pattern with each `*` replaced by something.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).filter(|end| text.is_char_boundary(*end)).any(|end| matches(rest, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn pair(field: &'static str, conversation: Option<&str>, missing_packets: u64) -> Pair {
        Pair {
            field,
            conversation: conversation.map(|name| Key::parse(name).unwrap().0),
            is_equal: false,
            is_nothing: false,
            missing_packets,
            ours: String::new(),
            theirs: String::new(),
            rule: None,
        }
    }

    fn find(list: &str, capture: &str, pair: &Pair) -> Option<usize> {
        let explanations = Explanations::parse(list).unwrap();
        let accounts = BTreeMap::from([("link.unsupported".to_owned(), 3)]);
        explanations.find(&Context { capture, explanations: &explanations, accounts: &accounts }, pair)
    }

    #[test]
    fn list_of_the_project_is_well_formed() {
        let list = Explanations::of_the_project().unwrap();
        for entry in list.entries() {
            assert!(!entry.capture.contains('/'), "captures are named without folders: {}", entry.capture);
        }
    }

    #[test]
    fn entry_holds_for_what_it_names() {
        let list = "[[explained]]\ncapture = \"a-*.pcap\"\nconversation = \"6 192.0.2.9 * 192.0.2.1 *\"\n\
                    fields = [\"bytes\"]\nreason = \"because\"\n";
        let conversation = Some("6 192.0.2.1 40000 192.0.2.9 80");
        assert_eq!(find(list, "captures/a-1.pcap", &pair("bytes", conversation, 0)), Some(0));
        assert_eq!(find(list, "captures/b-1.pcap", &pair("bytes", conversation, 0)), None);
        assert_eq!(find(list, "captures/a-1.pcap", &pair("packets", conversation, 0)), None);
        assert_eq!(find(list, "captures/a-1.pcap", &pair("bytes", None, 0)), None);
        let other = Some("17 192.0.2.1 40000 192.0.2.9 80");
        assert_eq!(find(list, "captures/a-1.pcap", &pair("bytes", other, 0)), None);
    }

    #[test]
    fn account_explains_missing_packets_only() {
        let list = |account: &str| format!("[[explained]]\naccount = \"{account}\"\nreason = \"because\"\n");
        let conversation = Some("6 192.0.2.1 40000 192.0.2.9 80");
        let missing = pair("packets", conversation, 3);
        assert_eq!(find(&list("link.unsupported"), "a.pcap", &missing), Some(0));
        assert_eq!(find(&list("link.unsupported"), "a.pcap", &pair("packets", conversation, 0)), None);
        assert_eq!(find(&list("link.unsupported"), "a.pcap", &pair("packets", conversation, 4)), None);
        assert_eq!(find(&list("not_ip.llc"), "a.pcap", &missing), None);
    }

    #[test]
    fn entry_for_everything_or_without_a_reason_is_refused() {
        for list in ["[[explained]]\nreason = \"because\"", "[[explained]]\ncapture = \"a\"\nreason = \" \""]
        {
            assert!(Explanations::parse(list).is_err(), "{list}");
        }
    }

    #[test]
    fn star_stands_for_any_run_of_characters() {
        for (pattern, text) in [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a*c*", "abcd"), ("abc", "abc")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*b", "abc"), ("abc", "abcd"), ("*x*", "abc")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
