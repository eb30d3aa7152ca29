//! Capture files, frame by frame, to anything that is `Write`.

use std::io::{self, Write};

use super::{
    BLOCK_ENHANCED, BLOCK_INTERFACE, BLOCK_SECTION, BLOCK_SIMPLE, ByteOrder, FRAME_BYTES_MAX, Format,
    MAGIC_BYTE_ORDER, MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, OPTION_END, OPTION_TIME_RESOLUTION,
};
use crate::frame::capture::CaptureLink;

/// Writes one capture file of frames of one link type.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: W,
    format: Format,
    order: ByteOrder,
    link: CaptureLink,
}

impl<W: Write> Writer<W> {
    /// Ethernet frames. Writes the file header at once.
    pub fn new(output: W, format: Format, order: ByteOrder) -> io::Result<Writer<W>> {
        Writer::with_link(output, format, order, CaptureLink::Ethernet)
    }

    /// Frames of another link.
    pub fn with_link(
        output: W,
        format: Format,
        order: ByteOrder,
        link: CaptureLink,
    ) -> io::Result<Writer<W>> {
        let mut writer = Writer { output, format, order, link };
        match format {
            Format::Pcap => writer.write_file_header(MAGIC_MICROSECONDS)?,
            Format::PcapNanoseconds => writer.write_file_header(MAGIC_NANOSECONDS)?,
            Format::Pcapng | Format::PcapngSimple => writer.write_section_and_interface()?,
        }
        Ok(writer)
    }

    /// Appends a whole frame. `time_ns` counts from the Unix epoch; `pcap` keeps microseconds of it.
    pub fn write(&mut self, time_ns: u64, frame: &[u8]) -> io::Result<()> {
        self.write_cut(time_ns, frame, frame.len())
    }

    /// Appends a frame of which the capture kept `captured` but that had `wire_bytes` on the wire.
    pub fn write_cut(&mut self, time_ns: u64, captured: &[u8], wire_bytes: usize) -> io::Result<()> {
        let kept = length(captured.len())?;
        let wire = length(wire_bytes)?;
        match self.format {
            Format::Pcap => self.write_record(time_ns, 1_000, captured, [kept, wire]),
            Format::PcapNanoseconds => self.write_record(time_ns, 1, captured, [kept, wire]),
            Format::Pcapng => {
                let (high, low) = ((time_ns >> 32) as u32, (time_ns & 0xffff_ffff) as u32);
                let head = self.words(&[0, high, low, kept, wire]);
                self.write_block(BLOCK_ENHANCED, &head, captured)
            }
            Format::PcapngSimple if kept == wire => {
                let head = self.words(&[wire]);
                self.write_block(BLOCK_SIMPLE, &head, captured)
            }
            Format::PcapngSimple => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "a Simple Packet Block holds whole frames"))
            }
        }
    }

    /// Flushes and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn write_file_header(&mut self, magic: u32) -> io::Result<()> {
        self.output.write_all(&self.order.put_u32(magic))?;
        self.output.write_all(&self.order.put_u16(2))?;
        self.output.write_all(&self.order.put_u16(4))?;
        let rest = self.words(&[0, 0, FRAME_BYTES_MAX, self.link.number()]);
        self.output.write_all(&rest)
    }

    fn write_record(
        &mut self,
        time_ns: u64,
        unit_ns: u64,
        frame: &[u8],
        lengths: [u32; 2],
    ) -> io::Result<()> {
        let seconds = u32::try_from(time_ns / 1_000_000_000)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "pcap ends in the year 2106"))?;
        let part = (time_ns % 1_000_000_000 / unit_ns) as u32;
        let head = self.words(&[seconds, part, lengths[0], lengths[1]]);
        self.output.write_all(&head)?;
        self.output.write_all(frame)
    }

    fn write_section_and_interface(&mut self) -> io::Result<()> {
        let mut section = self.words(&[MAGIC_BYTE_ORDER]);
        section.extend_from_slice(&self.order.put_u16(1));
        section.extend_from_slice(&self.order.put_u16(0));
        // Length of the section: not stated.
        section.extend_from_slice(&[0xff; 8]);
        self.write_block(BLOCK_SECTION, &section, &[])?;

        let mut interface = Vec::new();
        interface.extend_from_slice(&self.order.put_u16(self.link.number() as u16));
        interface.extend_from_slice(&self.order.put_u16(0));
        // A Simple Packet Block says nothing of its captured length: the snap length must not cut it.
        let snap_bytes = if self.format == Format::PcapngSimple { 0 } else { FRAME_BYTES_MAX };
        interface.extend_from_slice(&self.order.put_u32(snap_bytes));
        interface.extend_from_slice(&self.order.put_u16(OPTION_TIME_RESOLUTION));
        interface.extend_from_slice(&self.order.put_u16(1));
        interface.extend_from_slice(&[NANOSECONDS, 0, 0, 0]);
        interface.extend_from_slice(&self.order.put_u16(OPTION_END));
        interface.extend_from_slice(&self.order.put_u16(0));
        self.write_block(BLOCK_INTERFACE, &interface, &[])
    }

    fn write_block(&mut self, kind: u32, head: &[u8], frame: &[u8]) -> io::Result<()> {
        let padding = frame.len().next_multiple_of(4) - frame.len();
        let total = length(12 + head.len() + frame.len() + padding)?;
        self.output.write_all(&self.words(&[kind, total]))?;
        self.output.write_all(head)?;
        self.output.write_all(frame)?;
        self.output.write_all(&[0; 3][..padding])?;
        self.output.write_all(&self.words(&[total]))
    }

    fn words(&self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| self.order.put_u32(*number)).collect()
    }
}

/// `if_tsresol`: ten to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

fn length(bytes: usize) -> io::Result<u32> {
    let fits = u32::try_from(bytes).ok().filter(|bytes| *bytes <= FRAME_BYTES_MAX + 64);
    fits.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the frame is too long for a capture file")
    })
}
