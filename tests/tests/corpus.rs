//! A corpus of real captures against another program's opinion: packets, frame bytes and IP bytes of every outer
//! conversation in both directions.
//!
//! `CORPUS_DIR` names a folder with `expected.jsonl` (one line a capture, see [`system_tests::read_expected`]);
//! without it the test says that it is skipped. A capture with frames that the sensor's own ledger gives as not
//! decoded (a link type or an encapsulation) is counted apart; every other one has to be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use system_tests::{Capture, Conversations, Outcome, pair, read_expected, run_offline};
use traffic::mix::{Conversation, ConversationKey, Counters};

/// Accounts of frames whose link or encapsulation the sensor does not look into.
const NOT_DECODED: [&str; 5] =
    ["link.unsupported", "not_ip.other", "not_ip.llc", "link.vlan_depth", "ipv6.extension_depth"];

/// Captures on which the other program (tshark) and the sensor differ for a reason.
const OTHER_OPINIONS: [(&str, &str); 7] = [
    (
        "nDPI/fuzz-2021-06-07-c6c72a0a56.pcap",
        "frame of 3.8 GiB by its record: theirs stops counting at 2^31 - 1",
    ),
    (
        "tcpdump/LINKTYPE_IPV4_invalid.pcap",
        "IPv6 in a file whose link type says IPv4: ours counts it as no IPv4",
    ),
    (
        "tcpdump/ipv4_invalid_total_length_2.pcap",
        "IPv4 total length below the header: theirs names no destination",
    ),
    ("tcpdump/icmpv6-length-zero.pcapng", ZERO_LENGTH),
    ("tcpdump/ipv6-too-long-jumbo.pcap", ZERO_LENGTH),
    ("tcpdump/ipv6_frag6_negative_len.pcap", ZERO_LENGTH),
    ("tcpdump/ipv6_missing_jumbo_payload_option.pcap", ZERO_LENGTH),
];
const ZERO_LENGTH: &str = "IPv6 payload length zero: ours counts what the frame has, theirs the header alone";

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Equal,
    NotDecoded(String),
    OtherOpinion(&'static str),
    Different(String),
}

#[test]
fn every_capture_of_the_corpus_is_counted_as_by_another_program() {
    let Some(folder) = env::var_os("CORPUS_DIR").map(PathBuf::from) else {
        eprintln!("skipped: CORPUS_DIR names no folder with captures and expected.jsonl");
        return;
    };
    let lines = fs::read_to_string(folder.join("expected.jsonl")).expect("the corpus has expected.jsonl");
    let captures = read_expected(&lines);
    let verdicts = judge_all(&folder, &captures);
    let mut not_decoded: BTreeMap<&str, usize> = BTreeMap::new();
    let mut different = Vec::new();
    for (file, verdict) in &verdicts {
        match verdict {
            Verdict::Equal => {}
            Verdict::NotDecoded(account) => *not_decoded.entry(account).or_default() += 1,
            Verdict::OtherOpinion(reason) => eprintln!("{file}: {reason}"),
            Verdict::Different(how) => different.push(format!("{file}: {how}")),
        }
    }
    let equal = verdicts.values().filter(|verdict| **verdict == Verdict::Equal).count();
    eprintln!(
        "{} captures: {equal} equal, not decoded {not_decoded:?}, {} different",
        captures.len(),
        different.len()
    );
    assert!(different.is_empty(), "{} captures differ:\n{}", different.len(), different.join("\n"));
}

/// One verdict a file, by as many threads as the machine has CPUs.
fn judge_all(folder: &Path, captures: &[Capture]) -> BTreeMap<String, Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(folder, capture);
                    verdicts
                        .lock()
                        .expect("no judge panics with the lock")
                        .insert(capture.file.clone(), verdict);
                }
            });
        }
    });
    verdicts.into_inner().expect("no judge panics with the lock")
}

fn judge(folder: &Path, capture: &Capture) -> Verdict {
    let path = folder.join(&capture.file);
    let path = path.to_str().expect("names in the corpus are plain");
    // Nothing ends early, so that a conversation is one sum whatever its pauses.
    let timeouts = ["--idle-timeout-s", "3600", "--active-timeout-s", "86400", "--flow-capacity", "65536"];
    let arguments: Vec<&str> = ["--pcap", path].into_iter().chain(timeouts).collect();
    let outcome = run_offline(&arguments, None);
    if outcome.summary.is_none() {
        return Verdict::Different(outcome.stderr.clone());
    }
    if !outcome.status.success() && capture.error.is_none() {
        return Verdict::Different(outcome.stderr.lines().last().unwrap_or_default().to_owned());
    }
    outcome.assert_balanced();
    let ours = loosened(&outcome.conversations(), &capture.loose_pairs);
    let theirs = loosened(&capture.conversations, &capture.loose_pairs);
    if ours == theirs {
        return Verdict::Equal;
    }
    let accounts = NOT_DECODED.into_iter().map(|account| (account, outcome.accounted_by(account)));
    let (account, _) = accounts.clone().max_by_key(|(_, frames)| *frames).expect("there are such accounts");
    let not_decoded: u64 = accounts.map(|(_, frames)| frames).sum();
    // What was decoded is right, and what is missing is no more than what was not.
    if is_part(&ours, &theirs) && theirs.packets() - ours.packets() <= not_decoded {
        return Verdict::NotDecoded(account.to_owned());
    }
    let named = OTHER_OPINIONS.iter().find(|(file, _)| capture.file.ends_with(file));
    if let Some((_, reason)) = named {
        return Verdict::OtherOpinion(reason);
    }
    Verdict::Different(describe(&outcome, &ours, &theirs))
}

/// Conversations of the given pairs of addresses as one each.
fn loosened(conversations: &Conversations, pairs: &BTreeSet<(IpAddr, IpAddr)>) -> Conversations {
    Conversations::sum(conversations.0.iter().map(|(key, conversation)| {
        if !pairs.contains(&pair(*key)) {
            return (*key, *conversation);
        }
        (ConversationKey { source_port: 0, destination_port: 0, protocol: 0, ..*key }, *conversation)
    }))
}

fn is_part(ours: &Conversations, theirs: &Conversations) -> bool {
    let is_at_most = |a: Counters, b: Counters| {
        a.packets <= b.packets && a.bytes <= b.bytes && a.frame_bytes <= b.frame_bytes
    };
    ours.0.iter().all(|(key, ours)| {
        let theirs = theirs.0.get(key).copied().unwrap_or_default();
        is_at_most(ours.forward, theirs.forward) && is_at_most(ours.reverse, theirs.reverse)
    })
}

fn describe(outcome: &Outcome, ours: &Conversations, theirs: &Conversations) -> String {
    let missing = theirs.0.iter().filter(|(key, conversation)| ours.0.get(key) != Some(conversation));
    let extra = ours.0.iter().filter(|(key, conversation)| theirs.0.get(key) != Some(conversation));
    let line = |sign: char, (key, conversation): (&ConversationKey, &Conversation)| {
        let ConversationKey { protocol, source, source_port, destination, destination_port } = key;
        let Conversation { forward, reverse } = conversation;
        format!(
            "\n  {sign} {protocol} {source} {source_port} {destination} {destination_port}: \
             {}/{}/{} {}/{}/{}",
            forward.packets,
            forward.frame_bytes,
            forward.bytes,
            reverse.packets,
            reverse.frame_bytes,
            reverse.bytes,
        )
    };
    let mut text = format!("{}", outcome.summary.as_ref().expect("checked above")["ledger"]["accounted_by"]);
    text.extend(missing.take(4).map(|each| line('-', each)));
    text.extend(extra.take(4).map(|each| line('+', each)));
    text
}
