//! What C gets, in memory of malloc: the caller frees it.

#![expect(unsafe_code, reason = "C frees what it gets, and passes pointers to write to")]

use std::ffi::c_char;
use std::ptr;

use crate::abi;
use crate::columns::Columns;
use crate::failure::{Code, Failure};

/// A text as a string of C; null if malloc has no memory. A text with a zero ends there for C.
pub fn text(text: &str) -> *mut c_char {
    // SAFETY: malloc may be called with any size.
    let string = unsafe { libc::malloc(text.len() + 1) }.cast::<u8>();
    if !string.is_null() {
        // SAFETY: so many bytes and one more were allocated above, and nobody else knows of them.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), string, text.len());
            string.add(text.len()).write(0);
        }
    }
    string.cast()
}

/// A device in memory of malloc, which is freed unless it is handed over.
#[derive(Debug)]
pub struct Device(abi::Device);

impl Device {
    /// # Errors
    /// EKFLOWNOMEM; nothing is left allocated.
    pub fn new(id: u64, name: &str, sample_rate: u64, columns: &Columns) -> Result<Device, Failure> {
        let no_memory = || Failure::new(Code::NoMemory, "no memory to tell of the device");
        let count = u32::try_from(columns.list.len()).map_err(|_| no_memory())?;
        let mut device = Device(abi::Device {
            id,
            name: text(name),
            sample_rate,
            // Not null either way, as the one column of a device without any is never looked at.
            // SAFETY: calloc may be called with any size, and checks that the product fits.
            customs: unsafe { libc::calloc(columns.list.len().max(1), size_of::<abi::Custom>()) }.cast(),
            num_customs: 0,
        });
        if device.0.name.is_null() || device.0.customs.is_null() {
            return Err(no_memory());
        }
        for (place, column) in columns.list.iter().enumerate() {
            let name = text(&column.name);
            // SAFETY: so many columns were allocated above; zeros are a value of each member.
            let custom = unsafe { &mut *device.0.customs.add(place) };
            (custom.name, custom.id, custom.vtype) = (name, column.id.into(), column.vtype());
            device.0.num_customs += 1;
            if name.is_null() {
                return Err(no_memory());
            }
        }
        debug_assert_eq!(device.0.num_customs, count);
        Ok(device)
    }

    /// Writes the device to where the caller wants it; from then on its memory is the caller's.
    ///
    /// # Safety
    /// A device may be written where the pointer points.
    pub unsafe fn hand_over(self, to: *mut abi::Device) {
        let device = std::mem::ManuallyDrop::new(self);
        // SAFETY: the caller promises it. What is there need not be initialised.
        unsafe { to.write(device.0) };
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let columns = usize::try_from(self.0.num_customs).expect("a size has at least 32 bits");
        for place in 0..columns {
            // SAFETY: so many columns were filled in, and each name is null or came from malloc.
            unsafe { libc::free((*self.0.customs.add(place)).name.cast()) };
        }
        // SAFETY: both are null or came from malloc, and nobody was given them.
        unsafe {
            libc::free(self.0.customs.cast());
            libc::free(self.0.name.cast());
        }
    }
}
