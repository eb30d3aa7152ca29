/* DNS answers: one that is encoded by the library, one that is encoded already, and what is refused. */
#include "check.h"

static kflowByteSlice slice(void *bytes, size_t length)
{
    kflowByteSlice slice;
    slice.ptr = (uint8_t *)bytes;
    slice.len = length;
    return slice;
}

int main(int argc, char **argv)
{
    char name[] = "a.example", encoded[] = "\x81\xa8Question\xc0";
    uint8_t host[] = {10, 0, 0, 1}, first[] = {192, 0, 2, 1}, second[16] = {0x20, 0x01, 0x0d, 0xb8};
    kflowDomainQuery query, broken;
    kflowDomainAnswer answers[2];
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    query.name = slice(name, strlen(name));
    query.host = slice(host, sizeof host);
    answers[0].ip = slice(first, sizeof first);
    answers[0].ttl = 300;
    answers[1].ip = slice(second, sizeof second);
    answers[1].ttl = 5;

    EXPECT(kflowInit(&config, NULL) == 0);
    EXPECT(kflowSendDNS(query, answers, 2) == EKFLOWSEND);
    EXPECT(error_has("DNS"));
    EXPECT(kflowSendEncodedDNS((uint8_t *)encoded, 11) == EKFLOWSEND);
    EXPECT(error_has("DNS"));

    config.dns.enable = 1;
    config.dns.interval = 3600;
    EXPECT(kflowInit(&config, NULL) == 0);
    EXPECT(kflowSendDNS(query, answers, 2) == 0);
    EXPECT(kflowSendDNS(query, NULL, 0) == 0);
    EXPECT(kflowSendEncodedDNS((uint8_t *)encoded, 11) == 0);
    EXPECT(kflowSendEncodedDNS(NULL, 0) == 0);

    EXPECT(kflowSendDNS(query, NULL, 1) == EKFLOWSEND);
    EXPECT(error_has("null"));
    EXPECT(kflowSendEncodedDNS(NULL, 1) == EKFLOWSEND);
    EXPECT(error_has("null"));
    broken = query;
    broken.name.ptr = NULL;
    EXPECT(kflowSendDNS(broken, answers, 2) == EKFLOWSEND);
    EXPECT(error_has("null"));
    answers[1].ip.ptr = NULL;
    EXPECT(kflowSendDNS(query, answers, 2) == EKFLOWSEND);
    EXPECT(error_has("null"));
    EXPECT(kflowSendDNS(query, answers, SIZE_MAX) == EKFLOWSEND);
    EXPECT(error_has("null"));

    EXPECT(kflowStop(30000) == 0);
    EXPECT(kflowError() == NULL);
    return 0;
}
