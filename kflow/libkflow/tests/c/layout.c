/* The layout that programs were compiled with: offset and size of every member on 64-bit machines. Compiles or does not. */
#include <kflow.h>
#include <stddef.h>

#ifdef __cplusplus
#define ASSERT(condition) static_assert(condition, #condition)
#else
#define ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define SIZE(type, size) ASSERT(sizeof(type) == (size))
#define MEMBER(type, member, offset, size)            \
    ASSERT(offsetof(type, member) == (offset));       \
    ASSERT(sizeof(((type *)0)->member) == (size))

SIZE(kflowConfig, 184);
MEMBER(kflowConfig, URL, 0, 8);
MEMBER(kflowConfig, API, 8, 24);
MEMBER(kflowConfig, API.email, 8, 8);
MEMBER(kflowConfig, API.token, 16, 8);
MEMBER(kflowConfig, API.URL, 24, 8);
MEMBER(kflowConfig, capture, 32, 24);
MEMBER(kflowConfig, capture.device, 32, 8);
MEMBER(kflowConfig, capture.snaplen, 40, 4);
MEMBER(kflowConfig, capture.promisc, 44, 4);
MEMBER(kflowConfig, capture.ip, 48, 8);
MEMBER(kflowConfig, metrics, 56, 16);
MEMBER(kflowConfig, metrics.interval, 56, 4);
MEMBER(kflowConfig, metrics.URL, 64, 8);
MEMBER(kflowConfig, proxy, 72, 8);
MEMBER(kflowConfig, proxy.URL, 72, 8);
MEMBER(kflowConfig, status, 80, 16);
MEMBER(kflowConfig, status.host, 80, 8);
MEMBER(kflowConfig, status.port, 88, 4);
MEMBER(kflowConfig, dns, 96, 16);
MEMBER(kflowConfig, dns.enable, 96, 4);
MEMBER(kflowConfig, dns.interval, 100, 4);
MEMBER(kflowConfig, dns.URL, 104, 8);
MEMBER(kflowConfig, device_id, 112, 4);
MEMBER(kflowConfig, device_if, 120, 8);
MEMBER(kflowConfig, device_ip, 128, 8);
MEMBER(kflowConfig, device_name, 136, 8);
MEMBER(kflowConfig, device_plan, 144, 4);
MEMBER(kflowConfig, device_site, 148, 4);
MEMBER(kflowConfig, sample_rate, 152, 4);
MEMBER(kflowConfig, timeout, 156, 4);
MEMBER(kflowConfig, verbose, 160, 4);
MEMBER(kflowConfig, program, 168, 8);
MEMBER(kflowConfig, version, 176, 8);

SIZE(kflowCustom, 48);
MEMBER(kflowCustom, name, 0, 8);
MEMBER(kflowCustom, id, 8, 8);
MEMBER(kflowCustom, vtype, 16, 4);
MEMBER(kflowCustom, value, 24, 24);
MEMBER(kflowCustom, value.str, 24, 8);
MEMBER(kflowCustom, value.u8, 24, 1);
MEMBER(kflowCustom, value.u16, 24, 2);
MEMBER(kflowCustom, value.u32, 24, 4);
MEMBER(kflowCustom, value.u64, 24, 8);
MEMBER(kflowCustom, value.i8, 24, 1);
MEMBER(kflowCustom, value.i16, 24, 2);
MEMBER(kflowCustom, value.i32, 24, 4);
MEMBER(kflowCustom, value.i64, 24, 8);
MEMBER(kflowCustom, value.f32, 24, 4);
MEMBER(kflowCustom, value.f64, 24, 8);
MEMBER(kflowCustom, value.addr, 24, 17);

SIZE(kflowDevice, 40);
MEMBER(kflowDevice, id, 0, 8);
MEMBER(kflowDevice, name, 8, 8);
MEMBER(kflowDevice, sample_rate, 16, 8);
MEMBER(kflowDevice, customs, 24, 8);
MEMBER(kflowDevice, num_customs, 32, 4);

SIZE(kflow, 360);
MEMBER(kflow, timestampNano, 0, 8);
MEMBER(kflow, dstAs, 8, 4);
MEMBER(kflow, dstGeo, 12, 4);
MEMBER(kflow, dstMac, 16, 4);
MEMBER(kflow, headerLen, 20, 4);
MEMBER(kflow, inBytes, 24, 8);
MEMBER(kflow, inPkts, 32, 8);
MEMBER(kflow, inputPort, 40, 4);
MEMBER(kflow, ipSize, 44, 4);
MEMBER(kflow, ipv4DstAddr, 48, 4);
MEMBER(kflow, ipv4SrcAddr, 52, 4);
MEMBER(kflow, l4DstPort, 56, 4);
MEMBER(kflow, l4SrcPort, 60, 4);
MEMBER(kflow, outputPort, 64, 4);
MEMBER(kflow, protocol, 68, 4);
MEMBER(kflow, sampledPacketSize, 72, 4);
MEMBER(kflow, srcAs, 76, 4);
MEMBER(kflow, srcGeo, 80, 4);
MEMBER(kflow, srcMac, 84, 4);
MEMBER(kflow, tcpFlags, 88, 4);
MEMBER(kflow, tos, 92, 4);
MEMBER(kflow, vlanIn, 96, 4);
MEMBER(kflow, vlanOut, 100, 4);
MEMBER(kflow, ipv4NextHop, 104, 4);
MEMBER(kflow, mplsType, 108, 4);
MEMBER(kflow, outBytes, 112, 8);
MEMBER(kflow, outPkts, 120, 8);
MEMBER(kflow, tcpRetransmit, 128, 4);
MEMBER(kflow, srcFlowTags, 136, 8);
MEMBER(kflow, dstFlowTags, 144, 8);
MEMBER(kflow, sampleRate, 152, 4);
MEMBER(kflow, deviceId, 156, 4);
MEMBER(kflow, flowTags, 160, 8);
MEMBER(kflow, timestamp, 168, 8);
MEMBER(kflow, dstBgpAsPath, 176, 8);
MEMBER(kflow, dstBgpCommunity, 184, 8);
MEMBER(kflow, srcBgpAsPath, 192, 8);
MEMBER(kflow, srcBgpCommunity, 200, 8);
MEMBER(kflow, srcNextHopAs, 208, 4);
MEMBER(kflow, dstNextHopAs, 212, 4);
MEMBER(kflow, srcGeoRegion, 216, 4);
MEMBER(kflow, dstGeoRegion, 220, 4);
MEMBER(kflow, srcGeoCity, 224, 4);
MEMBER(kflow, dstGeoCity, 228, 4);
MEMBER(kflow, big, 232, 1);
MEMBER(kflow, sampleAdj, 233, 1);
MEMBER(kflow, ipv4DstNextHop, 236, 4);
MEMBER(kflow, ipv4SrcNextHop, 240, 4);
MEMBER(kflow, srcRoutePrefix, 244, 4);
MEMBER(kflow, dstRoutePrefix, 248, 4);
MEMBER(kflow, srcRouteLength, 252, 1);
MEMBER(kflow, dstRouteLength, 253, 1);
MEMBER(kflow, srcSecondAsn, 256, 4);
MEMBER(kflow, dstSecondAsn, 260, 4);
MEMBER(kflow, srcThirdAsn, 264, 4);
MEMBER(kflow, dstThirdAsn, 268, 4);
MEMBER(kflow, ipv6DstAddr, 272, 8);
MEMBER(kflow, ipv6SrcAddr, 280, 8);
MEMBER(kflow, srcEthMac, 288, 8);
MEMBER(kflow, dstEthMac, 296, 8);
MEMBER(kflow, ipv6SrcNextHop, 304, 8);
MEMBER(kflow, ipv6DstNextHop, 312, 8);
MEMBER(kflow, ipv6SrcRoutePrefix, 320, 8);
MEMBER(kflow, ipv6DstRoutePrefix, 328, 8);
MEMBER(kflow, isMetric, 336, 1);
MEMBER(kflow, appProtocol, 340, 4);
MEMBER(kflow, customs, 344, 8);
MEMBER(kflow, numCustoms, 352, 4);

SIZE(kflowDomainQuery, 32);
MEMBER(kflowDomainQuery, name, 0, 16);
MEMBER(kflowDomainQuery, host, 16, 16);

SIZE(kflowDomainAnswer, 24);
MEMBER(kflowDomainAnswer, ip, 0, 16);
MEMBER(kflowDomainAnswer, ttl, 16, 4);

SIZE(kflowByteSlice, 16);
MEMBER(kflowByteSlice, ptr, 0, 8);
MEMBER(kflowByteSlice, len, 8, 8);

ASSERT(EKFLOWCONFIG == 1 && EKFLOWNOINIT == 2 && EKFLOWNOMEM == 3 && EKFLOWTIMEOUT == 4);
ASSERT(EKFLOWSEND == 5 && EKFLOWNOCUSTOM == 6 && EKFLOWAUTH == 7 && EKFLOWNODEVICE == 8);
ASSERT(KFLOWCUSTOMSTR == 1 && KFLOWCUSTOMU8 == 2 && KFLOWCUSTOMU16 == 3 && KFLOWCUSTOMU32 == 4);
ASSERT(KFLOWCUSTOMU64 == 5 && KFLOWCUSTOMI8 == 6 && KFLOWCUSTOMI16 == 7 && KFLOWCUSTOMI32 == 8);
ASSERT(KFLOWCUSTOMI64 == 9 && KFLOWCUSTOMF32 == 10 && KFLOWCUSTOMF64 == 11 && KFLOWCUSTOMADDR == 12);

int main(void)
{
    return 0;
}
