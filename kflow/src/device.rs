//! The columns of a device: what Kentik's portal has numbers for.
//!
//! A device's description has a list of custom columns (`custom_column_data` of the API's `/device/…`), each with an id
//! (`field_id`), a name (`col_name`) and a type (`col_type`). In: these three, as the API has them. Out: what
//! [`crate::codec::Encoder::for_device`] needs to say what it has to say in the device's own numbers.

/// A device, and the columns that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceColumns {
    device_id: u32,
    columns: Vec<DeviceColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DeviceColumn {
    id: u32,
    name: String,
    column_type: ColumnType,
}

/// What a column of a device can hold. The portal has more types, which no flow message has values of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    Text,
    U8,
    U16,
    U32,
    U64,
    F32,
    Address,
}

impl DeviceColumns {
    pub fn new(device_id: u32) -> DeviceColumns {
        DeviceColumns { device_id, columns: Vec::new() }
    }

    /// Adds a column by its `field_id`, `col_name` and `col_type`. A column of a type that no flow message has values
    /// of, and another one of the same name, is as if it were not there.
    pub fn add(&mut self, id: u32, name: &str, type_name: &str) {
        if let Some(column_type) = ColumnType::from_name(type_name)
            && self.find(name).is_none()
        {
            self.columns.push(DeviceColumn { id, name: name.to_owned(), column_type });
        }
    }

    pub fn device_id(&self) -> u32 {
        self.device_id
    }

    /// Id and type of the column with this name.
    pub fn find(&self, name: &str) -> Option<(u32, ColumnType)> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        Some((column.id, column.column_type))
    }
}

impl ColumnType {
    /// The type by its name in the API; `None` for numbers with a sign, `float64` and what is not known.
    pub fn from_name(name: &str) -> Option<ColumnType> {
        match name {
            "string" => Some(ColumnType::Text),
            "byte" => Some(ColumnType::U8),
            "uint16" => Some(ColumnType::U16),
            "uint32" => Some(ColumnType::U32),
            "uint64" => Some(ColumnType::U64),
            "float32" => Some(ColumnType::F32),
            // The second name is that of the portal's own columns.
            "addr" | "inet" => Some(ColumnType::Address),
            _ => None,
        }
    }

    /// Whether it holds this number as it is.
    #[inline]
    pub fn holds(self, number: u64) -> bool {
        match self {
            ColumnType::Text | ColumnType::Address => false,
            ColumnType::U8 => number <= u64::from(u8::MAX),
            ColumnType::U16 => number <= u64::from(u16::MAX),
            ColumnType::U32 => number <= u64::from(u32::MAX),
            ColumnType::U64 => true,
            ColumnType::F32 => number <= 1 << f32::MANTISSA_DIGITS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_its_name_and_the_first_one_counts() {
        let mut columns = DeviceColumns::new(7);
        columns.add(2887, "STR00", "string");
        columns.add(1, "STR00", "uint32");
        columns.add(2, "SIGNED", "int32");
        assert_eq!(columns.device_id(), 7);
        assert_eq!(columns.find("STR00"), Some((2887, ColumnType::Text)));
        assert_eq!(columns.find("SIGNED"), None);
        assert_eq!(columns.find("str00"), None);
    }

    #[test]
    fn a_number_is_held_as_it_is_or_not_at_all() {
        let largest = [
            (ColumnType::U8, 0xFF),
            (ColumnType::U16, 0xFFFF),
            (ColumnType::U32, 0xFFFF_FFFF),
            (ColumnType::F32, 1 << 24),
        ];
        for (column_type, number) in largest {
            assert!(column_type.holds(number) && !column_type.holds(number + 1), "{column_type:?}");
        }
        assert!(ColumnType::U64.holds(u64::MAX));
        assert!(!ColumnType::Text.holds(0) && !ColumnType::Address.holds(0));
        assert_eq!((1u64 << 24) as f32 as u64, 1 << 24);
    }
}
