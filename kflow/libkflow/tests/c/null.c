/* Nulls, and calls at the wrong time: numbers, never crashes. No server is needed. */
#include "check.h"

static void before_init(void)
{
    kflow flow;
    kflowDomainQuery query;
    uint8_t byte = 0;
    memset(&flow, 0, sizeof flow);
    memset(&query, 0, sizeof query);
    EXPECT(kflowSend(&flow) == EKFLOWNOINIT);
    EXPECT(kflowSend(NULL) == EKFLOWNOINIT);
    EXPECT(kflowStop(1000) == EKFLOWNOINIT);
    EXPECT(kflowSendDNS(query, NULL, 0) == EKFLOWNOINIT);
    EXPECT(kflowSendEncodedDNS(&byte, 1) == EKFLOWNOINIT);
    EXPECT(kflowSendEncodedDNS(NULL, 1) == EKFLOWNOINIT);
    EXPECT(kflowError() == NULL);
}

static void configs_that_are_not_valid(void)
{
    char bad[] = "not an address", latin[] = "caf\xe9";
    kflowDevice device;
    kflowConfig config = config_for("http://127.0.0.1:9"), none;
    memset(&none, 0, sizeof none);
    memset(&device, 7, sizeof device);

    EXPECT(kflowInit(NULL, &device) == EKFLOWCONFIG);
    EXPECT(error_has("the config of kflowInit is null"));
    EXPECT(kflowInit(NULL, NULL) == EKFLOWCONFIG);
    EXPECT(error_has("the config of kflowInit is null"));
    EXPECT(kflowInit(&none, &device) == EKFLOWCONFIG);
    EXPECT(error_has("names no device"));

    config.program = NULL;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("program is missing"));
    config.program = program;
    config.version = NULL;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("version is missing"));
    config.version = version;
    config.API.URL = NULL;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("API.URL is missing"));
    config.API.URL = bad;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("API"));
    config.API.URL = api_url;
    config.URL = NULL;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("URL is missing"));
    config.URL = flow_url;
    config.dns.enable = 1;
    config.dns.URL = NULL;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("dns.URL is missing"));
    config.dns.enable = 0;
    config.device_id = 0;
    config.device_ip = bad;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("device_ip"));
    config.device_ip = NULL;
    config.device_name = latin;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("device_name in kflowConfig is not UTF-8"));

    /* A device that was not filled in is as it was. */
    EXPECT(device.num_customs == 0x07070707);
    EXPECT(kflowError() == NULL);
}

/* The last hundred texts are kept, and it is said that there were others. */
static void many_errors(void)
{
    char *text;
    int count = 0;
    for (int n = 0; n < 150; n++) {
        EXPECT(kflowInit(NULL, NULL) == EKFLOWCONFIG);
    }
    EXPECT(error_has("50 earlier errors"));
    while ((text = kflowError()) != NULL) {
        free(text);
        count++;
    }
    EXPECT(count == 100);
}

int main(int argc, char **argv)
{
    char *text = kflowVersion();
    EXPECT(argc == 2 && text != NULL && strcmp(text, argv[1]) == 0);
    free(text);
    before_init();
    configs_that_are_not_valid();
    many_errors();
    before_init();
    return 0;
}
