//! Memory from `mmap`, unmapped on drop.
#![expect(unsafe_code, reason = "mmap, madvise and munmap")]

use std::{io, os::fd::AsRawFd, os::fd::BorrowedFd, ptr::NonNull};

const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Which pages back the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HugePages {
    /// Ask for transparent huge pages; plain pages where there are none.
    Transparent,
    /// Pages reserved by the administrator (`vm.nr_hugepages`); an error if there are too few.
    Reserved,
    Off,
}

#[derive(Debug)]
pub struct Mapping {
    /// What `mmap` returned and how much of it.
    start: NonNull<u8>,
    mapped: usize,
    /// The part that is used, from `start + skip`.
    skip: usize,
    len: usize,
}

// SAFETY: memory belongs to no thread; access is up to those who use `base`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A ring of a socket, at the page offset that names it.
    pub fn of_ring(fd: BorrowedFd<'_>, len: usize, page_offset: i64) -> io::Result<Mapping> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping; the kernel checks descriptor, length and offset.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd.as_raw_fd(),
                page_offset,
            )
        };
        Mapping::checked(start, len, 0, len)
    }

    /// Zeroed memory for frames, aligned to huge pages and touched, so that no fault comes later.
    pub fn of_frames(len: usize, huge_pages: HugePages) -> io::Result<Mapping> {
        let len = len.next_multiple_of(HUGE_PAGE_BYTES);
        // Room to align by hand; reserved huge pages are aligned anyway.
        let (mapped, extra_flags) = match huge_pages {
            HugePages::Reserved => (len, libc::MAP_HUGETLB),
            HugePages::Transparent | HugePages::Off => (len + HUGE_PAGE_BYTES, 0),
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | extra_flags;
        // SAFETY: a new anonymous mapping.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), mapped, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        let skip = match huge_pages {
            HugePages::Reserved => 0,
            HugePages::Transparent | HugePages::Off => start.align_offset(HUGE_PAGE_BYTES),
        };
        let mapping = Mapping::checked(start, mapped, skip, len)?;
        let advice = match huge_pages {
            HugePages::Transparent => Some(libc::MADV_HUGEPAGE),
            HugePages::Off => Some(libc::MADV_NOHUGEPAGE),
            HugePages::Reserved => None,
        };
        if let Some(advice) = advice {
            // SAFETY: the range lies in the mapping. Advice may be refused (kernel without THP): that is fine.
            unsafe { libc::madvise(mapping.base().cast(), len, advice) };
        }
        // SAFETY: `len` bytes from base are mapped writable, and nobody else knows of them yet.
        unsafe { mapping.base().write_bytes(0, len) };
        Ok(mapping)
    }

    fn checked(start: *mut libc::c_void, mapped: usize, skip: usize, len: usize) -> io::Result<Mapping> {
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("mmap never maps page zero here");
        Ok(Mapping { start, mapped, skip, len })
    }

    pub fn base(&self) -> *mut u8 {
        // SAFETY: `skip + len <= mapped`.
        unsafe { self.start.as_ptr().add(self.skip) }
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; whoever borrows from it holds an Arc of it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}
