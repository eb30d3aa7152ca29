/* kflowInit again: the former sender delivers what it holds, and a call that fails changes nothing. */
#include "check.h"

static void send_one(uint32_t port)
{
    kflow flow;
    memset(&flow, 0, sizeof flow);
    flow.l4SrcPort = port;
    EXPECT(kflowSend(&flow) == 0);
}

int main(int argc, char **argv)
{
    char url[256];
    kflowConfig config = config_for(argc == 3 ? argv[1] : ""), bad;
    EXPECT(kflowInit(&config, NULL) == 0);
    send_one(1);
    bad = config;
    bad.device_id = 99;
    EXPECT(kflowInit(&bad, NULL) == EKFLOWNODEVICE);
    EXPECT(error_has("99"));
    send_one(2);

    snprintf(url, sizeof url, "%s/chf", argv[2]);
    config.URL = url;
    EXPECT(kflowInit(&config, NULL) == 0);
    send_one(3);
    EXPECT(kflowStop(30000) == 0);

    /* And after a stop. */
    EXPECT(kflowInit(&config, NULL) == 0);
    send_one(4);
    EXPECT(kflowStop(30000) == 0);
    EXPECT(kflowError() == NULL);
    return 0;
}
