# The flow message on the wire.
#
# Ids, ordinals and types are the protocol: they never change, and what is new joins at the end. Fields
# without a comment are for other senders; this project neither fills nor reads them.

@0xc75f49ee0059f55d;

# A column beside the fixed ones: its number and its value.
struct Custom @0xed5d37861203d027 {
  id @0 :UInt32;
  value :union {
    uint32Val @1 :UInt32;
    float32Val @2 :Float32;
    strVal @3 :Text;
    uint64Val @5 :UInt64;
    # One byte 4 or 6, then 16 bytes that start with the address.
    addrVal @6 :Data;
    uint16Val @7 :UInt16;
    uint8Val @8 :UInt8;
  }
  isDimension @4 :Bool;
}

# One flow.
struct CHF @0xa7ab5c68e4bc7b62 {
  # Start of the flow, nanoseconds since the Unix epoch.
  timestampNano @0 :Int64;
  # Autonomous systems.
  dstAs @1 :UInt32;
  dstGeo @2 :UInt32;
  dstMac @3 :UInt32;
  headerLen @4 :UInt32;
  # What the source sent: layer-3 bytes, then packets.
  inBytes @5 :UInt64;
  inPkts @6 :UInt64;
  # Interface the flow came in by.
  inputPort @7 :UInt32;
  ipSize @8 :UInt32;
  # An IPv4 address as the number it spells: 10.0.0.1 is 0x0A000001.
  ipv4DstAddr @9 :UInt32;
  ipv4SrcAddr @10 :UInt32;
  # Ports; for ICMP and ICMPv6 the destination port is type << 8 | code.
  l4DstPort @11 :UInt32;
  l4SrcPort @12 :UInt32;
  # Interface the flow left by.
  outputPort @13 :UInt32;
  protocol @14 :UInt32;
  sampledPacketSize @15 :UInt32;
  srcAs @16 :UInt32;
  srcGeo @17 :UInt32;
  srcMac @18 :UInt32;
  # All TCP flags seen, both directions together.
  tcpFlags @19 :UInt32;
  # All type of service or traffic class bits seen, both directions together.
  tos @20 :UInt32;
  # VLAN of the forward direction, then of the reverse one.
  vlanIn @21 :UInt32;
  vlanOut @22 :UInt32;
  ipv4NextHop @23 :UInt32;
  mplsType @24 :UInt32;
  # What the destination answered: layer-3 bytes, then packets.
  outBytes @25 :UInt64;
  outPkts @26 :UInt64;
  # Packets sent again.
  tcpRetransmit @27 :UInt32;
  srcFlowTags @28 :Text;
  dstFlowTags @29 :Text;
  # One in so many flows was kept; times 100 when sampleAdj is set.
  sampleRate @30 :UInt32;
  deviceId @31 :UInt32;
  flowTags @32 :Text;
  timestamp @33 :Int64;
  dstBgpAsPath @34 :Text;
  dstBgpCommunity @35 :Text;
  srcBgpAsPath @36 :Text;
  srcBgpCommunity @37 :Text;
  srcNextHopAs @38 :UInt32;
  dstNextHopAs @39 :UInt32;
  srcGeoRegion @40 :UInt32;
  dstGeoRegion @41 :UInt32;
  srcGeoCity @42 :UInt32;
  dstGeoCity @43 :UInt32;
  # A low-resolution copy of records that are sent elsewhere in full.
  big @44 :Bool;
  # sampleRate is already multiplied by 100.
  sampleAdj @45 :Bool;
  ipv4DstNextHop @46 :UInt32;
  ipv4SrcNextHop @47 :UInt32;
  srcRoutePrefix @48 :UInt32;
  dstRoutePrefix @49 :UInt32;
  srcRouteLength @50 :UInt8;
  dstRouteLength @51 :UInt8;
  srcSecondAsn @52 :UInt32;
  dstSecondAsn @53 :UInt32;
  srcThirdAsn @54 :UInt32;
  dstThirdAsn @55 :UInt32;
  # IPv6 addresses: 16 bytes in network order, or absent.
  ipv6DstAddr @56 :Data;
  ipv6SrcAddr @57 :Data;
  # Link-layer addresses as 48-bit numbers, first octet most significant.
  srcEthMac @58 :UInt64;
  dstEthMac @59 :UInt64;
  # Columns that have no field here.
  custom @60 :List(Custom);
  ipv6SrcNextHop @61 :Data;
  ipv6DstNextHop @62 :Data;
  ipv6SrcRoutePrefix @63 :Data;
  ipv6DstRoutePrefix @64 :Data;
  # The record carries a measurement and no flow.
  isMetric @65 :Bool;
  # Application; 101 marks the record that names the custom columns.
  appProtocol @66 :UInt32 = 0xFFFFFFFF;
}

# The root of a message.
struct PackedCHF @0xb158a6a28e2d29c2 {
  msgs @0 :List(CHF);
}
