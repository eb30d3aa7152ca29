//! Random queries, each as the engine and as SQLite understand it.
//!
//! They differ in what a time is and in that sums of counters are normalised here, which SQLite is told in so many words.

use crate::rows::{DEVICES, MINUTES, PORTS, PROTOCOLS, TAGS};

/// A query in both dialects.
#[derive(Clone, Debug)]
pub struct Query {
    pub ours: String,
    pub sqlite: String,
    /// Whether its rows have an order.
    pub is_ordered: bool,
}

/// SplitMix64: a hash of a counter.
#[derive(Debug)]
pub struct Random(pub u64);

/// A piece of both.
#[derive(Clone, Debug)]
struct Text {
    ours: String,
    sqlite: String,
}

impl Random {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut hash = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (hash ^ hash >> 31) % end
    }

    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Some of the choices, each once, in their order; one at least.
    fn some_of<'a>(&mut self, choices: &[&'a str], most: u64) -> Vec<&'a str> {
        let count = 1 + self.below(most);
        let mut chosen: Vec<&str> = (0..count).map(|_| *self.one_of(choices)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }
}

impl Text {
    fn same(text: impl Into<String>) -> Text {
        let text = text.into();
        Text { ours: text.clone(), sqlite: text }
    }

    fn map(self, change: impl Fn(&str) -> String) -> Text {
        Text { ours: change(&self.ours), sqlite: change(&self.sqlite) }
    }
}

fn join(texts: &[Text], with: &str) -> Text {
    let part = |of: fn(&Text) -> &str| texts.iter().map(of).collect::<Vec<_>>().join(with);
    Text { ours: part(|text| &text.ours), sqlite: part(|text| &text.sqlite) }
}

/// Columns with few values, some of which are null.
const KEYS: [&str; 10] = [
    "protocol",
    "l4_dst_port",
    "tos",
    "input_port",
    "vlan_in",
    "src_as",
    "dst_as",
    "ipv4_dst_addr",
    "flow_tags",
    "i_device_name",
];
const NUMBERS: [&str; 8] =
    ["protocol", "l4_src_port", "l4_dst_port", "tcp_flags", "tos", "vlan_in", "src_as", "dst_as"];
const COUNTERS: [&str; 6] = ["in_bytes", "in_pkts", "out_bytes", "out_pkts", "both_bytes", "both_pkts"];
const TABLES: [&str; 3] = [DEVICES[0], DEVICES[1], "all_devices"];

/// A query about rows that begin with this millisecond.
pub fn draw(random: &mut Random, base_ms: i64) -> Query {
    let table = *random.one_of(&TABLES);
    let text = match random.below(20) {
        0 => rows(random, table, base_ms),
        1 => window(random, table, base_ms),
        2..4 => distinct(random, table, base_ms),
        4..6 => join_values(random, table, base_ms),
        6..8 => nested(random, table, base_ms),
        _ => groups(random, table, base_ms),
    };
    finish(random, text)
}

/// A query without an end, and how many columns it has.
struct Body {
    text: Text,
    columns: usize,
}

/// Some have an order that decides every row, and then perhaps a limit.
fn finish(random: &mut Random, Body { text, columns }: Body) -> Query {
    let is_ordered = random.one_in(2);
    let mut end = String::new();
    if is_ordered {
        let order = (1..=columns).map(|column| {
            let (direction, nulls) = (random.one_of(&["ASC", "DESC"]), random.one_of(&["FIRST", "LAST"]));
            format!("{column} {direction} NULLS {nulls}")
        });
        end = format!(" ORDER BY {}", order.collect::<Vec<_>>().join(", "));
        if random.one_in(2) {
            end = format!("{end} LIMIT {}", random.below(20));
            if random.one_in(3) {
                end = format!("{end} OFFSET {}", random.below(10));
            }
        }
    }
    let Text { ours, sqlite } = text.map(|text| format!("{text}{end}"));
    Query { ours, sqlite, is_ordered }
}

fn rows(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let mut columns: Vec<Text> = random.some_of(&KEYS, 3).into_iter().map(Text::same).collect();
    columns.extend(random.some_of(&COUNTERS, 2).into_iter().map(Text::same));
    columns.push(start());
    let wanted = filter(random, base_ms, 2);
    select(&columns, table, Some(wanted), "")
}

fn distinct(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let keys: Vec<Text> = random.some_of(&KEYS, 3).into_iter().map(Text::same).collect();
    let wanted = filter(random, base_ms, 2);
    let mut body = select(&keys, table, Some(wanted), "");
    body.text = body.text.map(|text| text.replacen("SELECT", "SELECT DISTINCT", 1));
    body
}

fn groups(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let mut keys = Vec::new();
    if !random.one_in(5) {
        keys.extend(random.some_of(&KEYS, 3).into_iter().map(Text::same));
    }
    if random.one_in(4) {
        keys.push(minute());
    }
    let count = keys.len();
    let mut columns = keys;
    for _ in 0..=random.below(3) {
        columns.push(aggregate(random));
    }
    let wanted = (!random.one_in(4)).then(|| filter(random, base_ms, 2));
    let mut body = select(&columns, table, wanted, "");
    if count > 0 {
        let places = (1..=count).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
        let mut end = Text::same(format!(" GROUP BY {places}"));
        if random.one_in(4) {
            let (value, least) = (aggregate(random), random.below(1000));
            let having = value.map(|value| format!(" HAVING {value} > {least}"));
            end = join(&[end, having], "");
        }
        body.text = join(&[body.text, end], "");
    }
    body
}

/// Rows beside a small table that is written down in the query.
fn join_values(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let kind = *random.one_of(&["JOIN", "LEFT JOIN"]);
    let values: Vec<String> = (0..1 + random.below(4))
        .map(|index| format!("({}, 'name{index}')", random.one_of(&PROTOCOLS)))
        .collect();
    let names = format!("(VALUES {}) AS names", values.join(", "));
    let wanted = filter(random, base_ms, 1);
    let from = format!("{table} AS flows {kind} {names} ON flows.protocol = names.column1");
    let columns = [Text::same("names.column2"), raw_aggregate(random), raw_aggregate(random)];
    select(&columns, &from, Some(wanted), " GROUP BY 1")
}

/// Ranks and sums beside rows.
fn window(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let (key, counter) = (*random.one_of(&KEYS), *random.one_of(&COUNTERS));
    let by = format!("PARTITION BY {key}");
    let function = match random.below(4) {
        0 => format!("rank() OVER ({by} ORDER BY {counter} DESC)"),
        1 => format!("dense_rank() OVER ({by} ORDER BY l4_src_port)"),
        2 => format!("max({counter}) OVER ({by})"),
        _ => format!("min(l4_src_port) OVER ({by} ORDER BY l4_src_port, {counter})"),
    };
    let columns = [Text::same(key), Text::same("l4_src_port"), Text::same(counter), Text::same(function)];
    let wanted = filter(random, base_ms, 2);
    select(&columns, table, Some(wanted), "")
}

/// Queries in queries.
fn nested(random: &mut Random, table: &str, base_ms: i64) -> Body {
    let wanted = filter(random, base_ms, 1);
    match random.below(3) {
        0 => {
            let keys = random.some_of(&KEYS, 3);
            let value = aggregate(random).map(|value| format!("{value} AS value"));
            let mut inner: Vec<Text> = keys.iter().map(|key| Text::same(*key)).collect();
            inner.push(value);
            let places = (1..=keys.len()).map(|place| place.to_string()).collect::<Vec<_>>().join(", ");
            let inner = select(&inner, table, Some(wanted), &format!(" GROUP BY {places}"));
            let key = keys[0];
            let outer = |text: &str| {
                format!(
                    "SELECT {key}, count(value), max(value), sum(value) FROM ({text}) AS parts GROUP BY 1"
                )
            };
            Body { text: inner.text.map(outer), columns: 4 }
        }
        1 => {
            let key = *random.one_of(&NUMBERS);
            let other = *random.one_of(&TABLES);
            let inner = select(&[Text::same(key)], other, Some(wanted), "");
            let not = *random.one_of(&["", " NOT"]);
            let wanted = inner
                .text
                .map(|text| format!("{key} IS NOT NULL AND {key}{not} IN ({text} AND {key} IS NOT NULL)"));
            select(&[Text::same("protocol"), aggregate(random)], table, Some(wanted), " GROUP BY 1")
        }
        _ => {
            let number = *random.one_of(&NUMBERS);
            let inner = select(&[Text::same(format!("avg({number})"))], table, Some(wanted), "");
            let wanted = inner.text.map(|text| format!("{number} > ({text})"));
            select(&[Text::same("tos"), aggregate(random)], table, Some(wanted), " GROUP BY 1")
        }
    }
}

/// The same column twice is an error in the engine.
fn select(all: &[Text], from: &str, wanted: Option<Text>, end: &str) -> Body {
    let mut columns: Vec<Text> = Vec::new();
    for column in all {
        if columns.iter().all(|other| other.ours != column.ours) {
            columns.push(column.clone());
        }
    }
    let list = join(&columns, ", ").map(|list| format!("SELECT {list} FROM {from}"));
    let text = match wanted {
        Some(wanted) => join(&[list, wanted], " WHERE "),
        None => list,
    };
    Body { text: text.map(|text| format!("{text}{end}")), columns: columns.len() }
}

fn start() -> Text {
    Text { ours: "CAST(i_start_time AS BIGINT)".into(), sqlite: "i_start_time".into() }
}

fn minute() -> Text {
    Text {
        ours: "CAST(date_trunc('minute', i_start_time) AS BIGINT)".into(),
        sqlite: "i_start_time / 60000 * 60000".into(),
    }
}

/// An aggregate; of counters and of rows it is normalised.
fn aggregate(random: &mut Random) -> Text {
    let counter = *random.one_of(&COUNTERS);
    match random.below(5) {
        0 => Text { ours: "count(*)".into(), sqlite: "coalesce(sum(rate), 0)".into() },
        1 => Text { ours: format!("sum({counter})"), sqlite: format!("sum({counter} * rate)") },
        2 => Text {
            ours: format!("avg({counter})"),
            sqlite: format!("CAST(sum({counter} * rate) AS REAL) / sum(rate)"),
        },
        _ => raw_aggregate(random),
    }
}

/// An aggregate that means the same in both.
fn raw_aggregate(random: &mut Random) -> Text {
    let (key, number) = (*random.one_of(&KEYS), *random.one_of(&NUMBERS));
    let counter = *random.one_of(&COUNTERS);
    Text::same(match random.below(8) {
        0 => format!("count({key})"),
        1 => format!("count(DISTINCT {key})"),
        2 => format!("min({number})"),
        3 => format!("max({counter})"),
        4 => format!("sum({number})"),
        5 => format!("avg({number})"),
        6 => format!("sum(CASE WHEN {number} > 20 THEN 1 ELSE 0 END)"),
        _ => format!("max({number} + tcp_flags)"),
    })
}

fn filter(random: &mut Random, base_ms: i64, depth: u32) -> Text {
    if depth > 0 && random.one_in(2) {
        let (left, right) = (filter(random, base_ms, depth - 1), filter(random, base_ms, depth - 1));
        let with = *random.one_of(&[" AND ", " AND ", " OR "]);
        let both = join(&[left, right], with).map(|text| format!("({text})"));
        return if random.one_in(6) { both.map(|text| format!("NOT {text}")) } else { both };
    }
    condition(random, base_ms)
}

fn condition(random: &mut Random, base_ms: i64) -> Text {
    let number = *random.one_of(&NUMBERS);
    let key = *random.one_of(&KEYS);
    let counter = *random.one_of(&COUNTERS);
    let compare = *random.one_of(&["=", "<>", "<", "<=", ">", ">="]);
    let (one, other) = (constant(random, number), constant(random, number));
    Text::same(match random.below(12) {
        0 => format!("{number} {compare} {one}"),
        1 => format!("{number} BETWEEN {} AND {}", one.min(other), one.max(other)),
        2 => format!("{number} IN ({one}, {other})"),
        3 => format!("{number} NOT IN ({one}, {other})"),
        4 => format!("{key} IS NULL"),
        5 => format!("{key} IS NOT NULL"),
        6 => format!("{counter} {compare} {}", 1 << random.below(18)),
        7 => format!("flow_tags LIKE '{}'", random.one_of(&["b%", "%e", "%l_e%", "Blue", "%"])),
        8 => format!("flow_tags {compare} '{}'", random.one_of(&TAGS)),
        9 => format!("{number} % 7 {compare} {}", random.below(7)),
        _ => return time(random, base_ms),
    })
}

/// A value that the column has, or nearly.
fn constant(random: &mut Random, column: &str) -> u32 {
    match column {
        "protocol" => *random.one_of(&PROTOCOLS),
        "l4_dst_port" => *random.one_of(&PORTS),
        "l4_src_port" => 1024 + random.below(300) as u32,
        "vlan_in" => random.below(4) as u32 * 100,
        "src_as" => random.below(12) as u32 * 64_500,
        _ => random.below(32) as u32,
    }
}

/// A span of time, of whole minutes as often as not.
fn time(random: &mut Random, base_ms: i64) -> Text {
    let mut moment = || {
        let minute = random.below(MINUTES as u64 + 1) as i64 * 60_000;
        base_ms + if random.one_in(2) { minute } else { minute + random.below(60_000) as i64 }
    };
    let (one, other) = (moment(), moment());
    let (from, until) = (one.min(other), one.max(other));
    let text = |moment: &dyn Fn(i64) -> String| match from % 3 {
        0 => format!("i_start_time >= {}", moment(from)),
        1 => format!("i_start_time < {}", moment(until)),
        _ => format!("i_start_time >= {} AND i_start_time < {}", moment(from), moment(until)),
    };
    Text { ours: text(&|ms| format!("to_timestamp_millis({ms})")), sqlite: text(&|ms| ms.to_string()) }
}
