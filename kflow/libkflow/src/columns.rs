//! The custom columns of a device: which there are, and what they are called.

use std::ffi::c_int;

use crate::abi::vtype;

/// One column, as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub id: u32,
    pub name: String,
    /// The API's word for the type of its values.
    pub kind: String,
}

impl Column {
    /// What values of this column are in C; 0 for a type that C has no number for.
    pub fn vtype(&self) -> c_int {
        match self.kind.as_str() {
            "string" => vtype::STR,
            "byte" => vtype::U8,
            "uint16" => vtype::U16,
            "uint32" => vtype::U32,
            "uint64" => vtype::U64,
            "int8" => vtype::I8,
            "int16" => vtype::I16,
            "int32" => vtype::I32,
            "int64" => vtype::I64,
            "float32" => vtype::F32,
            "float64" => vtype::F64,
            "addr" => vtype::ADDR,
            _ => 0,
        }
    }
}

/// All columns of a device, ready to be looked up.
#[derive(Debug)]
pub struct Columns {
    /// In the order of the API, which is what programs get.
    pub list: Vec<Column>,
    /// In ascending order.
    ids: Vec<u32>,
    /// Positions in the list, in the order of names.
    by_name: Vec<usize>,
}

impl Columns {
    pub fn new(list: Vec<Column>) -> Columns {
        let mut ids: Vec<u32> = list.iter().map(|column| column.id).collect();
        ids.sort_unstable();
        let mut by_name: Vec<usize> = (0..list.len()).collect();
        by_name.sort_by(|a, b| list[*a].name.cmp(&list[*b].name));
        Columns { list, ids, by_name }
    }

    pub fn has(&self, id: u32) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    pub fn id_of(&self, name: &[u8]) -> Option<u32> {
        let found = self.by_name.binary_search_by(|position| self.list[*position].name.as_bytes().cmp(name));
        found.ok().map(|place| self.list[self.by_name[place]].id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(id: u32, name: &str, kind: &str) -> Column {
        Column { id, name: name.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn columns_are_found_by_id_and_by_name() {
        let columns = Columns::new(vec![
            column(204, "KFLOW_DNS_RESPONSE", "string"),
            column(1, "RETRANSMITTED_IN_PKTS", "uint32"),
            column(6498, "INET_00", "addr"),
        ]);
        assert!(columns.has(1) && columns.has(6498) && columns.has(204) && !columns.has(2));
        assert_eq!(columns.id_of(b"INET_00"), Some(6498));
        assert_eq!(columns.id_of(b"KFLOW_DNS_RESPONSE"), Some(204));
        assert_eq!(columns.id_of(b"INET_0"), None);
    }

    #[test]
    fn every_type_of_the_api_has_its_number_and_others_have_none() {
        let words = [
            "string", "byte", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32",
            "float64", "addr",
        ];
        for (number, word) in (1..).zip(words) {
            assert_eq!(column(1, "", word).vtype(), number, "{word}");
        }
        assert_eq!(column(1, "", "inet").vtype(), 0);
    }
}
