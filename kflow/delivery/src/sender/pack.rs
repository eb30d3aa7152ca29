//! Records to bodies, for a device.

use crate::{
    ContentEncoding,
    device::Device,
    window::{FACTOR_ONE, OfFlow},
};
use kflow::{
    FlowRecord,
    body::BodyWriter,
    chf::Chf,
    codec::{ChfEncoder, Encoder},
    device::DeviceColumns,
};

/// Makes bodies of records.
pub trait Pack: Send + 'static {
    type Record: OfFlow + Send + 'static;

    /// Bodies are for this device from now on.
    fn set_device(&mut self, device: &Device);

    /// One body with these records, each of which stands for so many hundredths. The records may be changed.
    fn pack(&mut self, records: &mut [Self::Record], factor_hundredths: u32) -> Result<&[u8], kflow::Error>;

    fn encoding(&self) -> ContentEncoding;
}

/// For the records of a sensor.
#[derive(Debug)]
pub struct FlowPack {
    encoder: Encoder,
    columns: Columns,
    body: BodyWriter,
}

/// Which custom columns messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Those that the device has, under its numbers: for Kentik's receivers.
    OfDevice,
    /// All, and their names in each message.
    Named,
}

/// For records that are what the schema has.
#[derive(Debug)]
pub struct ChfPack {
    encoder: ChfEncoder,
    device_id: u32,
    body: BodyWriter,
}

impl FlowPack {
    pub fn new(columns: Columns, encoding: ContentEncoding) -> FlowPack {
        FlowPack { encoder: Encoder::new(), columns, body: BodyWriter::new(encoding) }
    }
}

impl Pack for FlowPack {
    type Record = FlowRecord;

    fn set_device(&mut self, device: &Device) {
        if self.columns == Columns::OfDevice {
            self.encoder = Encoder::for_device(&device_columns(device));
        }
    }

    fn pack(&mut self, records: &mut [FlowRecord], factor_hundredths: u32) -> Result<&[u8], kflow::Error> {
        let message = self.encoder.encode_thinned(records, factor_hundredths)?;
        Ok(self.body.write(message))
    }

    fn encoding(&self) -> ContentEncoding {
        self.body.encoding()
    }
}

impl ChfPack {
    pub fn new(encoding: ContentEncoding) -> ChfPack {
        ChfPack { encoder: ChfEncoder::new(), device_id: 0, body: BodyWriter::new(encoding) }
    }
}

impl Pack for ChfPack {
    type Record = Chf;

    fn set_device(&mut self, device: &Device) {
        self.device_id = device.id;
    }

    fn pack(&mut self, records: &mut [Chf], factor_hundredths: u32) -> Result<&[u8], kflow::Error> {
        for record in &mut *records {
            record.device_id = self.device_id;
            record.sample_rate = thinned_rate(record, factor_hundredths);
            record.sample_adj = true;
        }
        let message = self.encoder.encode(records)?;
        Ok(self.body.write(message))
    }

    fn encoding(&self) -> ContentEncoding {
        self.body.encoding()
    }
}

/// One in so many hundredths; as many as there is room for if they are more. A record that tells no rate stands for
/// itself as long as none is left out, and for more from then on.
fn thinned_rate(record: &Chf, factor_hundredths: u32) -> u32 {
    let hundredths = match record.sample_rate_hundredths() {
        0 if factor_hundredths > FACTOR_ONE => u64::from(FACTOR_ONE),
        told => told,
    };
    let thinned = hundredths.saturating_mul(u64::from(factor_hundredths)) / u64::from(FACTOR_ONE);
    u32::try_from(thinned).unwrap_or(u32::MAX)
}

fn device_columns(device: &Device) -> DeviceColumns {
    let mut columns = DeviceColumns::new(device.id);
    for column in &device.columns {
        columns.add(column.id, &column.name, &column.kind);
    }
    columns
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_in_hundredths_and_times_what_a_record_stands_for() {
        let rate = |sample_rate, sample_adj, factor_hundredths| {
            thinned_rate(&Chf { sample_rate, sample_adj, ..Chf::default() }, factor_hundredths)
        };
        assert_eq!(rate(4, false, 100), 400);
        assert_eq!(rate(400, true, 100), 400);
        assert_eq!(rate(4, false, 250), 1000);
        assert_eq!(rate(0, false, 100), 0, "nothing is told and nothing left out");
        assert_eq!(rate(0, true, 250), 250, "what is left out is told");
        assert_eq!(rate(u32::MAX, false, u32::MAX), u32::MAX);
    }
}
