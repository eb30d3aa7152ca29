//! The table as Markdown, which `COLUMNS.md` is a copy of.

use super::{Column, Kind, OWN_IDS, Wire, all, printed};
use crate::application::{AppProtocol, FieldKind, TEXT_BYTES_MAX};
use crate::record::{EndReason, TcpState, TunnelKind};
use std::fmt::Write;

/// The text of `COLUMNS.md`.
pub fn document() -> String {
    let mut text = HEAD.replace("OWN_IDS", &OWN_IDS.to_string());
    text.push_str(PRINTED_HEAD);
    for column in printed() {
        let wire = match &column.wire {
            Wire::Field(field) => (*field).to_owned(),
            Wire::Custom(custom) | Wire::Derived(custom) => format!("{} {}", custom.id, custom.name),
            Wire::Slots => "slots, see below".to_owned(),
            Wire::Implied(from) => format!("follows from {from}"),
        };
        let (kind, group) = (column.kind().name(), column.group.name());
        writeln!(
            text,
            "| `{}` | {kind} | {} | {group} | {wire} | {} |",
            column.name,
            column.unit,
            meaning(column)
        )
        .expect("a string takes every write");
    }
    text.push_str(DERIVED_HEAD);
    for column in all() {
        let Wire::Derived(custom) = &column.wire else {
            continue;
        };
        let (id, name, unit, group) = (custom.id, custom.name, column.unit, column.group.name());
        writeln!(text, "| {id} {name} | {unit} | {group} | {} |", meaning(column))
            .expect("a string takes every write");
    }
    text.push_str(NAMES_HEAD);
    let end_reasons = EndReason::ALL.map(|reason| (reason as u8, reason.name()));
    let tcp_states = TcpState::ALL.map(|state| (state as u8, state.name()));
    let tunnel_kinds = TunnelKind::ALL.map(|kind| (kind as u8, kind.name()));
    for (kind, names) in [
        (Kind::EndReason, &end_reasons[..]),
        (Kind::TcpState, &tcp_states[..]),
        (Kind::TunnelKind, &tunnel_kinds[..]),
    ] {
        let names: Vec<String> = names.iter().map(|(number, name)| format!("{number} `{name}`")).collect();
        writeln!(text, "- {}: {}.", kind.name(), names.join(", ")).expect("a string takes every write");
    }
    text.push_str(&APPLICATIONS_HEAD.replace("TEXT_BYTES_MAX", &TEXT_BYTES_MAX.to_string()));
    write_applications(&mut text);
    text.push_str(TAIL);
    text
}

fn write_applications(text: &mut String) {
    for protocol in AppProtocol::ALL {
        let (number, name, specification) = (protocol.number(), protocol.name(), protocol.specification());
        writeln!(text, "| {number} | `{name}` | {specification} |").expect("a string takes every write");
    }
    for (place, protocol) in AppProtocol::ALL.into_iter().enumerate() {
        let has_same_fields = |other: &AppProtocol| other.fields() == protocol.fields();
        if AppProtocol::ALL[..place].iter().any(has_same_fields) {
            continue;
        }
        let alike = AppProtocol::ALL.into_iter().filter(has_same_fields);
        let names: Vec<String> = alike.map(|protocol| format!("`{}`", protocol.name())).collect();
        writeln!(text, "\nFields of {}:\n", names.join(", ")).expect("a string takes every write");
        text.push_str(FIELDS_HEAD);
        for field in protocol.fields() {
            let kind = match field.kind {
                FieldKind::Number => "number",
                FieldKind::Text => "text",
                FieldKind::Address => "address",
            };
            let (id, slot) = (field.slot.id(), field.slot.name());
            writeln!(text, "| `{}` | {kind} | {id} {slot} | {} |", field.name, field.meaning)
                .expect("a string takes every write");
        }
    }
}

fn meaning(column: &Column) -> String {
    match column.unknown {
        "" => column.meaning.to_owned(),
        unknown => format!("{} Unknown {unknown}.", column.meaning),
    }
}

const HEAD: &str = "\
# Columns

The columns of a flow record: their names in JSON and CSV and their places in the flow message
(`schema/chf.capnp`). This file is written from `src/columns/`; a test compares the two.

- A value that is **unknown** is absent from JSON and from the message, and an empty cell in CSV. Zero is a value:
  it means that there was none of it.
- Columns that do not **apply** to a record are absent in the same way: those for TCP from records of other
  protocols, those for tunnels from flows that were in none, those for applications from flows in which none was
  recognised.
- CSV has all columns in this order; new ones come at the end.
- A number with an id is a **custom column** of the message. Ids above OWN_IDS are this project's own, lower ones
  those that common receivers use. Every message says the names of its ids in its first record, so a receiver maps
  by name. Numbers that are always known are left out of a record in which they are zero.
- What an application said is in **fields** with names of their own. In JSON they are members of the record's object,
  behind all columns. CSV has them in the one column `application`: a JSON object in a quoted cell (RFC 4180), so that
  lines keep their columns and DuckDB, PostgreSQL or pandas take the cell apart, as in `application->>'dns_query'`.
- `forward_` columns are about what the source sent, `reverse_` columns about what the destination sent; counters
  and latencies are those of the record's span unless the meaning says otherwise.
- What exactly the sensor counts as a retransmission, a round trip or an answer is in
  [TCP.md](../sensor-user/TCP.md).
";

const PRINTED_HEAD: &str = "
| name | type | unit | applies | in the flow message | meaning |
|---|---|---|---|---|---|
";

const DERIVED_HEAD: &str = "
## For receivers that know only common columns

These are in the message beside the columns above, neither printed nor read back. So are the schema's fields
`tcpFlags` and `tos` (both directions together), `tcpRetransmit` (`retransmitted_packets` of both directions),
`inputPort` and `outputPort` (the low 16 bits of the destination's and of the source's link-layer address).

A message to a **device** of such a receiver names no columns: it is in the device's ids, and has those of all columns
here that the device has by name, in the device's types. What a type cannot hold is left out, texts are cut at 384
bytes. If the device has `APP_PROTOCOL`, applications are in slots, and `RETRANSMITTED_OUT_PKTS` and `OOORDER_IN_PKTS`
have both directions together; otherwise some fields of DNS, HTTP, TLS and QUIC are in `KFLOW_DNS_QUERY`,
`KFLOW_DNS_QUERY_TYPE`, `KFLOW_DNS_RET_CODE`, `KFLOW_DNS_RESPONSE`, `KFLOW_HTTP_URL`, `KFLOW_HTTP_HOST` (also server
names of TLS and QUIC), `KFLOW_HTTP_REFERER`, `KFLOW_HTTP_UA` and `KFLOW_HTTP_STATUS`.

| in the flow message | unit | applies | meaning |
|---|---|---|---|
";

const NAMES_HEAD: &str = "
## Names

JSON and CSV have the names, the message has the numbers.

";

const APPLICATIONS_HEAD: &str = "
## What applications said

A record has one transaction (a request and its answer), or what is known of a session. More transactions of a flow are
in records of their own, of end reason `transaction`, which count no packets.

In the message `appProtocol` has the number of the protocol, and fields are in **slots**: custom columns that common
receivers know by these ids and names, and whose meaning depends on the protocol. A message names them (and the custom
columns of applications) only if the application of one of its records is known. Protocols that common receivers know
keep their numbers and slots there; numbers above 1000 are this project's own.

- Texts are UTF-8. What was something else is replaced by U+FFFD, and so is NUL.
- All texts of a record together have at most TEXT_BYTES_MAX bytes in the message; what is beyond is cut, at a character.
  That is as much as the sensor keeps of a transaction, and readers of kflow files get all of it. Receivers that are used
  to other senders may cut each text at 384 bytes.
- A message that names its columns names slots by their common names only. The older names for single protocols, such
  as `KFLOW_DNS_QUERY` or `KFLOW_HTTP_URL`, are for receivers whose device has no column `APP_PROTOCOL`.

| number | name | defined by |
|---|---|---|
";

const FIELDS_HEAD: &str = "\
| name | type | in the flow message | meaning |
|---|---|---|---|
";

const TAIL: &str = "
## What a sampled record says

A sensor that samples looks at one in `sample_rate` flows, chosen by a hash of the flow that is the same for both
directions. It sees every packet of the flows it looks at and none of the others; `sampling` says `flow` then.

- Everything about **one flow** is exact, as if nothing were sampled: packets, bytes, TCP metrics, latencies,
  Community ID. Do not multiply these.
- **Totals over flows** are estimates: the sum of a counter times `sample_rate`. What that rests on is the number of
  flows that were looked at, not of packets: with n flows of similar size the relative standard error is about
  1/√n (10 % for 100, 1 % for 10 000), and a few very large flows among small ones make it much worse.
- **Shares and means over flows** (such as the share of connections that were reset) need no multiplication and have
  the same kind of error.
- **Distinct counts** (of addresses, of ports) cannot be scaled: how often the flows that were not looked at repeat a
  value is not known. They are lower bounds. Only the number of flows itself is a total over flows.
- **Absence** says nothing: a conversation without a record may have been left out.

Records of different rates can be added after multiplying each by its own rate. On the wire the rate is in hundredths,
because a sender that had to leave records out makes up for it by the rates of those that are left: two in five sent is a
rate of 2.5. The record's whole number is the nearest one, at least 1; sums that shall be exact take the rate from the
message.

## What a record says of tunnels

A flow is keyed by the packets that were counted. If these were inside of a tunnel, the tunnel directly around them is
in the record; tunnels further outside only count in `tunnel_depth`.

- `tunnel_source_address` and `tunnel_destination_address` are the outer addresses of packets that the flow's source
  sent, so the way back has them exchanged; if the source sent nothing, they are those of the packets it received.
- `tunnel_forward_id` and `tunnel_reverse_id` are what tells tunnels between two ends apart, by direction, because the
  ends may use different ones: the VNI of VXLAN and Geneve, the key of GRE, the session of ERSPAN, the TEID of GTP-U, the
  SPI of AH. Other kinds have none, which is 0.
- Layer-3 bytes are those of the counted packet, without the tunnel's headers; frame bytes have everything.
- `community_id` is that of the counted packets.
";
