//! Large tables on large pages: fewer page faults at start, fewer misses of the address cache after it.
#![expect(unsafe_code, reason = "madvise has no safe interface")]

/// Size and alignment of a transparent huge page on x86-64 and on AArch64 with 4 KiB pages.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Room for `capacity` values on transparent huge pages, where the kernel has them. Nothing is touched yet.
pub fn reserved<T>(capacity: usize) -> Vec<T> {
    let mut table: Vec<T> = Vec::with_capacity(capacity);
    advise(table.as_mut_ptr().cast(), table.capacity() * size_of::<T>());
    table
}

/// `len` zeros on transparent huge pages. Nothing is touched yet.
pub fn zeroed(len: usize) -> Box<[u64]> {
    let mut words = vec![0; len].into_boxed_slice();
    advise(words.as_mut_ptr().cast(), size_of_val(&*words));
    words
}

/// Has all pages of a table that [`reserved`] made there, whatever it holds now.
pub fn touch<T: Clone>(table: &mut Vec<T>, value: T) {
    let len = table.len();
    table.resize(table.capacity(), value);
    table.truncate(len);
}

/// Asks for huge pages in the whole ones that the range covers.
fn advise(start: *mut libc::c_void, bytes: usize) {
    let skip = start.align_offset(HUGE_PAGE_BYTES);
    if bytes < skip + HUGE_PAGE_BYTES {
        return;
    }
    let whole = (bytes - skip) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    // SAFETY: the range lies within one allocation. The advice changes which pages back it, not what it holds; a
    // kernel without huge pages refuses it, which is fine.
    unsafe { libc::madvise(start.byte_add(skip), whole, libc::MADV_HUGEPAGE) };
}
