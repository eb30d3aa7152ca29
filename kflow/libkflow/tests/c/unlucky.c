/* A server that does not answer in time, one that is not there, and memory that runs out: numbers and texts. */
#include "check.h"

extern void *__libc_calloc(size_t count, size_t size);

static int has_no_memory;

/* Stands in for malloc's own in the whole process. */
void *calloc(size_t count, size_t size)
{
    return has_no_memory && size == sizeof(kflowCustom) ? NULL : __libc_calloc(count, size);
}

int main(int argc, char **argv)
{
    char nowhere[] = "http://127.0.0.1:9/api";
    kflowDevice device;
    kflowConfig config = config_for(argc == 3 ? argv[1] : ""), stalled;
    memset(&device, 7, sizeof device);

    has_no_memory = 1;
    EXPECT(kflowInit(&config, &device) == EKFLOWNOMEM);
    EXPECT(error_has("memory"));
    EXPECT(device.num_customs == 0x07070707);
    EXPECT(kflowStop(1000) == EKFLOWNOINIT);
    has_no_memory = 0;

    config.API.URL = nowhere;
    EXPECT(kflowInit(&config, &device) == EKFLOWCONFIG);
    EXPECT(error_has("no connection"));

    stalled = config_for(argv[2]);
    stalled.timeout = 200;
    EXPECT(kflowInit(&stalled, &device) == EKFLOWTIMEOUT);
    EXPECT(error_has("in time"));
    EXPECT(device.num_customs == 0x07070707);
    EXPECT(kflowError() == NULL);
    return 0;
}
