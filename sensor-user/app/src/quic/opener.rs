//! Whose keys open Initial packets: finds the client of a connection, and keeps both sides' keys.
//!
//! Keys follow from the destination connection id of the client's first packet. Which packet that is, only its tag
//! proves. After a Retry, and for another connection of the same ports, the client begins anew with another id; after
//! compatible version negotiation (RFC 9368) the id stays and the version changes.

use super::{
    header::{CONNECTION_ID_BYTES_MAX, Initial},
    keys::{KeyPair, Keys},
    protection::{self, Opened, PACKET_BYTES_MAX},
    version::Protection,
};
use crate::parser::{Failure, Sender};
use std::ops::Range;

/// Times that keys are derived for one flow.
const DERIVATIONS_MAX: u8 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

#[derive(Debug)]
pub struct Opener {
    connection: Option<Connection>,
    derivations: Derivations,
}

/// What was found out by a packet.
#[derive(Debug)]
pub struct Found {
    pub role: Role,
    /// The client begins a connection, or begins anew.
    pub is_new: bool,
    /// Where the payload is.
    pub payload: Range<usize>,
}

#[derive(Debug)]
struct Connection {
    client: Sender,
    /// The destination of the client's first packet.
    id: ConnectionId,
    version: u32,
    keys: KeyPair,
}

#[derive(Clone, Copy, Debug)]
struct ConnectionId {
    bytes: [u8; CONNECTION_ID_BYTES_MAX],
    length: u8,
}

/// How many are left.
#[derive(Debug)]
struct Derivations(u8);

impl Opener {
    pub const NEW: Opener = Opener { connection: None, derivations: Derivations(DERIVATIONS_MAX) };

    /// Opens a packet that is all there.
    pub fn open(
        &mut self,
        packet: &Initial<'_>,
        sender: Sender,
        opened: &mut Opened,
    ) -> Result<Found, Failure> {
        if packet.bytes.len() > PACKET_BYTES_MAX {
            return Err(Failure::Limit);
        }
        if let Some(found) = self.open_known(packet, sender, opened)? {
            return Ok(found);
        }
        match &self.connection {
            Some(connection) if connection.client != sender || connection.began_with(packet) => {
                Err(Failure::Malformed)
            }
            Some(_) => self.open_first(packet, sender, opened)?.ok_or(Failure::Malformed),
            // The client's first packet was not seen.
            None => self.open_first(packet, sender, opened)?.ok_or(Failure::Gap),
        }
    }

    /// With the keys of the connection that is known.
    fn open_known(
        &mut self,
        packet: &Initial<'_>,
        sender: Sender,
        opened: &mut Opened,
    ) -> Result<Option<Found>, Failure> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let role = connection.role(sender);
        let version = packet.version.number;
        if connection.version == version {
            let payload = protection::open(connection.keys.of(role), packet, opened);
            return Ok(payload.map(|payload| Found { role, is_new: false, payload }));
        }
        let keys = self.derivations.derive(packet.protection, connection.id.bytes())?;
        let Some(payload) = protection::open(keys.of(role), packet, opened) else { return Ok(None) };
        self.connection = Some(Connection { version, keys, ..*connection });
        Ok(Some(Found { role, is_new: false, payload }))
    }

    /// As the packet that a client begins with.
    fn open_first(
        &mut self,
        packet: &Initial<'_>,
        client: Sender,
        opened: &mut Opened,
    ) -> Result<Option<Found>, Failure> {
        let keys = self.derivations.derive(packet.protection, packet.destination)?;
        let Some(payload) = protection::open(&keys.client, packet, opened) else { return Ok(None) };
        let id = ConnectionId::new(packet.destination);
        self.connection = Some(Connection { client, id, version: packet.version.number, keys });
        Ok(Some(Found { role: Role::Client, is_new: true, payload }))
    }
}

impl Connection {
    fn role(&self, sender: Sender) -> Role {
        if sender == self.client { Role::Client } else { Role::Server }
    }

    fn began_with(&self, packet: &Initial<'_>) -> bool {
        self.version == packet.version.number && self.id.bytes() == packet.destination
    }
}

impl KeyPair {
    fn of(&self, role: Role) -> &Keys {
        match role {
            Role::Client => &self.client,
            Role::Server => &self.server,
        }
    }
}

impl ConnectionId {
    /// Longer ones than there are, are cut.
    fn new(id: &[u8]) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_BYTES_MAX];
        let length = id.len().min(CONNECTION_ID_BYTES_MAX);
        bytes[..length].copy_from_slice(&id[..length]);
        ConnectionId { bytes, length: length as u8 }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Derivations {
    fn derive(&mut self, protection: &Protection, id: &[u8]) -> Result<KeyPair, Failure> {
        self.0 = self.0.checked_sub(1).ok_or(Failure::Limit)?;
        Ok(KeyPair::derive(protection, id))
    }
}
