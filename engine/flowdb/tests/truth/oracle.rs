//! SQLite with the rows.

use crate::queries::Query;
use crate::rows::{DEVICES, Row};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

#[derive(Debug)]
pub struct Oracle(Connection);

/// Columns as a flow table has them; `rate` is what a row counts for.
const TABLE: &str = "CREATE TABLE all_devices (
    i_device_name TEXT, i_start_time INTEGER, rate INTEGER, protocol INTEGER, l4_src_port INTEGER, l4_dst_port INTEGER,
    ipv4_src_addr INTEGER, ipv4_dst_addr INTEGER, in_bytes INTEGER, in_pkts INTEGER, out_bytes INTEGER, out_pkts INTEGER,
    tcp_flags INTEGER, tos INTEGER, input_port INTEGER, vlan_in INTEGER, src_as INTEGER, dst_as INTEGER, flow_tags TEXT,
    both_bytes INTEGER GENERATED ALWAYS AS (in_bytes + out_bytes),
    both_pkts INTEGER GENERATED ALWAYS AS (in_pkts + out_pkts))";

impl Oracle {
    pub fn new(rows: &[Row]) -> Oracle {
        let connection = Connection::open_in_memory().expect("memory is there");
        connection.execute_batch(TABLE).expect("it is a table");
        connection.execute_batch("PRAGMA case_sensitive_like = ON; BEGIN").expect("it begins");
        for name in DEVICES {
            let view =
                format!("CREATE VIEW {name} AS SELECT * FROM all_devices WHERE i_device_name = '{name}'");
            connection.execute_batch(&view).expect("it is a view");
        }
        let marks = vec!["?"; 19].join(", ");
        let mut insert = connection
            .prepare(&format!("INSERT INTO all_devices VALUES ({marks})"))
            .expect("it has so many columns");
        for row in rows {
            let absent = |number: u32| (number != 0).then_some(number);
            insert
                .execute(rusqlite::params![
                    DEVICES[row.device],
                    row.start_ms,
                    row.rate,
                    row.protocol,
                    row.source_port,
                    row.destination_port,
                    row.source,
                    row.destination,
                    row.in_bytes,
                    row.in_packets,
                    row.out_bytes,
                    row.out_packets,
                    row.tcp_flags,
                    row.tos,
                    absent(row.input),
                    absent(row.vlan),
                    absent(row.source_as),
                    absent(row.destination_as),
                    (!row.tags.is_empty()).then_some(row.tags),
                ])
                .expect("it is a row");
        }
        drop(insert);
        connection.execute_batch("COMMIT").expect("it is complete");
        Oracle(connection)
    }

    /// The answer as lines, columns apart by bars.
    pub fn ask(&self, query: &Query) -> Vec<String> {
        let sql = &query.sqlite;
        let mut statement = self.0.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{sql}: {error}")) {
            let cells: Vec<String> = (0..columns)
                .map(|column| match row.get_ref(column).expect("it is there") {
                    ValueRef::Null => "null".to_owned(),
                    ValueRef::Integer(number) => number.to_string(),
                    ValueRef::Real(number) => number.to_string(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    ValueRef::Blob(_) => panic!("{sql}: no column has bytes"),
                })
                .collect();
            lines.push(cells.join("|"));
        }
        lines
    }
}
