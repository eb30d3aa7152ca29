//! TCP analysis by what is the matter with a segment, in the cache: one segment of each connection a pass, beside data
//! in order.

use crate::{
    callgrind,
    figure::Figure,
    frames::START,
    meter::{Work, side_by_side},
};
use kflow::TcpDirection;
use sensor_user::{
    clock::Moment,
    flow::tcp::{
        Connection, Events, Segment,
        flag::{ACK, SYN},
    },
};
use std::hint::black_box;

const CONNECTIONS: usize = 512;
const CLIENT: usize = 0;
const SERVER: usize = 1;
/// Sequence number of the first byte of each side's data.
const FIRST: [u32; 2] = [1_001, 5_001];
const DATA_BYTES: u32 = 1_000;
const MILLISECOND_NS: u64 = 1_000_000;
/// From one pass to the next, beyond any timeout of a sender.
const LAP_NS: u64 = 10_000 * MILLISECOND_NS;

const TIME_STAMPS: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
/// Time stamps, then one block of 1000 bytes.
const SACK: &[u8] = &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0x13, 0x88, 0, 0, 0x17, 0x70];
/// MSS, SACK permitted, time stamps, window scale.
const OF_SYN: &[u8] = &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];

/// Who sends, and what.
type Sent = (usize, Segment<'static>);

/// One kind of segment.
struct Feature {
    name: &'static str,
    /// What passed since the lap before, and does not count.
    before: fn(u32, &mut Talk),
    measured: fn(u32) -> Sent,
    /// What tells that the segment was taken for what it is.
    trace: fn(&[TcpDirection; 2]) -> u32,
}

const IN_ORDER: &str = "data in order";

const FEATURES: [Feature; 8] = [
    Feature {
        name: IN_ORDER,
        before: |lap, talk| talk.hear(acknowledgement(sent_bytes(lap), lap)),
        measured: |lap| data(sent_bytes(lap), lap),
        trace: |[client, _]| client.rtt_samples,
    },
    Feature {
        name: "ACK that ends a round trip",
        before: |lap, talk| talk.hear(data(sent_bytes(lap), lap)),
        measured: |lap| acknowledgement(sent_bytes(lap) + DATA_BYTES, lap),
        trace: |[client, _]| client.rtt_samples,
    },
    Feature {
        name: "duplicate ACK with SACK",
        before: |_, _| {},
        measured: |lap| with(acknowledgement(0, lap), |segment| segment.options = SACK),
        trace: |[_, server]| server.duplicate_acks,
    },
    Feature {
        name: "retransmission after a timeout",
        before: |lap, talk| {
            if lap == 0 {
                talk.hear(data(0, lap));
            }
        },
        measured: |lap| data(0, lap + 1),
        trace: |[client, _]| client.retransmitted_packets,
    },
    Feature {
        name: "segment out of order",
        before: |lap, talk| talk.hear(data(2 * sent_bytes(lap) + DATA_BYTES, lap)),
        measured: |lap| data(2 * sent_bytes(lap), lap),
        trace: |[client, _]| client.out_of_order_packets,
    },
    Feature {
        name: "SYN with options",
        before: |_, talk| *talk = Talk::NEW,
        measured: |lap| syn(lap),
        trace: |[client, _]| client.mss.map_or(0, u32::from),
    },
    Feature {
        name: "keep-alive",
        before: |_, _| {},
        measured: |lap| {
            with(data(0, lap), |segment| {
                segment.sequence = FIRST[CLIENT] - 1;
                segment.payload_bytes = 0;
            })
        },
        trace: |[client, _]| client.keep_alives,
    },
    Feature {
        name: "zero window",
        before: |_, _| {},
        measured: |lap| with(acknowledgement(0, lap), |segment| segment.window = 0),
        trace: |[_, server]| server.zero_windows,
    },
];

fn time(lap: u32) -> Moment {
    Moment(START.0 + u64::from(lap) * LAP_NS)
}

fn sent_bytes(lap: u32) -> u32 {
    lap * DATA_BYTES
}

fn syn(lap: u32) -> Sent {
    let sequence = FIRST[CLIENT] - 1;
    let (acknowledgement, window, flags, payload_bytes) = (0, 64_240, SYN, 0);
    let segment =
        Segment { sequence, acknowledgement, window, flags, payload_bytes, options: OF_SYN, time: time(lap) };
    (CLIENT, segment)
}

/// From the client, behind so many bytes.
fn data(behind: u32, lap: u32) -> Sent {
    with(syn(lap), |segment| {
        segment.sequence = FIRST[CLIENT].wrapping_add(behind);
        segment.acknowledgement = FIRST[SERVER];
        segment.flags = ACK;
        segment.payload_bytes = DATA_BYTES;
        segment.options = TIME_STAMPS;
    })
}

/// From the server, of so many bytes, a millisecond later.
fn acknowledgement(bytes: u32, lap: u32) -> Sent {
    let (_, segment) = with(data(0, lap), |segment| {
        segment.sequence = FIRST[SERVER];
        segment.acknowledgement = FIRST[CLIENT].wrapping_add(bytes);
        segment.payload_bytes = 0;
        segment.time.0 += MILLISECOND_NS;
    });
    (SERVER, segment)
}

fn with((sender, mut segment): Sent, change: impl FnOnce(&mut Segment<'static>)) -> Sent {
    change(&mut segment);
    (sender, segment)
}

#[derive(Clone)]
struct Talk {
    connection: Connection,
    events: Events,
}

impl Talk {
    const NEW: Talk = Talk { connection: Connection::NEW, events: Events::NEW };

    /// After a handshake of four milliseconds.
    fn established() -> Talk {
        let mut talk = Talk::NEW;
        let before = |milliseconds: u64| Moment(START.0 - milliseconds * MILLISECOND_NS);
        talk.hear(with(syn(0), |segment| segment.time = before(4)));
        let (_, answer) = with(syn(0), |segment| {
            segment.sequence = FIRST[SERVER] - 1;
            segment.acknowledgement = FIRST[CLIENT];
            segment.flags = SYN | ACK;
            segment.time = before(2);
        });
        talk.hear((SERVER, answer));
        talk.hear(with(data(0, 0), |segment| {
            segment.payload_bytes = 0;
            segment.time = START;
        }));
        talk
    }

    #[inline(always)]
    fn hear(&mut self, (sender, segment): Sent) {
        black_box(self.connection.observe(sender, &segment, &mut self.events));
    }
}

/// Connections that are all in the same state and send the same.
struct Alike {
    feature: &'static Feature,
    talks: Vec<Talk>,
    lap: u32,
}

impl Alike {
    fn new(feature: &'static Feature) -> Alike {
        let talks = vec![Talk::established(); CONNECTIONS];
        let mut alike = Alike { feature, talks, lap: 0 };
        for _ in 0..2 {
            alike.prepare();
            alike.pass();
        }
        let Talk { events, .. } = &alike.talks[0];
        let directions = [CLIENT, SERVER].map(|side| events.direction(side, time(alike.lap)));
        assert!((feature.trace)(&directions) > 0, "{} is seen as such: {directions:?}", feature.name);
        alike
    }
}

impl Work for Alike {
    fn packets(&self) -> usize {
        self.talks.len()
    }

    fn prepare(&mut self) {
        self.talks.iter_mut().for_each(|talk| (self.feature.before)(self.lap, talk));
        self.lap += 1;
    }

    fn pass(&mut self) {
        let sent = (self.feature.measured)(self.lap - 1);
        for talk in &mut self.talks {
            talk.hear(*black_box(&sent));
        }
    }
}

pub fn counted(name: &str) -> Option<Box<dyn Work>> {
    let feature = FEATURES.iter().find(|feature| feature.name == name)?;
    Some(Box::new(Alike::new(feature)))
}

pub fn measure() -> Vec<Figure> {
    let works = FEATURES.iter().map(|feature| Box::new(Alike::new(feature)) as Box<dyn Work>);
    let costs = side_by_side(&mut works.collect::<Vec<_>>());
    let mut figures = Vec::new();
    for (feature, cost) in FEATURES.iter().zip(&costs) {
        let time = Figure::new(format!("TCP analysis: {}", feature.name), cost.time_ns, "ns/segment");
        figures.push(time.against(IN_ORDER, costs[0].time_ns));
    }
    figures
        .extend(callgrind::figures("TCP analysis", FEATURES.iter().map(|feature| (feature.name, IN_ORDER))));
    figures
}
