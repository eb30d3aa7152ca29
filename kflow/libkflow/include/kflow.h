/*
 * libkflow: sends flow records to Kentik, or to any collector that takes kflow.
 *
 * Programs call kflowInit once, kflowSend for every flow, and kflowStop at the end:
 *
 *     cc program.c $(pkg-config --cflags --libs kflow) -o program
 *
 * Names, types, numbers and the order of members are those of Kentik's C API, so that programs written for it compile and
 * link as they are.
 *
 * Rules for all functions:
 *
 * - They may be called from several threads at once. None but kflowInit and kflowStop waits: not for the network, and not for
 *   room in a queue.
 * - What is passed in is copied before the function returns, and a null pointer is an error, not a crash. A pointer that is
 *   not null must point to what its type says; strings end with a zero.
 * - Functions that return int return 0, or one of the EKFLOW numbers below. What went wrong, in words, then waits for
 *   kflowError; so do faults of the background (a batch that was refused, a server that cannot be reached).
 * - What is handed out (texts, the name and the columns of a device) comes from malloc, and is the caller's to free.
 * - No function ends the program, writes to standard output, or changes how the program handles signals. The threads of the
 *   library take no signals.
 * - After fork, a child has no sender: its functions return EKFLOWNOINIT until it calls kflowInit itself. The parent goes on.
 */
#ifndef KFLOW_H
#define KFLOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return other than 0. */
#define EKFLOWCONFIG 1   /* the configuration is not valid, or the API gave no usable answer */
#define EKFLOWNOINIT 2   /* no sender: before kflowInit, after kflowStop, or in a child after fork */
#define EKFLOWNOMEM 3    /* malloc failed */
#define EKFLOWTIMEOUT 4  /* not done in time; kflowStop says how much was left behind */
#define EKFLOWSEND 5     /* not sent: a null pointer, DNS not enabled, a full queue, or a fault of the library */
#define EKFLOWNOCUSTOM 6 /* a custom column that the device does not have, or a vtype that does not exist */
#define EKFLOWAUTH 7     /* the API does not know this email and token */
#define EKFLOWNODEVICE 8 /* there is no such device, and it was not created */

/* Set all members to zero, then those that are needed: URL, API, program, version, and one of the device members. */
typedef struct {
    char *URL; /* where flows are posted: https://flow.kentik.com/chf */

    struct {
        char *email; /* who calls */
        char *token; /* and the secret that proves it; it appears in no text */
        char *URL;   /* https://api.kentik.com/api/internal */
    } API;

    struct {
        char *device; /* not used: interfaces are told by their numbers alone */
        int snaplen;  /* not used */
        int promisc;  /* not used */
        char *ip;     /* address of a device that is created, if device_ip is null */
    } capture;

    struct {
        int interval; /* not used: it is a minute */
        char *URL;    /* where counters of the sender are posted; null: nowhere */
    } metrics;

    struct {
        char *URL; /* HTTP proxy for everything that is posted and asked; null: none */
    } proxy;

    struct {
        char *host; /* address that GET /v1/status is answered on; null: 127.0.0.1 */
        int port;   /* 0: nothing is answered */
    } status;

    struct {
        int enable;   /* not 0: kflowSendDNS and kflowSendEncodedDNS work */
        int interval; /* seconds between posts, at least 1; a full post does not wait */
        char *URL;    /* where they are posted */
    } dns;

    /* Which device the flows are of: the first of these that is set. */
    int device_id;     /* its id, above 0 */
    char *device_if;   /* the name of a network interface: the device that has one of its addresses */
    char *device_ip;   /* its address */
    char *device_name; /* its name */

    /* A device that is not found by address or name is created if name, address and plan are all there. */
    int device_plan; /* plan of a device that is created */
    int device_site; /* its site; 0: none */

    int sample_rate; /* not used: each flow tells its own */
    int timeout;     /* milliseconds that one request may take; 0: 30000 */
    int verbose;     /* above 0: what kflowError tells is also written to standard error */
    char *program;   /* name of the program, */
    char *version;   /* and its version; both are needed */
} kflowConfig;

/*
 * One custom column of a flow. Copies of what kflowInit gave, with a value, are what kflowSend takes. A column is found by its
 * id, or by its name if the id is 0.
 */
typedef struct {
    char *name;
    uint64_t id;
    int vtype; /* which member of the value counts: one of the numbers below */
    union {
        char *str;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        uint8_t addr[17];
    } value;
} kflowCustom;

/*
 * Values of vtype, and what is sent. There are no signed numbers and no doubles on the wire: a signed number is sent as the
 * unsigned one with the same bits, and a double as the nearest float.
 *
 * A column of a type that is none of these has vtype 0, and is sent as an empty string.
 */
#define KFLOWCUSTOMSTR 1   /* bytes up to the zero, at most 384, cut between characters; null: an empty string */
#define KFLOWCUSTOMU8 2
#define KFLOWCUSTOMU16 3
#define KFLOWCUSTOMU32 4
#define KFLOWCUSTOMU64 5
#define KFLOWCUSTOMI8 6    /* sent as U8 */
#define KFLOWCUSTOMI16 7   /* sent as U16 */
#define KFLOWCUSTOMI32 8   /* sent as U32 */
#define KFLOWCUSTOMI64 9   /* sent as U64 */
#define KFLOWCUSTOMF32 10
#define KFLOWCUSTOMF64 11  /* sent as F32 */
#define KFLOWCUSTOMADDR 12 /* 4 and an IPv4 address, or 6 and an IPv6 address; zeros fill the rest of the 17 bytes */

/* Names of columns that devices of type kprobe have. */
#define KFLOWCUSTOM_RETRANSMITTED_IN_PKTS "RETRANSMITTED_IN_PKTS"
#define KFLOWCUSTOM_RETRANSMITTED_OUT_PKTS "RETRANSMITTED_OUT_PKTS"
#define KFLOWCUSTOM_FRAGMENTS "FRAGMENTS"
#define KFLOWCUSTOM_CLIENT_NW_LATENCY_MS "CLIENT_NW_LATENCY_MS"
#define KFLOWCUSTOM_SERVER_NW_LATENCY_MS "SERVER_NW_LATENCY_MS"
#define KFLOWCUSTOM_APPL_LATENCY_MS "APPL_LATENCY_MS"
#define KFLOWCUSTOM_OOORDER_IN_PKTS "OOORDER_IN_PKTS"
#define KFLOWCUSTOM_OOORDER_OUT_PKTS "OOORDER_OUT_PKTS"
#define KFLOWCUSTOM_HTTP_URL "KFLOW_HTTP_URL"
#define KFLOWCUSTOM_HTTP_STATUS "KFLOW_HTTP_STATUS"
#define KFLOWCUSTOM_HTTP_UA "KFLOW_HTTP_UA"
#define KFLOWCUSTOM_HTTP_REFERER "KFLOW_HTTP_REFERER"
#define KFLOWCUSTOM_HTTP_HOST "KFLOW_HTTP_HOST"
#define KFLOWCUSTOM_DNS_QUERY "KFLOW_DNS_QUERY"
#define KFLOWCUSTOM_DNS_QUERY_TYPE "KFLOW_DNS_QUERY_TYPE"
#define KFLOWCUSTOM_DNS_RET_CODE "KFLOW_DNS_RET_CODE"
#define KFLOWCUSTOM_DNS_RESPONSE "KFLOW_DNS_RESPONSE"

/* What kflowInit tells of the device. To release it: free the name of each column, then the columns, then the name. */
typedef struct {
    uint64_t id;
    char *name;
    uint64_t sample_rate; /* the device's, as the API has it */
    kflowCustom *customs; /* its custom columns, with id, name and vtype */
    uint32_t num_customs;
} kflowDevice;

/*
 * One flow. Set all members to zero, then those that are known.
 *
 * An IPv4 address is a number, 10.0.0.1 being 0x0A000001; a MAC address is a number of 48 bits, its first octet the highest; an
 * IPv6 address is a pointer to 16 bytes in network order, or null.
 *
 * Members marked "sent as is" have no meaning to Kentik when they come from here. Those marked "not sent" are not even read.
 */
typedef struct {
    int64_t timestampNano; /* sent as is */
    uint32_t dstAs;        /* autonomous system of the destination */
    uint32_t dstGeo;       /* sent as is */
    uint32_t dstMac;       /* sent as is; see dstEthMac */
    uint32_t headerLen;    /* sent as is */
    uint64_t inBytes;
    uint64_t inPkts;
    uint32_t inputPort; /* index of the interface the flow came in by */
    uint32_t ipSize;    /* sent as is */
    uint32_t ipv4DstAddr;
    uint32_t ipv4SrcAddr;
    uint32_t l4DstPort; /* of ICMP: type * 256 + code */
    uint32_t l4SrcPort;
    uint32_t outputPort;        /* index of the interface the flow went out by */
    uint32_t protocol;          /* number of the IP protocol */
    uint32_t sampledPacketSize; /* sent as is */
    uint32_t srcAs;             /* autonomous system of the source */
    uint32_t srcGeo;            /* sent as is */
    uint32_t srcMac;            /* sent as is; see srcEthMac */
    uint32_t tcpFlags;          /* flags of all segments, ORed */
    uint32_t tos;               /* type of service, or traffic class */
    uint32_t vlanIn;
    uint32_t vlanOut;
    uint32_t ipv4NextHop;
    uint32_t mplsType; /* sent as is */
    uint64_t outBytes;
    uint64_t outPkts;
    uint32_t tcpRetransmit; /* packets that were sent again */
    char *srcFlowTags;      /* not sent */
    char *dstFlowTags;      /* not sent */
    uint32_t sampleRate;    /* 1 in so many packets was looked at, 0: not told; sent times 100 and what the library thins by */
    uint32_t deviceId;      /* not sent: it is the device of kflowInit */
    char *flowTags;         /* not sent */
    int64_t timestamp;      /* sent as is */
    char *dstBgpAsPath;     /* not sent */
    char *dstBgpCommunity;  /* not sent */
    char *srcBgpAsPath;     /* not sent */
    char *srcBgpCommunity;  /* not sent */
    uint32_t srcNextHopAs;  /* first autonomous system on the path to the source, */
    uint32_t dstNextHopAs;  /* and to the destination */
    uint32_t srcGeoRegion;  /* sent as is */
    uint32_t dstGeoRegion;  /* sent as is */
    uint32_t srcGeoCity;    /* sent as is */
    uint32_t dstGeoCity;    /* sent as is */
    uint8_t big;            /* not 0: a copy in low resolution, which receivers may skip */
    uint8_t sampleAdj;      /* not sent: it tells that sampleRate was multiplied by 100, which it always is */
    uint32_t ipv4DstNextHop;
    uint32_t ipv4SrcNextHop;
    uint32_t srcRoutePrefix; /* BGP's prefix of the source, and of the destination below */
    uint32_t dstRoutePrefix;
    uint8_t srcRouteLength; /* bits of that prefix */
    uint8_t dstRouteLength;
    uint32_t srcSecondAsn; /* second and third autonomous system on the paths */
    uint32_t dstSecondAsn;
    uint32_t srcThirdAsn;
    uint32_t dstThirdAsn;
    uint8_t *ipv6DstAddr;
    uint8_t *ipv6SrcAddr;
    uint64_t srcEthMac;
    uint64_t dstEthMac;
    uint8_t *ipv6SrcNextHop;
    uint8_t *ipv6DstNextHop;
    uint8_t *ipv6SrcRoutePrefix;
    uint8_t *ipv6DstRoutePrefix;
    uint8_t isMetric;     /* not 0: a measurement, not a flow */
    uint32_t appProtocol; /* 1 DNS, 2 HTTP, 3 TLS, 4 DHCP, 9 RADIUS; 0 not known */

    kflowCustom *customs;
    uint32_t numCustoms;
} kflow;

typedef struct {
    uint8_t *ptr;
    size_t len;
} kflowByteSlice;

/* A question, and the address of the host that asked: 4 or 16 bytes in network order. */
typedef struct {
    kflowByteSlice name;
    kflowByteSlice host;
} kflowDomainQuery;

/* One address that a question was answered with, and for how many seconds it holds. */
typedef struct {
    kflowByteSlice ip;
    uint32_t ttl;
} kflowDomainAnswer;

/*
 * Finds the device at the API, or creates it, and starts to send. Fills in the device unless it is null or the call fails.
 *
 * It may be called again: flows then go where the last call that succeeded says, and what the former sender still holds is
 * delivered first, for as long as one request may take. A call that fails leaves the former sender as it is.
 */
int kflowInit(kflowConfig *config, kflowDevice *device);

/*
 * Hands over a flow. If more come than the device may send, or than can be sent, the library thins them out and says so in
 * their sample rates: that is no error. A flow with a column that the device does not have is not sent.
 */
int kflowSend(kflow *flow);

/*
 * Delivers what is held, for so many milliseconds at most, and stops. After EKFLOWTIMEOUT the rest is lost. In any case there
 * is no sender afterwards.
 */
int kflowStop(int milliseconds);

/* The oldest text that was not fetched yet, or null. The last 100 are kept. */
char *kflowError(void);

/* The version of the library, such as "0.1.0", or null if malloc failed. */
char *kflowVersion(void);

/* Hands over a DNS question and the addresses it was answered with. The answers may be null if there are 0. */
int kflowSendDNS(kflowDomainQuery query, kflowDomainAnswer *answers, size_t count);

/* Hands over questions and answers that are encoded already: MessagePack maps, as kflowSendDNS makes them. */
int kflowSendEncodedDNS(uint8_t *bytes, size_t length);

#ifdef __cplusplus
}
#endif

#endif
