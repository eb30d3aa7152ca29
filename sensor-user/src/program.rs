//! The XDP program in the kernel: load, attach, configure, count, detach. The only file that names aya.

use crate::{
    config::{FilterConfig, XdpModeChoice},
    interface,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, MapError, PerCpuArray, XskMap, lpm_trie::Key, lpm_trie::LpmTrie},
    programs::{ProgramError, Xdp, XdpMode},
    util::KernelVersion,
};
use sensor_ebpf::{
    COUNTERS_LEN, Class, Counter, Settings, Verdict, counter_index,
    filter_rule::{EXCLUDE, INCLUDE, NOT_NAMED},
    names, settings_flags,
};
use std::{fmt, io, net::IpAddr, os::fd::RawFd};

/// XDP links, which vanish with the process that made them, came with 5.9.
const KERNEL_MIN: KernelVersion = KernelVersion::new(5, 9, 0);

const VERIFIER_LINES_SHOWN: usize = 8;

/// linux/capability.h
const CAP_PERFMON: u32 = 38;

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

/// One sentence for each way that loading or attaching fails.
#[derive(Debug)]
pub enum AttachError {
    NotEmbedded,
    KernelTooOld,
    NoPrivilege,
    Occupied { interface: String },
    Unsupported { interface: String, mode: &'static str, source: anyhow::Error },
    Other { what: String, source: anyhow::Error },
}

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
}

#[cfg(has_ebpf_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf")));
#[cfg(not(has_ebpf_object))]
static OBJECT: Option<&[u8]> = None;

impl Program {
    /// Loads the program with its settings in place, then attaches it: no frame sees half of a configuration.
    pub fn attach(request: &ProgramRequest<'_>) -> Result<Program, AttachError> {
        let object = OBJECT.ok_or(AttachError::NotEmbedded)?;
        if KernelVersion::current().is_ok_and(|version| version < KERNEL_MIN) {
            return Err(AttachError::KernelTooOld);
        }
        let mut ebpf =
            EbpfLoader::new().load(object).map_err(|error| refused("load the program's maps", error))?;
        configure(&mut ebpf, request)?;
        let counters = map(&mut ebpf, names::COUNTERS, PerCpuArray::try_from)?;
        let sockets = map(&mut ebpf, names::SOCKETS, XskMap::try_from)?;
        let mode = attach(&mut ebpf, request)?;
        let (settings, filter) = (request.settings, request.filter.clone());
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
        let mut counts = ProgramCounts::default();
        for verdict in Verdict::ALL {
            for class in Class::ALL {
                let per_cpu =
                    self.counters.get(&counter_index(verdict, class), 0).map_err(io::Error::other)?;
                let total = &mut counts.0[verdict as usize][class as usize];
                for [packets, bytes] in per_cpu.iter() {
                    total.packets += packets;
                    total.bytes += bytes;
                }
            }
        }
        Ok(counts)
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

fn configure(ebpf: &mut Ebpf, request: &ProgramRequest<'_>) -> Result<(), AttachError> {
    edit_filter(ebpf, request.filter, Edit::Write)?;
    write_settings(ebpf, request.settings, request.filter)
}

fn write_settings(ebpf: &mut Ebpf, settings: Settings, filter: &FilterConfig) -> Result<(), AttachError> {
    let mut flags = settings.flags;
    let mut set = |flag: u32, is_set: bool| {
        flags = if is_set { flags | flag } else { flags & !flag };
    };
    set(settings_flags::FILTER, !filter.is_empty());
    set(settings_flags::INCLUDE_PREFIXES, !filter.include_prefixes.is_empty());
    set(settings_flags::INCLUDE_PORTS, !filter.include_ports.is_empty());
    set(settings_flags::INCLUDE_PROTOCOLS, !filter.include_protocols.is_empty());
    let settings = SettingsPod(Settings { flags, ..settings });
    let mut array: Array<_, SettingsPod> = borrowed(ebpf, names::SETTINGS, Array::try_from)?;
    array.set(0, settings, 0).map_err(|error| refused("write the program's settings", error))
}

/// What to do with the rules of a filter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Write,
    Erase,
}

fn edit_filter(ebpf: &mut Ebpf, filter: &FilterConfig, edit: Edit) -> Result<(), AttachError> {
    let failed = |error| refused("write the filter", error);
    for (prefix, rule) in rules(&filter.include_prefixes, &filter.exclude_prefixes) {
        match prefix.address {
            IpAddr::V4(address) => {
                let mut trie: LpmTrie<_, [u8; 4], u8> =
                    borrowed(ebpf, names::PREFIXES_V4, LpmTrie::try_from)?;
                edit_prefix(&mut trie, address.octets(), prefix.length, rule, edit)
            }
            IpAddr::V6(address) => {
                let mut trie: LpmTrie<_, [u8; 16], u8> =
                    borrowed(ebpf, names::PREFIXES_V6, LpmTrie::try_from)?;
                edit_prefix(&mut trie, address.octets(), prefix.length, rule, edit)
            }
        }
        .map_err(failed)?;
    }
    let value = |rule| if edit == Edit::Write { rule } else { NOT_NAMED };
    let mut ports: Array<_, u8> = borrowed(ebpf, names::PORTS, Array::try_from)?;
    for (port, rule) in rules(&filter.include_ports, &filter.exclude_ports) {
        ports.set(u32::from(*port), value(rule), 0).map_err(failed)?;
    }
    let mut protocols: Array<_, u8> = borrowed(ebpf, names::PROTOCOLS, Array::try_from)?;
    for (protocol, rule) in rules(&filter.include_protocols, &filter.exclude_protocols) {
        protocols.set(u32::from(*protocol), value(rule), 0).map_err(failed)?;
    }
    Ok(())
}

fn edit_prefix<const N: usize>(
    trie: &mut LpmTrie<&mut MapData, [u8; N], u8>,
    address: [u8; N],
    length: u8,
    rule: u8,
    edit: Edit,
) -> Result<(), MapError>
where
    [u8; N]: aya::Pod,
{
    let key = Key::new(u32::from(length), address);
    match edit {
        Edit::Write => trie.insert(&key, rule, 0),
        // Erased already if it was both included and excluded.
        Edit::Erase => trie.remove(&key).or(Ok(())),
    }
}

/// Exclusions last, so that they win over an equal inclusion.
fn rules<'a, T>(include: &'a [T], exclude: &'a [T]) -> impl Iterator<Item = (&'a T, u8)> {
    include.iter().map(|value| (value, INCLUDE)).chain(exclude.iter().map(|value| (value, EXCLUDE)))
}

fn attach(ebpf: &mut Ebpf, request: &ProgramRequest<'_>) -> Result<AttachMode, AttachError> {
    let name = if request.multi_buffer { names::PROGRAM_FRAGS } else { names::PROGRAM };
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    let program: &mut Xdp = program.try_into().map_err(|error| refused("find the program", error))?;
    program.load().map_err(|error| refused("load the program", error))?;
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

fn missing(name: &str) -> AttachError {
    AttachError::Other {
        what: format!("find {name} in the embedded program"),
        source: anyhow::anyhow!(
            "sensor and eBPF object are of different versions: rebuild with `cargo xtask build`"
        ),
    }
}

/// Tells missing privilege from other refusals, wherever in the chain the kernel said so.
fn refused(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> AttachError {
    let source = anyhow::Error::new(error);
    let is_denied = source.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
            .is_some_and(|number| matches!(number, libc::EPERM | libc::EACCES))
    });
    // The verifier also answers EACCES, and says why; but without this capability it refuses what it else takes.
    let is_verdict = format!("{source:#}").contains("processed") && interface::has_capability(CAP_PERFMON);
    if is_denied && !is_verdict {
        return AttachError::NoPrivilege;
    }
    AttachError::Other { what: what.to_owned(), source: last_lines(&source) }
}

/// The verifier's answer is a listing of the whole program; what is wrong is in its last lines.
fn last_lines(error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.len().saturating_sub(VERIFIER_LINES_SHOWN);
    anyhow::anyhow!("{}", lines[tail..].join("\n"))
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::NotEmbedded => f.write_str(
                "this binary was built without its eBPF program: build it with `cargo xtask build`, \
                 or capture with --source afpacket",
            ),
            AttachError::KernelTooOld => f.write_str(
                "the xdp source needs Linux 5.9 or newer: capture with --source afpacket on this kernel",
            ),
            AttachError::NoPrivilege => f.write_str(
                "no privilege to load the XDP program: run as root, or with CAP_BPF, CAP_PERFMON, \
                 CAP_NET_ADMIN and CAP_NET_RAW",
            ),
            AttachError::Occupied { interface } => write!(
                f,
                "another XDP program is attached to {interface}: take it off first \
                 (`ip link set dev {interface} xdp off`), it is never replaced silently",
            ),
            AttachError::Unsupported { interface, mode, .. } => {
                write!(f, "{interface} does not take an XDP program in {mode} mode: try --source afpacket")
            }
            AttachError::Other { what, .. } => write!(f, "cannot {what}"),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AttachError::Unsupported { source, .. } | AttachError::Other { source, .. } => {
                Some(source.as_ref())
            }
            _ => None,
        }
    }
}

const _: () = assert!(COUNTERS_LEN as usize >= Verdict::ALL.len() * 16);

/// [`Settings`] as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct SettingsPod(Settings);

#[expect(unsafe_code, reason = "aya::Pod is the promise that any bytes are a value")]
mod pod {
    // SAFETY: integers only, no padding (asserted by size in the contract).
    unsafe impl aya::Pod for super::SettingsPod {}
}
