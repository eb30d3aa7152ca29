//! QUIC (RFC 9000, RFC 9369, and what came before): what client and server say of themselves in the clear, or as good as.
//!
//! A session: server name, application protocols and fingerprints of the ClientHello, and the selected cipher suite are
//! in every record of the flow. In: datagrams. Initial packets are opened ([`opener`], [`protection`]), the pieces of
//! the handshake in them ([`frames`]) are put together ([`assembly`]) and read ([`hello`]). Everything behind the
//! first message of either side is not looked at, nor is any packet with a short header.

mod assembly;
mod frames;
mod google;
mod header;
mod hello;
mod keys;
mod opener;
mod protection;
mod version;

#[cfg(any(test, feature = "harness"))]
pub mod sealer;
#[cfg(test)]
mod tests;

use crate::{
    output::{Output, Timing},
    parser::{Failure, Input, Opening, Parser, Recognition, Sender, Step, Transport},
};
use assembly::Assembly;
use frames::{Crypto, CryptoFrames};
use header::{Initial, Packet};
use kflow::application::{AppProtocol, protocols::quic};
use opener::{Opener, Role};
use protection::PACKET_BYTES_MAX;
use version::{Handshake, Version};

/// Datagrams of a side that are looked into: a hello takes one or two, and is sent again if it is lost.
const DATAGRAMS_MAX: u8 = 16;
/// Datagrams of one side after which none of the other is waited for.
const UNANSWERED_MAX: u8 = 64;
/// Packets of one datagram; no more than four kinds travel together.
const PACKETS_MAX: usize = 8;
/// In place of a version.
const VERSION_NEGOTIATION: u32 = 0;

/// The state of one flow.
#[derive(Debug)]
pub struct Quic {
    opener: Opener,
    client: Side,
    server: Side,
    /// Whose handshake was heard in the clear.
    clear_client: Option<Sender>,
    has_known_version: bool,
    /// Of source and destination.
    datagrams: [u8; 2],
}

/// The hello of one side.
#[derive(Debug)]
struct Side {
    assembly: Assembly,
    is_heard: bool,
    /// Of the client when its hello was whole, of the server when it began.
    time_ns: Option<u64>,
}

impl Parser for Quic {
    const TRANSPORTS: &[Transport] = &[Transport::Udp];
    const PORTS: &[u16] = &[443];
    const NEW: Quic = Quic {
        opener: Opener::NEW,
        client: Side::NEW,
        server: Side::NEW,
        clear_client: None,
        has_known_version: false,
        datagrams: [0; 2],
    };

    fn recognise(opening: &Opening<'_>) -> Recognition {
        let is_quic = google::public_header(opening.bytes).is_some() || header::is_opening(opening.bytes);
        if is_quic { Recognition::Yes } else { Recognition::No }
    }

    fn protocol(&self) -> AppProtocol {
        AppProtocol::Quic
    }

    fn parse(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Step {
        if output.session(AppProtocol::Quic).is_none() {
            return Step::Done;
        }
        let count = &mut self.datagrams[input.sender.index()];
        *count = count.saturating_add(1);
        if *count <= DATAGRAMS_MAX
            && let Err(failure) = self.datagram(input, output)
        {
            return Step::Failed(failure);
        }
        if self.is_done() { Step::Done } else { Step::Took(input.bytes.len() as u64) }
    }

    fn finish(&mut self, output: &mut Output<'_>) {
        self.client.assembly.clear(output);
        self.server.assembly.clear(output);
    }
}

impl Quic {
    fn is_done(&self) -> bool {
        let [source, destination] = self.datagrams;
        self.client.is_heard && self.server.is_heard
            || source.min(destination) >= DATAGRAMS_MAX
            || source.max(destination) >= UNANSWERED_MAX
    }

    fn datagram(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Result<(), Failure> {
        if self.clear_client.is_some_and(|client| client != input.sender) {
            if google::is_answer(input.bytes) {
                self.server.time_ns = Some(input.start_ns);
                self.note_heard(Role::Server, input, output);
            }
            return Ok(());
        }
        if let Some(header) = google::public_header(input.bytes) {
            self.note_version(header.version, true, output);
            return self.clear(header.version, header.payload, input, output);
        }
        if let Some(number) = header::version(input.bytes) {
            let is_known = Version::find(number).is_some();
            self.note_version(number, is_known, output);
            if !is_known && number != VERSION_NEGOTIATION && !version::is_reserved(number) {
                return Err(Failure::Unsupported);
            }
        }
        self.packets(input, output)
    }

    /// The version of the first packet that has one that is known, or else of the first at all.
    fn note_version(&mut self, number: u32, is_known: bool, output: &mut Output<'_>) {
        if self.has_known_version || number == VERSION_NEGOTIATION {
            return;
        }
        self.has_known_version = is_known;
        if let Some(session) = output.session(AppProtocol::Quic)
            && (is_known || !session.has(quic::VERSION))
        {
            session.number(quic::VERSION, number);
        }
    }

    fn packets(&mut self, input: &Input<'_>, output: &mut Output<'_>) -> Result<(), Failure> {
        let not_whole = if input.is_cut { Failure::Cut } else { Failure::Malformed };
        let mut rest = input.bytes;
        for _ in 0..PACKETS_MAX {
            if rest.is_empty() {
                return Ok(());
            }
            let Ok((later, packet)) = header::packet(rest) else { return Err(not_whole) };
            match packet {
                Packet::Initial(initial) if initial.bytes.len() < initial.length => return Err(not_whole),
                Packet::Initial(initial) => self.initial(&initial, input, output)?,
                Packet::Clear { version, payload } => self.clear(version, payload, input, output)?,
                Packet::Sealed
                | Packet::Retry
                | Packet::VersionNegotiation(_)
                | Packet::Unknown
                | Packet::Short => {}
            }
            rest = later;
        }
        Err(Failure::Limit)
    }

    fn initial(
        &mut self,
        packet: &Initial<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let mut opened = [0; PACKET_BYTES_MAX];
        let found = self.opener.open(packet, input.sender, &mut opened)?;
        if found.is_new {
            self.finish(output);
            (self.client, self.server) = (Side::NEW, Side::NEW);
        }
        let handshake = packet.version.handshake;
        for piece in CryptoFrames::new(&opened[found.payload], handshake) {
            let piece = piece.map_err(|frames::Malformed| Failure::Malformed)?;
            self.piece(found.role, handshake, piece, input, output)?;
        }
        Ok(())
    }

    /// A piece of the handshake.
    fn piece(
        &mut self,
        role: Role,
        handshake: Handshake,
        piece: Crypto<'_>,
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let side = match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        };
        if side.is_heard {
            return Ok(());
        }
        if role == Role::Server {
            side.time_ns.get_or_insert(input.start_ns);
        }
        let whole = if piece.offset == 0 { hello::whole(handshake, piece.data) } else { None };
        let result = if let Some(message) = whole {
            let session = output.session(AppProtocol::Quic);
            session.map_or(Ok(()), |session| hello::describe(role, handshake, message, session))
        } else {
            let Some(buffer) = side.assembly.add(piece, output)? else { return Ok(()) };
            let (session, bytes) = output.session_beside(AppProtocol::Quic, buffer);
            let Some(message) = hello::whole(handshake, bytes) else { return Ok(()) };
            session.map_or(Ok(()), |session| hello::describe(role, handshake, message, session))
        };
        self.note_heard(role, input, output);
        result
    }

    /// A packet in the clear. What is no hello of a client is passed over.
    fn clear(
        &mut self,
        version: u32,
        payload: &[u8],
        input: &Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        let Some(message) = google::clear_hello(version, payload) else { return Ok(()) };
        if self.client.is_heard {
            return Ok(());
        }
        let Some(session) = output.session(AppProtocol::Quic) else { return Ok(()) };
        hello::describe(Role::Client, Handshake::GoogleTags, message, session)?;
        self.clear_client = Some(input.sender);
        self.note_heard(Role::Client, input, output);
        Ok(())
    }

    /// One side's hello is whole.
    fn note_heard(&mut self, role: Role, input: &Input<'_>, output: &mut Output<'_>) {
        match role {
            Role::Client => {
                self.client.is_heard = true;
                self.client.time_ns = Some(input.end_ns);
                self.client.assembly.clear(output);
            }
            Role::Server => {
                self.server.is_heard = true;
                self.server.assembly.clear(output);
                let timing = Timing { request_ns: self.client.time_ns, answer_ns: self.server.time_ns };
                output.establish(AppProtocol::Quic, timing);
            }
        }
    }
}

impl Side {
    const NEW: Side = Side { assembly: Assembly::NEW, is_heard: false, time_ns: None };
}
