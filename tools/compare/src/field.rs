//! The table of fields: what is compared, where each program says it, and what counts as equal.

use crate::conversation::Order;
use serde_json::Value as Json;

/// One thing that both programs say of a conversation.
#[derive(Debug)]
pub struct Field {
    /// The name in reports and in the list of explanations.
    pub name: &'static str,
    /// Its name in the facts, without the ending `_ab` or `_ba`.
    pub theirs: &'static str,
    /// Its name in the sensor's records, without `forward_` or `reverse_`.
    pub ours: &'static str,
    pub kind: Kind,
    pub of: Of,
    /// Share of conversations that has to be equal, percent.
    pub goal_percent: f64,
}

/// How a field is read, added up and compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number for each direction; equal if both are the same.
    Counter,
    /// A time of the conversation: theirs in seconds, ours in microseconds.
    Latency { tolerance_us: f64 },
}

/// Which conversations a field is compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    All,
    Tcp,
}

/// What a program says of one field of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// From the key's lower side, and to it.
    Counts([u64; 2]),
    /// Microseconds, ascending: one for each 5-tuple that has one.
    Latencies(Vec<f64>),
}

/// Fields of the outermost conversations.
pub static OUTER: [Field; 12] = [
    counter("packets", "packets", "packets"),
    counter("frame_bytes", "frame_bytes", "frame_bytes"),
    counter("bytes", "ip_bytes", "bytes"),
    counter("fragments", "fragments", "fragments"),
    analysis("retransmission", "retransmitted_packets"),
    analysis("fast_retransmission", "fast_retransmits"),
    analysis("spurious_retransmission", "spurious_retransmits"),
    analysis("out_of_order", "out_of_order_packets"),
    analysis("lost_segment", "lost_segments"),
    analysis("duplicate_ack", "duplicate_acks"),
    analysis("zero_window", "zero_windows"),
    Field {
        name: "initial_rtt",
        theirs: "initial_rtt",
        ours: "total_network_latency_us",
        kind: Kind::Latency { tolerance_us: 1.0 },
        of: Of::Tcp,
        goal_percent: 99.0,
    },
];

/// Fields of the innermost conversations. What the outer headers add to frames is no part of them.
pub static INNER: [Field; 2] =
    [counter("inner_packets", "packets", "packets"), counter("inner_bytes", "ip_bytes", "bytes")];

const fn counter(name: &'static str, theirs: &'static str, ours: &'static str) -> Field {
    Field { name, theirs, ours, kind: Kind::Counter, of: Of::All, goal_percent: 100.0 }
}

/// A count of tshark's TCP analysis.
const fn analysis(name: &'static str, ours: &'static str) -> Field {
    Field { name, theirs: name, ours, kind: Kind::Counter, of: Of::Tcp, goal_percent: 99.0 }
}

impl Field {
    /// The value of a conversation that a program does not know.
    pub fn nothing(&self) -> Value {
        match self.kind {
            Kind::Counter => Value::Counts([0, 0]),
            Kind::Latency { .. } => Value::Latencies(Vec::new()),
        }
    }

    /// Reads the object of one conversation in the facts. What is zero may be left out there.
    pub fn read_theirs(&self, conversation: &Json, order: Order) -> Value {
        let count = |side| conversation[format!("{}_{side}", self.theirs)].as_u64().unwrap_or(0);
        match self.kind {
            Kind::Counter => Value::Counts(order.apply([count("ab"), count("ba")])),
            Kind::Latency { .. } => {
                Value::Latencies(conversation[self.theirs].as_f64().map(|s| s * 1e6).into_iter().collect())
            }
        }
    }

    /// Reads a record of the sensor; `None` if the record has no such field.
    pub fn read_ours(&self, record: &Json, order: Order) -> Option<Value> {
        match self.kind {
            Kind::Counter => {
                let count = |direction| record.get(format!("{direction}_{}", self.ours))?.as_u64();
                Some(Value::Counts(order.apply([count("forward")?, count("reverse")?])))
            }
            // Null is unknown.
            Kind::Latency { .. } => {
                Some(Value::Latencies(record.get(self.ours)?.as_f64().into_iter().collect()))
            }
        }
    }

    pub fn is_equal(&self, theirs: &Value, ours: &Value) -> bool {
        match (self.kind, theirs, ours) {
            (Kind::Latency { tolerance_us }, Value::Latencies(theirs), Value::Latencies(ours)) => {
                // Theirs went through seconds in floating point.
                let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance_us + 1e-3;
                theirs.len() == ours.len() && theirs.iter().zip(ours).all(is_near)
            }
            _ => theirs == ours,
        }
    }
}

impl Of {
    /// Whether a conversation with or without TCP in it is one of these.
    pub fn includes(self, has_tcp: bool) -> bool {
        self == Of::All || has_tcp
    }
}

impl Value {
    pub fn is_nothing(&self) -> bool {
        match self {
            Value::Counts(counts) => *counts == [0, 0],
            Value::Latencies(latencies) => latencies.is_empty(),
        }
    }

    pub fn add(&mut self, other: Value) {
        match (self, other) {
            (Value::Counts(sum), Value::Counts(counts)) => {
                for (sum, count) in sum.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
            (Value::Latencies(all), Value::Latencies(more)) => {
                all.extend(more);
                all.sort_by(f64::total_cmp);
            }
            (one, other) => panic!("values of one field are of one kind, not {one:?} and {other:?}"),
        }
    }

    /// Continues with what a later record of the same 5-tuple says: counts add up, of latencies the last one holds.
    pub fn follow(&mut self, later: Value) {
        match (&mut *self, &later) {
            (Value::Latencies(_), Value::Latencies(known)) if known.is_empty() => {}
            (Value::Latencies(_), _) => *self = later,
            (Value::Counts(_), _) => self.add(later),
        }
    }

    /// As a report shows it: `there/back` or microseconds.
    pub fn shown(&self) -> String {
        match self {
            Value::Counts([there, back]) => format!("{there}/{back}"),
            Value::Latencies(latencies) if latencies.is_empty() => "unknown".to_owned(),
            Value::Latencies(latencies) => {
                let shown: Vec<String> = latencies.iter().map(|us| format!("{us:.1} us")).collect();
                shown.join(", ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(name: &str) -> &'static Field {
        OUTER.iter().find(|field| field.name == name).unwrap()
    }

    #[test]
    fn counts_of_both_programs_are_read_in_the_order_of_the_key() {
        let theirs = json!({"ip_bytes_ab": 7, "ip_bytes_ba": 9});
        let ours = json!({"forward_bytes": 9, "reverse_bytes": 7});
        let bytes = field("bytes");
        let read = bytes.read_ours(&ours, Order::Reversed).unwrap();
        assert_eq!(read, Value::Counts([7, 9]));
        assert!(bytes.is_equal(&bytes.read_theirs(&theirs, Order::AsKey), &read));
    }

    #[test]
    fn count_that_the_facts_leave_out_is_zero() {
        let value = field("retransmission").read_theirs(&json!({"retransmission_ba": 2}), Order::AsKey);
        assert_eq!(value, Value::Counts([0, 2]));
    }

    #[test]
    fn field_that_the_record_lacks_is_not_read() {
        let record = json!({"forward_packets": 1, "reverse_packets": 1});
        assert!(field("packets").read_ours(&record, Order::AsKey).is_some());
        assert!(field("zero_window").read_ours(&record, Order::AsKey).is_none());
        assert!(field("initial_rtt").read_ours(&record, Order::AsKey).is_none());
    }

    #[test]
    fn later_record_adds_counts_and_replaces_the_latency_it_knows() {
        let mut counts = Value::Counts([1, 2]);
        counts.follow(Value::Counts([3, 4]));
        assert_eq!(counts, Value::Counts([4, 6]));
        let mut latency = Value::Latencies(vec![5.0]);
        latency.follow(Value::Latencies(Vec::new()));
        assert_eq!(latency, Value::Latencies(vec![5.0]));
        latency.follow(Value::Latencies(vec![7.0]));
        assert_eq!(latency, Value::Latencies(vec![7.0]));
    }

    #[test]
    fn latency_is_equal_within_a_microsecond() {
        let rtt = field("initial_rtt");
        let theirs = rtt.read_theirs(&json!({"initial_rtt": 0.000041}), Order::AsKey);
        let equals = |ours: Json| {
            let record = json!({"total_network_latency_us": ours});
            rtt.is_equal(&theirs, &rtt.read_ours(&record, Order::AsKey).unwrap())
        };
        assert!(equals(json!(41)) && equals(json!(40)) && equals(json!(42)));
        assert!(!equals(json!(39)) && !equals(json!(43)) && !equals(Json::Null));
    }
}
