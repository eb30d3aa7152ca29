//! The XDP program in the kernel: load, attach, configure, count, detach. The only module that names aya.

mod configure;
mod error;
mod trial;

pub use error::AttachError;
pub use trial::{Trial, TrialRun};

use crate::config::{FilterConfig, XdpModeChoice};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, PerCpuArray, XskMap},
    programs::{ProgramError, Xdp, XdpMode},
    util::KernelVersion,
};
use configure::{Edit, edit_filter, settings_of, write_settings, write_tunnels};
use error::{missing, refused};
use sensor_ebpf::{COUNTERS_LEN, Class, Counter, Settings, Verdict, counter_index, names};
use std::{fmt, io, os::fd::RawFd};

/// XDP links, which vanish with the process that made them, came with 5.9.
const KERNEL_MIN: KernelVersion = KernelVersion::new(5, 9, 0);

const _: () = assert!(COUNTERS_LEN as usize >= Verdict::ALL.len() * 16);

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver.
    Native,
    /// In the stack, after the kernel has built its own packet buffer.
    Generic,
}

/// Kernel counters of every verdict and class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramCounts([[Counter; Class::ALL.len()]; Verdict::ALL.len()]);

/// The attached program. Dropping it detaches, and so does the death of the process.
pub struct Program {
    ebpf: Ebpf,
    mode: AttachMode,
    /// Cells of the contract's `Counter`: packets, bytes.
    counters: PerCpuArray<MapData, [u64; 2]>,
    sockets: XskMap<MapData>,
    settings: Settings,
    filter: FilterConfig,
    is_attached: bool,
}

/// What to attach.
#[derive(Clone, Copy, Debug)]
pub struct ProgramRequest<'a> {
    pub interface: &'a str,
    pub mode: XdpModeChoice,
    /// Frames may span several buffers.
    pub multi_buffer: bool,
    pub settings: Settings,
    pub filter: &'a FilterConfig,
    /// `None` where only outer flows are counted.
    pub tunnels: Option<&'a TunnelSteering>,
}

/// Userspace counts the flows inside of tunnels: the program steers tunnel packets by their outer addresses, and does
/// not sample them. The IP protocols that it takes for tunnels are [`sensor_ebpf::ip_protocol::is_tunnel`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelSteering {
    /// UDP ports that stand for tunnels, on either side.
    pub ports: Vec<u16>,
}

impl Default for TunnelSteering {
    /// VXLAN (also Linux's own port, and GPE), Geneve, GTP-U, Teredo, MPLS, GRE, L2TP.
    fn default() -> TunnelSteering {
        TunnelSteering { ports: vec![4789, 8472, 4790, 6081, 2152, 3544, 6635, 4754, 1701] }
    }
}

#[cfg(has_ebpf_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf")));
#[cfg(not(has_ebpf_object))]
static OBJECT: Option<&[u8]> = None;

impl Program {
    /// Loads the program with its settings in place, then attaches it: no frame sees half of a configuration.
    pub fn attach(request: &ProgramRequest<'_>) -> Result<Program, AttachError> {
        let (mut ebpf, settings) = load(request)?;
        let counters = map(&mut ebpf, names::COUNTERS, PerCpuArray::try_from)?;
        let sockets = map(&mut ebpf, names::SOCKETS, XskMap::try_from)?;
        let mode = attach(&mut ebpf, request)?;
        let filter = request.filter.clone();
        Ok(Program { ebpf, mode, counters, sockets, settings, filter, is_attached: true })
    }

    pub fn mode(&self) -> AttachMode {
        self.mode
    }

    /// Steers a slot of the socket map to a socket.
    pub fn set_socket(&mut self, slot: u32, socket: RawFd) -> Result<(), AttachError> {
        self.sockets
            .set(slot, socket, 0)
            .map_err(|error| refused("put a socket into the program's map", error))
    }

    /// Replaces the filter while the program runs: frames in between see parts of both.
    pub fn set_filter(&mut self, filter: &FilterConfig) -> Result<(), AttachError> {
        edit_filter(&mut self.ebpf, filter, Edit::Write)?;
        edit_filter(&mut self.ebpf, &self.filter.without(filter), Edit::Erase)?;
        self.filter = filter.clone();
        write_settings(&mut self.ebpf, self.settings, filter)
    }

    /// Sums over all CPUs.
    pub fn counts(&self) -> io::Result<ProgramCounts> {
        sum_counts(&self.counters)
    }

    /// Takes the program off the interface; its counters stay readable.
    pub fn detach(&mut self) {
        if !self.is_attached {
            return;
        }
        self.is_attached = false;
        for name in [names::PROGRAM, names::PROGRAM_FRAGS] {
            if let Some(program) = self.ebpf.program_mut(name)
                && let Ok(program) = <&mut Xdp>::try_from(program)
            {
                // Unloading drops the link, which is what attaches it.
                let _ = program.unload();
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("mode", &self.mode).field("is_attached", &self.is_attached).finish()
    }
}

impl ProgramCounts {
    pub fn get(&self, verdict: Verdict, class: Class) -> Counter {
        self.0[verdict as usize][class as usize]
    }

    pub fn packets(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize].iter().map(|counter| counter.packets).sum()
    }

    /// Frames that the program saw.
    pub fn offered(&self) -> u64 {
        Verdict::ALL.into_iter().map(|verdict| self.packets(verdict)).sum()
    }

    pub fn add(&mut self, other: &ProgramCounts) {
        for (own, other) in self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened()) {
            own.packets += other.packets;
            own.bytes += other.bytes;
        }
    }
}

impl AttachMode {
    pub const fn name(self) -> &'static str {
        match self {
            AttachMode::Native => "native",
            AttachMode::Generic => "generic",
        }
    }
}

/// Loads maps with settings and filter in them.
fn load(request: &ProgramRequest<'_>) -> Result<(Ebpf, Settings), AttachError> {
    let object = OBJECT.ok_or(AttachError::NotEmbedded)?;
    if KernelVersion::current().is_ok_and(|version| version < KERNEL_MIN) {
        return Err(AttachError::KernelTooOld);
    }
    let settings = settings_of(request);
    let mut ebpf =
        EbpfLoader::new().load(object).map_err(|error| refused("load the program's maps", error))?;
    edit_filter(&mut ebpf, request.filter, Edit::Write)?;
    if let Some(tunnels) = request.tunnels {
        write_tunnels(&mut ebpf, tunnels)?;
    }
    write_settings(&mut ebpf, settings, request.filter)?;
    Ok((ebpf, settings))
}

/// Has the verifier look at the program of the request.
fn verify<'a>(ebpf: &'a mut Ebpf, request: &ProgramRequest<'_>) -> Result<&'a mut Xdp, AttachError> {
    let name = if request.multi_buffer { names::PROGRAM_FRAGS } else { names::PROGRAM };
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    let program: &mut Xdp = program.try_into().map_err(|error| refused("find the program", error))?;
    program.load().map_err(|error| refused("load the program", error))?;
    Ok(program)
}

fn attach(ebpf: &mut Ebpf, request: &ProgramRequest<'_>) -> Result<AttachMode, AttachError> {
    let program = verify(ebpf, request)?;
    let modes: &[(XdpMode, AttachMode)] = match request.mode {
        XdpModeChoice::Auto => &[(XdpMode::Driver, AttachMode::Native), (XdpMode::Skb, AttachMode::Generic)],
        XdpModeChoice::Native => &[(XdpMode::Driver, AttachMode::Native)],
        XdpModeChoice::Generic => &[(XdpMode::Skb, AttachMode::Generic)],
    };
    let mut last = None;
    for (xdp_mode, mode) in modes {
        match program.attach(request.interface, *xdp_mode) {
            Ok(_) => return Ok(*mode),
            Err(error) => match error_number(&error) {
                Some(libc::EBUSY | libc::EEXIST) => {
                    return Err(AttachError::Occupied { interface: request.interface.to_owned() });
                }
                Some(libc::EPERM | libc::EACCES) => return Err(AttachError::NoPrivilege),
                _ => last = Some((mode.name(), error)),
            },
        }
    }
    let (mode, error) = last.expect("there is at least one mode");
    let interface = request.interface.to_owned();
    Err(AttachError::Unsupported { interface, mode, source: error.into() })
}

fn error_number(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        _ => None,
    }
}

fn sum_counts(counters: &PerCpuArray<MapData, [u64; 2]>) -> io::Result<ProgramCounts> {
    let mut counts = ProgramCounts::default();
    for verdict in Verdict::ALL {
        for class in Class::ALL {
            let per_cpu = counters.get(&counter_index(verdict, class), 0).map_err(io::Error::other)?;
            let total = &mut counts.0[verdict as usize][class as usize];
            for [packets, bytes] in per_cpu.iter() {
                total.packets += packets;
                total.bytes += bytes;
            }
        }
    }
    Ok(counts)
}

/// Takes a map out of the loaded object, for keeps.
fn map<T, E>(ebpf: &mut Ebpf, name: &str, convert: impl FnOnce(Map) -> Result<T, E>) -> Result<T, AttachError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let map = ebpf.take_map(name).ok_or_else(|| missing(name))?;
    convert(map).map_err(|error| refused("open the program's maps", error))
}

/// Borrows a map for one write.
fn borrowed<'a, T, E>(
    ebpf: &'a mut Ebpf,
    name: &str,
    convert: impl FnOnce(&'a mut Map) -> Result<T, E>,
) -> Result<T, AttachError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    convert(map).map_err(|error| refused("open the program's maps", error))
}
