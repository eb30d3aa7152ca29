//! The UDP ports of tunnels.

use std::fmt;

/// Ports in all. They are compared with both ports of every UDP packet.
pub const TUNNEL_PORTS_MAX: usize = 16;

/// Tunnels that a UDP port hints at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UdpTunnel {
    Vxlan,
    VxlanGpe,
    Geneve,
    GtpU,
    Teredo,
    Gre,
    Mpls,
    L2tp,
}

impl UdpTunnel {
    /// Whether answers come from the port, not only requests to it.
    const fn answers_from_port(self) -> bool {
        match self {
            UdpTunnel::Teredo | UdpTunnel::L2tp | UdpTunnel::GtpU => true,
            UdpTunnel::Vxlan | UdpTunnel::VxlanGpe | UdpTunnel::Geneve | UdpTunnel::Gre | UdpTunnel::Mpls => {
                false
            }
        }
    }
}

/// Which UDP ports are looked behind, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelPorts {
    /// Zero where there is none.
    ports: [u16; TUNNEL_PORTS_MAX],
    tunnels: [UdpTunnel; TUNNEL_PORTS_MAX],
}

impl Default for TunnelPorts {
    /// As IANA has them, and 8472, which Linux used for VXLAN before.
    fn default() -> TunnelPorts {
        let assigned = [
            (4789, UdpTunnel::Vxlan),
            (8472, UdpTunnel::Vxlan),
            (4790, UdpTunnel::VxlanGpe),
            (6081, UdpTunnel::Geneve),
            (2152, UdpTunnel::GtpU),
            (3544, UdpTunnel::Teredo),
            (4754, UdpTunnel::Gre),
            (6635, UdpTunnel::Mpls),
            (1701, UdpTunnel::L2tp),
        ];
        TunnelPorts::new(assigned).expect("there is room for the assigned ports")
    }
}

impl TunnelPorts {
    /// Port zero is ignored: no tunnel has it.
    pub fn new(entries: impl IntoIterator<Item = (u16, UdpTunnel)>) -> Result<TunnelPorts, TooManyPorts> {
        let (mut ports, mut tunnels) = ([0; TUNNEL_PORTS_MAX], [UdpTunnel::Vxlan; TUNNEL_PORTS_MAX]);
        for (place, (port, tunnel)) in entries.into_iter().filter(|(port, _)| *port != 0).enumerate() {
            *ports.get_mut(place).ok_or(TooManyPorts)? = port;
            tunnels[place] = tunnel;
        }
        Ok(TunnelPorts { ports, tunnels })
    }

    /// Whether some tunnel uses the port. Without a branch a port, which compiles to a few vector instructions.
    #[inline(always)]
    pub fn contain(&self, port: u16) -> bool {
        let is_any = self.ports.iter().fold(false, |is_any, tunnel_port| is_any | (*tunnel_port == port));
        is_any & (port != 0)
    }

    /// The tunnel that a packet's ports hint at.
    pub fn tunnel(&self, source: u16, destination: u16) -> Option<UdpTunnel> {
        let at_source = || self.find(source).filter(|tunnel| tunnel.answers_from_port());
        self.find(destination).or_else(at_source)
    }

    fn find(&self, port: u16) -> Option<UdpTunnel> {
        let place = self.ports.iter().position(|tunnel_port| *tunnel_port == port && port != 0)?;
        Some(self.tunnels[place])
    }
}

/// More than [`TUNNEL_PORTS_MAX`] ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPorts;

impl fmt::Display for TooManyPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {TUNNEL_PORTS_MAX} ports of tunnels")
    }
}

impl std::error::Error for TooManyPorts {}
