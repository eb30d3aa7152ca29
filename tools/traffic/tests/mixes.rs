//! Mixes against a second opinion: every frame is parsed again, and what is counted in the parsed frames has to
//! be what the generator meant.

mod inspect;
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use traffic::frame::Ethernet;
use traffic::frame::ip::{Extension, Ip, Ipv4, Ipv6};
use traffic::frame::transport::{Icmp, Sctp, Tcp, Transport, Udp};
use traffic::frame::tunnel::TunnelKind;
use traffic::mix::{Conversation, ConversationKey, Expected, Mix, Options, START_NS, TimedFrame, Traffic};

use inspect::{Seen, inspect};
use proptest::prelude::*;

fn generate(options: Options) -> (Vec<TimedFrame>, Expected) {
    let mut traffic = Traffic::new(options);
    let frames = traffic.by_ref().collect();
    (frames, traffic.into_expected())
}

/// What the bytes of a frame alone say of it.
fn seen(mix: Mix, frame: &TimedFrame) -> Option<Seen> {
    if mix == Mix::Hostile {
        return rules::look(&frame.bytes);
    }
    inspect(&frame.bytes).unwrap_or_else(|wrong| panic!("{}: {wrong}", frame.description))
}

/// Counters from the bytes alone: conversations, and frames that belong to none.
fn counted(mix: Mix, frames: &[TimedFrame]) -> (BTreeMap<ConversationKey, Conversation>, u64) {
    let seen: Vec<_> = frames.iter().map(|frame| seen(mix, frame)).collect();
    let datagram =
        |seen: &Seen, identification| (seen.source, seen.destination, seen.protocol, identification);
    let firsts = seen.iter().flatten().filter_map(|seen| {
        let fragment = seen.fragment.filter(|fragment| fragment.is_first)?;
        Some((datagram(seen, fragment.identification), (seen.source_port, seen.destination_port)))
    });
    let ports_of: HashMap<_, _> = firsts.collect();
    let (mut known, mut not_flow) = (BTreeMap::<ConversationKey, Conversation>::new(), 0);
    for (seen, frame) in seen.iter().zip(frames) {
        let Some(seen) = seen else {
            not_flow += 1;
            continue;
        };
        let own = (seen.source_port, seen.destination_port);
        let later = seen.fragment.filter(|fragment| !fragment.is_first);
        let first = later.and_then(|later| ports_of.get(&datagram(seen, later.identification)));
        let (source_port, destination_port) = *first.unwrap_or(&own);
        let key = ConversationKey {
            source: seen.source,
            source_port,
            destination: seen.destination,
            destination_port,
            protocol: seen.protocol,
        };
        let counters = match known.get_mut(&key.reversed()) {
            Some(conversation) => &mut conversation.reverse,
            None => &mut known.entry(key).or_default().forward,
        };
        counters.packets += 1;
        counters.bytes += seen.packet_bytes as u64;
        counters.frame_bytes += frame.bytes.len() as u64;
    }
    (known, not_flow)
}

#[test]
fn every_frame_is_valid_and_the_counters_are_those_of_the_frames() {
    for mix in Mix::ALL {
        for seed in 0..5 {
            let (frames, expected) = generate(Options { mix, seed, conversations: 60 });
            let (conversations, not_flow) = counted(mix, &frames);
            for (key, conversation) in &expected.conversations {
                let counted = conversations.get(key);
                assert_eq!(counted, Some(conversation), "mix {} with seed {seed}: {key:?}", mix.name());
            }
            assert_eq!(conversations.len(), expected.conversations.len(), "mix {}", mix.name());
            assert_eq!(not_flow, expected.not_flow, "mix {} with seed {seed}", mix.name());
        }
    }
}

#[test]
fn without_tunnels_the_innermost_packet_is_the_outermost() {
    for mix in [Mix::All, Mix::Jumbo, Mix::TcpTrouble] {
        let (_, expected) = generate(Options { mix, seed: 6, conversations: 100 });
        assert_eq!(expected.inner_unstated, 0);
        assert_eq!(expected.inner_conversations.len(), expected.conversations.len());
        for (key, inner) in &expected.inner_conversations {
            let Conversation { forward, reverse } = expected.conversations[&key.conversation];
            assert_eq!((key.tunnel, key.domain, inner.depth), (TunnelKind::None, 0, 0));
            assert_eq!((inner.forward, inner.reverse), (forward, reverse));
        }
    }
}

#[test]
fn tenants_share_addresses_and_differ_in_their_network_alone() {
    let (_, expected) = generate(Options { mix: Mix::Tunnels, seed: 1, conversations: 2_000 });
    let in_networks = expected.inner_conversations.iter();
    let in_networks =
        in_networks.filter(|(key, _)| matches!(key.tunnel, TunnelKind::Vxlan | TunnelKind::Geneve));
    let mut networks_of: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
    for (key, conversation) in in_networks {
        assert_eq!(key.domain, conversation.forward_id);
        let hosts = (key.conversation.source, key.conversation.destination);
        networks_of.entry(hosts).or_default().insert(key.domain);
    }
    assert_eq!(networks_of.len(), 8, "four pairs of either family: {networks_of:?}");
    assert!(networks_of.values().all(|networks| networks.len() > 10), "{networks_of:?}");
}

#[test]
fn inner_and_outer_packets_are_as_many_and_every_kind_of_tunnel_is_there() {
    let (frames, expected) = generate(Options { mix: Mix::Tunnels, seed: 2, conversations: 400 });
    let inner = expected.inner_conversations.values();
    let inner: u64 = inner.map(|each| each.forward.packets + each.reverse.packets).sum();
    assert_eq!((inner, expected.packets()), (frames.len() as u64, frames.len() as u64));
    let kinds: BTreeSet<_> = expected.inner_conversations.keys().map(|key| key.tunnel).collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    let depths: BTreeSet<_> = expected.inner_conversations.values().map(|each| each.depth).collect();
    assert_eq!(depths, BTreeSet::from([0, 1, 2, 3, 4]));
    assert!(frames.iter().all(|frame| frame.bytes.len() <= 1_514), "fits the usual length");
}

#[test]
fn hostile_frames_are_of_every_kind_and_leave_open_what_is_inside_of_endless_tunnels() {
    let (frames, expected) = generate(Options { mix: Mix::Hostile, seed: 3, conversations: 600 });
    let kinds: BTreeSet<_> = frames.iter().map(|frame| frame.description).collect();
    for kind in
        ["tiny fragment", "RST of many", "tunnels without end", "100 labels", "IPv4 total length of zero"]
    {
        assert!(kinds.contains(kind), "{kind} in {kinds:?}");
    }
    assert!(expected.inner_unstated > 0 && expected.not_flow > 0);
    assert_eq!(expected.packets() + expected.not_flow, frames.len() as u64);
    let longest = frames.iter().map(|frame| frame.bytes.len()).max();
    assert!(longest > Some(3_000) && longest <= Some(3_500), "{longest:?}");
}

#[test]
fn the_same_seed_gives_the_same_frames_and_another_seed_others() {
    for mix in [Mix::All, Mix::TcpTrouble, Mix::Tunnels, Mix::Hostile, Mix::Applications] {
        let options = Options { mix, seed: 42, conversations: 50 };
        assert_eq!(generate(options), generate(options));
        assert_ne!(generate(options).0, generate(Options { seed: 43, ..options }).0);
    }
}

#[test]
fn frames_come_in_order_of_time_and_conversations_overlap() {
    let (frames, _) = generate(Options { mix: Mix::Tcp, seed: 3, conversations: 100 });
    assert_eq!(frames[0].time_ns, START_NS);
    assert!(frames.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
    let first_of_second = frames.iter().position(|frame| frame.bytes[26 + 3] == 1);
    let last_of_first = frames.iter().rposition(|frame| frame.bytes[26 + 3] == 0);
    assert!(first_of_second < last_of_first, "{first_of_second:?} {last_of_first:?}");
}

#[test]
fn conversations_share_no_address_pair() {
    let (_, expected) = generate(Options { mix: Mix::Udp, seed: 9, conversations: 2_000 });
    assert_eq!(expected.conversations.len(), 2_000);
    let mut sources: Vec<_> = expected.conversations.keys().map(|key| key.source).collect();
    sources.sort();
    sources.dedup();
    assert_eq!(sources.len(), 2_000);
}

#[test]
fn garbage_is_no_flow_and_nothing_else_is() {
    let (frames, expected) = generate(Options { mix: Mix::Garbage, seed: 1, conversations: 200 });
    assert_eq!(expected.conversations.len(), 0);
    assert_eq!(expected.not_flow, frames.len() as u64);
    let (frames, expected) = generate(Options { mix: Mix::Tcp, seed: 1, conversations: 20 });
    assert_eq!(expected.not_flow, 0);
    assert_eq!(expected.packets(), frames.len() as u64);
}

#[test]
fn jumbo_frames_exceed_the_usual_length() {
    let (frames, _) = generate(Options { mix: Mix::Jumbo, seed: 1, conversations: 50 });
    let longest = frames.iter().map(|frame| frame.bytes.len()).max();
    assert!(longest > Some(8_000) && longest <= Some(9_014), "{longest:?}");
}

#[test]
fn expected_counters_survive_json() {
    for mix in [Mix::All, Mix::TcpTrouble, Mix::Tunnels, Mix::Applications] {
        let (_, expected) = generate(Options { mix, seed: 5, conversations: 40 });
        let text = serde_json::to_string(&expected).unwrap();
        let read: Expected = serde_json::from_str(&text).unwrap();
        assert_eq!(read, expected);
    }
    let (_, expected) = generate(Options { mix: Mix::All, seed: 5, conversations: 40 });
    let text = serde_json::to_string(&expected).unwrap();
    assert!(!text.contains("applications"), "only where something is said: {text}");
    assert!(text.contains("\"source_port\":") && text.contains("\"forward\":{\"packets\":"), "{text}");
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let ports = (any::<u16>(), any::<u16>());
    prop_oneof![
        (ports, any::<u32>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=40)).prop_map(
            |((source_port, destination_port), sequence, flags, options)| Transport::Tcp(Tcp {
                source_port,
                destination_port,
                sequence,
                acknowledgement: !sequence,
                flags,
                window: 1_000,
                options,
            })
        ),
        (any::<u16>(), any::<u16>()).prop_map(|(source_port, destination_port)| Transport::Udp(Udp {
            source_port,
            destination_port
        })),
        (any::<u16>(), any::<u16>()).prop_map(|(source_port, destination_port)| {
            Transport::Sctp(Sctp { source_port, destination_port, verification_tag: 7 })
        }),
        Just(Transport::Other(253)),
    ]
}

proptest! {
    #[test]
    fn any_packet_of_either_family_passes_the_second_opinion(
        transport in any_transport(),
        payload in prop::collection::vec(any::<u8>(), 0..9_000),
        addresses in any::<(u32, u32)>(),
        options in prop::collection::vec(any::<u8>(), 0..=40),
    ) {
        let v4 = Ipv4 { options: options.clone(), ..Ipv4::between(addresses.0, addresses.1) };
        let extensions = vec![Extension::HopByHop(options.clone()), Extension::DestinationOptions(options)];
        let far = u128::from(addresses.1) << 64 | 1;
        let v6 = Ipv6 { extensions, ..Ipv6::between(u128::from(addresses.0), far) };
        for ip in [Ip::V4(v4), Ip::V6(v6)] {
            let packet = ip.packet(&transport, &payload);
            let frame = Ethernet::default().carry(&packet);
            let seen = inspect(&frame).map_err(TestCaseError::fail)?;
            let seen = seen.expect("an IP packet is a flow");
            prop_assert_eq!(seen.packet_bytes, packet.bytes.len());
            prop_assert_eq!((seen.source, seen.destination), (ip.source(), ip.destination()));
            prop_assert_eq!((seen.source_port, seen.destination_port), transport.ports());
            prop_assert_eq!(seen.protocol, transport.protocol());
        }
    }

    #[test]
    fn fragments_put_together_are_the_datagram(
        payload in prop::collection::vec(any::<u8>(), 1..9_000),
        fragment_bytes in 8usize..2_000,
    ) {
        let transport = Transport::Udp(Udp { source_port: 1, destination_port: 2 });
        let ip = Ip::V4(Ipv4 { dont_fragment: false, ..Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]) });
        let whole = ip.packet(&transport, &payload).bytes[20..].to_vec();
        let fragments = ip.fragments(&transport, &payload, fragment_bytes, 77);
        let mut joined = vec![0; whole.len()];
        for fragment in &fragments {
            inspect(&Ethernet::default().carry(fragment)).map_err(TestCaseError::fail)?;
            let offset = usize::from(u16::from_be_bytes([fragment.bytes[6], fragment.bytes[7]]) & 0x1fff) * 8;
            joined[offset..offset + fragment.bytes.len() - 20].copy_from_slice(&fragment.bytes[20..]);
        }
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn echo_of_both_families_passes_the_second_opinion(payload in prop::collection::vec(any::<u8>(), 0..1_500)) {
        let v4 = Ip::V4(Ipv4::between([10, 0, 0, 1], [10, 0, 0, 2]));
        let v6 = Ip::V6(Ipv6::between(1u128, 2u128));
        let packets = [
            v4.packet(&Transport::Icmp(Icmp::echo_request(1, 2)), &payload),
            v6.packet(&Transport::Icmpv6(Icmp::echo_reply_v6(1, 2)), &payload),
        ];
        for packet in packets {
            let seen = inspect(&Ethernet::default().carry(&packet)).map_err(TestCaseError::fail)?;
            prop_assert!(seen.is_some());
        }
    }
}
