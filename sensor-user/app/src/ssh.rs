//! SSH: the identification that each side begins with (RFC 4253 §4.2).
//!
//! A session: both identifications are in every record of the flow. The server may send other lines before its own.

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use kflow::application::{AppProtocol, protocols::ssh};

const PREFIX: &[u8] = b"SSH-";
/// A line with its end; RFC 4253 allows 255 for the identification and says nothing of lines before it.
const LINE_BYTES_MAX: usize = 1024;

#[derive(Debug)]
pub struct Ssh {
    /// When the first side had identified itself.
    first_ns: Option<u64>,
}

impl Parser for Ssh {
    const TRANSPORTS: &[Transport] = &[Transport::Tcp];
    const PORTS: &[u16] = &[22];
    const NEW: Ssh = Ssh { first_ns: None };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        let compared = opening.bytes.len().min(PREFIX.len());
        if opening.bytes[..compared] != PREFIX[..compared] {
            return Recognition::No;
        }
        if compared == PREFIX.len() { Recognition::Yes } else { Recognition::More }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Ssh
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        let line_end = input.bytes.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n');
        let Some(line_bytes) = line_end else {
            if input.bytes.len() >= LINE_BYTES_MAX {
                return Step::Failed(Failure::Limit);
            }
            return Step::Need(input.bytes.len() + 1);
        };
        let line = input.bytes[..line_bytes].trim_ascii_end();
        if !line.starts_with(PREFIX) {
            return Step::Took(line_bytes as u64 + 1);
        }
        // Whoever listens on the well-known port is the server, else whoever was spoken to.
        let is_server =
            match (Ssh::PORTS.contains(&input.sender_port), Ssh::PORTS.contains(&input.receiver_port)) {
                (true, false) => true,
                (false, true) => false,
                _ => input.sender == Sender::Destination,
            };
        let key = if is_server { ssh::SERVER } else { ssh::CLIENT };
        if let Some(session) = output.session(AppProtocol::Ssh) {
            session.text(key, line);
        }
        let Some(first_ns) = self.first_ns else {
            self.first_ns = Some(input.end_ns);
            return Step::SideDone;
        };
        let timing = Timing { request_ns: Some(first_ns), answer_ns: Some(input.start_ns) };
        output.establish(AppProtocol::Ssh, timing);
        Step::Done
    }

    fn finish(&mut self, _output: &mut Output<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Conversation, Sender::*};
    use proptest::prelude::*;

    const CLIENT: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
    const SERVER: &[u8] = b"SSH-2.0-dropbear_2022.83\n";

    fn conversation() -> Conversation {
        Conversation::tcp(40_000, 22).say(Destination, SERVER).say(Source, CLIENT)
    }

    #[test]
    fn both_identifications_are_of_the_session() {
        let outcome = conversation().run();
        let session = outcome.session.unwrap();
        assert_eq!(session.text(ssh::CLIENT), Some("SSH-2.0-OpenSSH_9.2p1 Debian-2"));
        assert_eq!(session.text(ssh::SERVER), Some("SSH-2.0-dropbear_2022.83"));
        assert_eq!(outcome.counts.read(AppProtocol::Ssh).transactions, 1);
    }

    #[test]
    fn lines_before_the_identification_are_passed_over() {
        let outcome = Conversation::tcp(40_000, 2222)
            .say(Source, CLIENT)
            .say(Destination, b"Welcome\r\n")
            .say(Destination, SERVER)
            .run();
        assert_eq!(outcome.session.unwrap().text(ssh::SERVER), Some("SSH-2.0-dropbear_2022.83"));
    }

    #[test]
    fn an_endless_line_is_at_the_limit() {
        let outcome = Conversation::tcp(40_000, 22).say(Source, CLIENT).say(Destination, &[b'x'; 4000]).run();
        assert_eq!(outcome.counts.read(AppProtocol::Ssh).failures[Failure::Limit as usize], 1);
        assert!(outcome.session.is_some(), "what was known stays");
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_session(seed in any::<u64>()) {
            prop_assert_eq!(conversation().run_split(seed).what(), conversation().run().what());
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300), seed in any::<u64>()) {
            Conversation::tcp(40_000, 22).say(Source, b"SSH-").say(Source, &bytes).run_split(seed);
        }
    }
}
