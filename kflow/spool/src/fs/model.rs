//! A disk in memory that loses power the way disks do, for tests.
//!
//! What was not synced may be there after a loss of power or not, each change for itself: blocks of one write may come out
//! old, new, half new or as garbage, lengths and names may be new while contents are not, and the other way round.
//! What was synced is there. Blocks are 4096 bytes.

use super::{Access, File, Fs, Lock};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

/// Numbers that look random and are the same each time: splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// One directory on a disk in memory. A clone is the same directory.
#[derive(Clone, Debug)]
pub struct ModelFs(Arc<Mutex<Disk>>);

#[derive(Clone, Debug)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    locked: bool,
    random: Random,
    capacity: u64,
    is_read_only: bool,
    /// Operations until the power fails.
    operations_left: Option<u64>,
    syncs_to_fail: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    safe: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String),
}

/// What of the changes that are not safe is there after a loss of power.
#[derive(Clone, Copy, Debug)]
enum Survival {
    Nothing,
    Everything,
    Some,
}

impl Default for ModelFs {
    fn default() -> ModelFs {
        ModelFs::from_files(BTreeMap::new())
    }
}

impl ModelFs {
    /// A disk with these files, safe.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> ModelFs {
        // Another disk has other random numbers, and this one the same each time.
        let seed = files.values().fold(1, |seed, content| crc32c::crc32c_append(seed, content));
        let mut names = BTreeMap::new();
        let mut inodes = Vec::new();
        for (name, content) in files {
            names.insert(name, inodes.len());
            inodes.push(Inode { safe: content.clone(), content, changes: Vec::new() });
        }
        ModelFs(Arc::new(Mutex::new(Disk {
            inodes,
            safe_names: names.clone(),
            names,
            changes: Vec::new(),
            locked: false,
            random: Random(seed.into()),
            capacity: u64::MAX,
            is_read_only: false,
            operations_left: None,
            syncs_to_fail: 0,
        })))
    }

    /// What all files hold now.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let disk = self.disk();
        disk.names.iter().map(|(name, inode)| (name.clone(), disk.inodes[*inode].content.clone())).collect()
    }

    pub fn set_capacity(&self, bytes: u64) {
        self.disk().capacity = bytes;
    }

    pub fn set_read_only(&self, is_read_only: bool) {
        self.disk().is_read_only = is_read_only;
    }

    /// Lets power fail after so many more operations, if it has not failed yet. They fail from then on.
    pub fn fail_power_after(&self, operations: u64) {
        let mut disk = self.disk();
        if disk.operations_left != Some(0) {
            disk.operations_left = Some(operations);
        }
    }

    /// Lets this many syncs of files fail. What they were to make safe never will be, though it can be read.
    pub fn fail_syncs(&self, count: u64) {
        self.disk().syncs_to_fail = count;
    }

    /// The disk after the process died: everything is as it was, and whoever had it open has it no more.
    pub fn kill(&self) -> ModelFs {
        let mut disk = self.disk();
        let survivor = Disk { locked: false, operations_left: None, ..disk.clone() };
        disk.operations_left = Some(0);
        ModelFs(Arc::new(Mutex::new(survivor)))
    }

    /// The disk after a loss of power.
    pub fn lose_power(&self, random: &mut Random) -> ModelFs {
        let mut disk = self.disk();
        disk.operations_left = Some(0);
        let mut names = disk.safe_names.clone();
        let survival = Survival::draw(random);
        for change in &disk.changes {
            if survival.survives(random) {
                change.apply(&mut names);
            }
        }
        let mut files = BTreeMap::new();
        for (name, inode) in names {
            files.insert(name, disk.inodes[inode].after_power_loss(random));
        }
        let survivor = ModelFs::from_files(files);
        survivor.disk().random = disk.random.clone();
        survivor.disk().capacity = disk.capacity;
        survivor
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operate(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        match &mut disk.operations_left {
            None => {}
            Some(0) => return Err(io::Error::other("there is no power")),
            Some(left) => *left -= 1,
        }
        Ok(disk)
    }

    fn change(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.operate()?;
        if disk.is_read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(disk) }
    }
}

impl Survival {
    fn draw(random: &mut Random) -> Survival {
        match random.below(4) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            _ => Survival::Some,
        }
    }

    fn survives(self, random: &mut Random) -> bool {
        match self {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Some => random.one_in(2),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.content);
        self.changes.push(change);
    }

    fn after_power_loss(&self, random: &mut Random) -> Vec<u8> {
        let mut content = self.safe.clone();
        let survival = Survival::draw(random);
        for change in &self.changes {
            match change {
                Change::Length(length) => {
                    if survival.survives(random) {
                        change.apply(&mut content);
                    }
                    // An end in the middle of a block is a write to that block.
                    let end = (*length).min(content.len());
                    let block = end / BLOCK * BLOCK;
                    if matches!(survival, Survival::Some) && random.one_in(8) {
                        content[block..end].iter_mut().for_each(|byte| *byte = random.draw() as u8);
                    }
                }
                Change::Write { offset, bytes } => tear(&mut content, *offset, bytes, survival, random),
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Length(length) => content.resize(*length, 0),
            Change::Write { offset, bytes } => write(content, *offset, bytes),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// Writes some sectors of what was to be written, some of them half, some blocks as garbage.
fn tear(content: &mut Vec<u8>, offset: usize, bytes: &[u8], survival: Survival, random: &mut Random) {
    let mut at = 0;
    while at < bytes.len() {
        let next = ((offset + at) / SECTOR + 1) * SECTOR - offset;
        let sector = &bytes[at..next.min(bytes.len())];
        let is_torn = matches!(survival, Survival::Some) && random.one_in(8);
        if is_torn && random.one_in(2) {
            let block = (offset + at) / BLOCK * BLOCK;
            let garbage: Vec<u8> = (0..BLOCK).map(|_| random.draw() as u8).collect();
            let end = (block + BLOCK).min(content.len().max(offset + bytes.len()));
            write(content, block, &garbage[..end - block]);
        } else if is_torn {
            write(content, offset + at, &sector[..random.below(sector.len() as u64) as usize]);
        } else if survival.survives(random) {
            write(content, offset + at, sector);
        }
        at = next;
    }
}

impl Disk {
    fn used(&self) -> u64 {
        let lengths = self.names.values().map(|inode| self.inodes[*inode].content.len());
        lengths.map(|length| length.next_multiple_of(BLOCK) as u64).sum()
    }

    /// Whether a file can become this long.
    fn check_room(&self, inode: usize, length: usize) -> io::Result<()> {
        let growth = length.saturating_sub(self.inodes[inode].content.len()) as u64;
        let fits = growth == 0 || self.used() + growth <= self.capacity;
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Fs for ModelFs {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.operate()?.names.keys().cloned().collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let mut disk = if access == Access::Read { self.operate()? } else { self.change()? };
        let inode = match (disk.names.get(name).copied(), access) {
            (Some(inode), Access::Create) => {
                disk.inodes[inode].change(Change::Length(0));
                inode
            }
            (Some(inode), _) => inode,
            (None, Access::Create) => {
                let inode = disk.inodes.len();
                disk.inodes.push(Inode::default());
                disk.change_names(NameChange::Set(name.into(), inode));
                inode
            }
            (None, _) => return Err(io::ErrorKind::NotFound.into()),
        };
        drop(disk);
        Ok(Arc::new(ModelFile { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.change()?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameChange::Rename(from.into(), to.into()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.change()?;
        if !disk.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.change_names(NameChange::Remove(name.into()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.operate()?;
        disk.safe_names = disk.names.clone();
        disk.changes.clear();
        Ok(())
    }

    fn lock(&self, _name: &str) -> io::Result<Box<dyn Lock>> {
        let mut disk = self.operate()?;
        if disk.locked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        disk.locked = true;
        Ok(Box::new(ModelLock(self.clone())))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = self.operate()?;
        Ok(disk.capacity.saturating_sub(disk.used()))
    }

    fn random(&self) -> io::Result<u64> {
        Ok(self.operate()?.random.draw())
    }
}

#[derive(Debug)]
struct ModelLock(ModelFs);

impl Lock for ModelLock {}

impl Drop for ModelLock {
    fn drop(&mut self) {
        self.0.disk().locked = false;
    }
}

#[derive(Debug)]
struct ModelFile {
    fs: ModelFs,
    inode: usize,
}

impl ModelFile {
    fn change(&self, change: Change, length: usize) -> io::Result<()> {
        let mut disk = self.fs.change()?;
        disk.check_room(self.inode, length)?;
        disk.inodes[self.inode].change(change);
        Ok(())
    }
}

impl File for ModelFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.fs.operate()?;
        let content = &disk.inodes[self.inode].content;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = offset as usize;
        self.change(Change::Write { offset, bytes: bytes.to_vec() }, offset + bytes.len())?;
        Ok(bytes.len())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.fs.operate()?.inodes[self.inode].content.len() as u64)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.truncate(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.change(Change::Length(bytes as usize), bytes as usize)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.fs.operate()?;
        let is_failing = disk.syncs_to_fail > 0;
        disk.syncs_to_fail = disk.syncs_to_fail.saturating_sub(1);
        let inode = &mut disk.inodes[self.inode];
        let changes = std::mem::take(&mut inode.changes);
        if is_failing {
            return Err(io::Error::other("the disk did not take it"));
        }
        for change in changes {
            change.apply(&mut inode.safe);
        }
        Ok(())
    }
}
