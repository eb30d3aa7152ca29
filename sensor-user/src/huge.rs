//! Large tables on large pages: fewer page faults at start, fewer misses of the address cache after it.
#![expect(unsafe_code, reason = "madvise has no safe interface")]

/// Size and alignment of a transparent huge page on x86-64 and on AArch64 with 4 KiB pages.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// `len` copies of `value`, on transparent huge pages where the kernel has them. Every page is touched.
pub fn filled<T: Clone>(value: T, len: usize) -> Box<[T]> {
    let mut table: Vec<T> = Vec::with_capacity(len);
    advise(table.as_mut_ptr().cast(), table.capacity() * size_of::<T>());
    table.resize(len, value);
    table.into_boxed_slice()
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
