/*
 * Sends a few flows of one device, with a custom column if the device has it.
 *
 *   cc send.c $(pkg-config --cflags --libs kflow) -o send
 *   KFLOW_EMAIL=me@example.com KFLOW_TOKEN=... ./send DEVICE_ID [FLOW_URL API_URL]
 */
#include <kflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char flow_url[] = "https://flow.kentik.com/chf";
static char api_url[] = "https://api.kentik.com/api/internal";
static char program[] = "send", version[] = "1.0";

/* Prints what the library has to say; all texts are ours to free. */
static void print_errors(void)
{
    char *text;
    while ((text = kflowError()) != NULL) {
        fprintf(stderr, "%s\n", text);
        free(text);
    }
}

static void check(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "%s: error %d\n", what, error);
        print_errors();
        exit(EXIT_FAILURE);
    }
}

/* The column of this name, or null. */
static const kflowCustom *find(const kflowDevice *device, const char *name)
{
    for (uint32_t n = 0; n < device->num_customs; n++) {
        if (strcmp(device->customs[n].name, name) == 0) {
            return &device->customs[n];
        }
    }
    return NULL;
}

static void free_device(kflowDevice *device)
{
    for (uint32_t n = 0; n < device->num_customs; n++) {
        free(device->customs[n].name);
    }
    free(device->customs);
    free(device->name);
}

int main(int argc, char **argv)
{
    kflowConfig config;
    kflowDevice device;
    kflowCustom latency;
    const kflowCustom *column;

    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: KFLOW_EMAIL=... KFLOW_TOKEN=... send DEVICE_ID [FLOW_URL API_URL]\n");
        return EXIT_FAILURE;
    }
    memset(&config, 0, sizeof config);
    config.API.email = getenv("KFLOW_EMAIL");
    config.API.token = getenv("KFLOW_TOKEN");
    config.API.URL = argc == 4 ? argv[3] : api_url;
    config.URL = argc == 4 ? argv[2] : flow_url;
    config.device_id = atoi(argv[1]);
    config.program = program;
    config.version = version;
    check(kflowInit(&config, &device), "kflowInit");
    printf("device %s, sample rate %llu, %lu custom columns\n", device.name, (unsigned long long)device.sample_rate,
           (unsigned long)device.num_customs);

    column = find(&device, KFLOWCUSTOM_CLIENT_NW_LATENCY_MS);
    for (uint32_t n = 0; n < 5; n++) {
        kflow flow;
        memset(&flow, 0, sizeof flow);
        flow.ipv4SrcAddr = 0x0A000001; /* 10.0.0.1 */
        flow.ipv4DstAddr = 0x0A000002;
        flow.protocol = 6;
        flow.l4SrcPort = 50000 + n;
        flow.l4DstPort = 443;
        flow.inPkts = 10;
        flow.inBytes = 5200;
        flow.sampleRate = 1;
        if (column != NULL) {
            latency = *column;
            latency.value.u32 = 20 + n;
            flow.customs = &latency;
            flow.numCustoms = 1;
        }
        check(kflowSend(&flow), "kflowSend");
    }
    check(kflowStop(10000), "kflowStop");
    print_errors();
    free_device(&device);
    return EXIT_SUCCESS;
}
