/* Sends one flow in which every member has a value of its own, and one with every type of custom column. */
#include "check.h"

static char tags[] = "not sent";
static char long_text[1000];
static uint8_t addresses[6][16];

static kflow distinct_flow(void)
{
    kflow flow;
    uint32_t number = 1000;
    memset(&flow, 0, sizeof flow);
    for (int n = 0; n < 6; n++) {
        memset(addresses[n], 0xa0 + n, 16);
    }
    flow.timestampNano = number++;
    flow.dstAs = number++;
    flow.dstGeo = number++;
    flow.dstMac = number++;
    flow.headerLen = number++;
    flow.inBytes = 0x100000000ULL + number++;
    flow.inPkts = 0x200000000ULL + number++;
    flow.inputPort = number++;
    flow.ipSize = number++;
    flow.ipv4DstAddr = number++;
    flow.ipv4SrcAddr = number++;
    flow.l4DstPort = number++;
    flow.l4SrcPort = number++;
    flow.outputPort = number++;
    flow.protocol = number++;
    flow.sampledPacketSize = number++;
    flow.srcAs = number++;
    flow.srcGeo = number++;
    flow.srcMac = number++;
    flow.tcpFlags = number++;
    flow.tos = number++;
    flow.vlanIn = number++;
    flow.vlanOut = number++;
    flow.ipv4NextHop = number++;
    flow.mplsType = number++;
    flow.outBytes = 0x300000000ULL + number++;
    flow.outPkts = 0x400000000ULL + number++;
    flow.tcpRetransmit = number++;
    flow.srcFlowTags = tags;
    flow.dstFlowTags = tags;
    flow.sampleRate = number++;
    flow.deviceId = number++;
    flow.flowTags = tags;
    flow.timestamp = number++;
    flow.dstBgpAsPath = tags;
    flow.dstBgpCommunity = tags;
    flow.srcBgpAsPath = tags;
    flow.srcBgpCommunity = tags;
    flow.srcNextHopAs = number++;
    flow.dstNextHopAs = number++;
    flow.srcGeoRegion = number++;
    flow.dstGeoRegion = number++;
    flow.srcGeoCity = number++;
    flow.dstGeoCity = number++;
    flow.big = 1;
    flow.sampleAdj = 0;
    flow.ipv4DstNextHop = number++;
    flow.ipv4SrcNextHop = number++;
    flow.srcRoutePrefix = number++;
    flow.dstRoutePrefix = number++;
    flow.srcRouteLength = 21;
    flow.dstRouteLength = 22;
    flow.srcSecondAsn = number++;
    flow.dstSecondAsn = number++;
    flow.srcThirdAsn = number++;
    flow.dstThirdAsn = number++;
    flow.ipv6DstAddr = addresses[0];
    flow.ipv6SrcAddr = addresses[1];
    flow.srcEthMac = 0x0a0b0c0d0e0fULL;
    flow.dstEthMac = 0x1a1b1c1d1e1fULL;
    flow.ipv6SrcNextHop = addresses[2];
    flow.ipv6DstNextHop = addresses[3];
    flow.ipv6SrcRoutePrefix = addresses[4];
    flow.ipv6DstRoutePrefix = addresses[5];
    flow.isMetric = 1;
    flow.appProtocol = number++;
    return flow;
}

/* Sends a column of every type; the device has one column for all of them, since types are the caller's word. */
static void send_customs(uint64_t id)
{
    kflowCustom customs[16];
    kflow flow;
    uint32_t count = 0;
    memset(customs, 0, sizeof customs);
    memset(&flow, 0, sizeof flow);
    memset(long_text, 'x', sizeof long_text - 1);
    memcpy(long_text + 383, "\xc3\xa9", 2); /* a character on the edge of 384 bytes */
#define ADD(type, member, number)                 \
    customs[count].id = id;                       \
    customs[count].vtype = type;                  \
    customs[count++].value.member = number
    ADD(KFLOWCUSTOMSTR, str, tags);
    ADD(KFLOWCUSTOMSTR, str, long_text);
    ADD(KFLOWCUSTOMSTR, str, NULL);
    ADD(KFLOWCUSTOMU8, u8, 201);
    ADD(KFLOWCUSTOMU16, u16, 60001);
    ADD(KFLOWCUSTOMU32, u32, 4000000001U);
    ADD(KFLOWCUSTOMU64, u64, 18000000000000000001ULL);
    ADD(KFLOWCUSTOMI8, i8, -1);
    ADD(KFLOWCUSTOMI16, i16, -2);
    ADD(KFLOWCUSTOMI32, i32, -3);
    ADD(KFLOWCUSTOMI64, i64, -4);
    ADD(KFLOWCUSTOMF32, f32, 1.5F);
    ADD(KFLOWCUSTOMF64, f64, -0.25);
    ADD(KFLOWCUSTOMADDR, addr[0], 4);
    memcpy(customs[count - 1].value.addr + 1, "\x0a\x00\x00\x01", 4);
    ADD(KFLOWCUSTOMADDR, addr[0], 6);
    memset(customs[count - 1].value.addr + 1, 0xfe, 16);
    ADD(0, u64, 0);
    flow.customs = customs;
    flow.numCustoms = count;
    EXPECT(count == 16 && kflowSend(&flow) == 0);
    /* Everything was copied. */
    memset(customs, 0xff, sizeof customs);
    memset(long_text, 0xff, sizeof long_text - 1);
}

/* A column may be named in place of numbered; one that the device does not have is an error, and so is a type that is none. */
static void send_by_name(const kflowCustom *column)
{
    kflowCustom custom;
    kflow flow;
    char unknown[] = "NO_SUCH_COLUMN";
    memset(&custom, 0, sizeof custom);
    memset(&flow, 0, sizeof flow);
    custom.name = column->name;
    custom.vtype = KFLOWCUSTOMU32;
    custom.value.u32 = 77;
    flow.customs = &custom;
    flow.numCustoms = 1;
    EXPECT(kflowSend(&flow) == 0);

    custom.name = unknown;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("NO_SUCH_COLUMN"));
    custom.name = NULL;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("custom column 0"));
    custom.id = 4000000000U;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("custom column 4000000000"));
    custom.id = 0x100000000ULL + column->id;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("the device has none"));
    custom.id = column->id;
    custom.vtype = 13;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("no vtype 13"));
    flow.customs = NULL;
    EXPECT(kflowSend(&flow) == EKFLOWNOCUSTOM);
    EXPECT(error_has("null"));
    EXPECT(kflowSend(NULL) == EKFLOWSEND);
    EXPECT(error_has("null"));
}

int main(int argc, char **argv)
{
    kflowDevice device;
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    kflow flow = distinct_flow();
    EXPECT(kflowInit(&config, &device) == 0);
    printf("device %llu %s %llu\n", (unsigned long long)device.id, device.name, (unsigned long long)device.sample_rate);
    for (uint32_t n = 0; n < device.num_customs; n++) {
        const kflowCustom *column = &device.customs[n];
        printf("column %llu %s %d\n", (unsigned long long)column->id, column->name, column->vtype);
    }
    EXPECT(kflowSend(&flow) == 0);
    /* Everything was copied. */
    memset(&flow, 0xff, sizeof flow);
    memset(addresses, 0xff, sizeof addresses);
    send_customs(device.customs[0].id);
    send_by_name(&device.customs[0]);
    EXPECT(kflowStop(30000) == 0);
    EXPECT(kflowStop(30000) == EKFLOWNOINIT);
    EXPECT(kflowError() == NULL);
    free_device(&device);
    return 0;
}
