/* Every way to name a device, to create one, and to fail at it. */
#include "check.h"

static int init(const kflowConfig *like, kflowDevice *device)
{
    kflowConfig config = *like;
    memset(device, 7, sizeof *device);
    return kflowInit(&config, device);
}

/* A device that was found; its sender stays until the next. */
static void expect_device(const kflowConfig *config, uint64_t id, const char *name)
{
    kflowDevice device;
    EXPECT(init(config, &device) == 0);
    EXPECT(device.id == id);
    EXPECT(strcmp(device.name, name) == 0);
    EXPECT(device.num_customs > 0 && device.customs != NULL);
    free_device(&device);
}

static void expect_failure(const kflowConfig *config, int number, const char *text)
{
    kflowDevice device;
    EXPECT(init(config, &device) == number);
    EXPECT(error_has(text));
    EXPECT(device.num_customs == 0x07070707);
}

int main(int argc, char **argv)
{
    char address[] = "192.0.2.7", loopback[] = "lo", nowhere[] = "no-such-if0";
    char name[] = "sensor_example", new_name[] = "new.device", new_address[] = "192.0.2.9", other_address[] = "192.0.2.10";
    char third_name[] = "third", wrong[] = "wr0ng-t0ken";
    kflowConfig config = config_for(argc == 2 ? argv[1] : ""), by_name;

    expect_device(&config, 1, "first");
    config.device_id = 99;
    expect_failure(&config, EKFLOWNODEVICE, "99");
    config.device_id = 0;

    config.device_if = loopback;
    expect_device(&config, 2, "loopback");
    config.device_if = nowhere;
    expect_failure(&config, EKFLOWCONFIG, "no-such-if0");
    config.device_if = NULL;

    config.device_ip = address;
    expect_device(&config, 42, "sensor_example");
    config.device_ip = new_address;
    expect_failure(&config, EKFLOWNODEVICE, "192.0.2.9");
    config.device_ip = NULL;

    config.device_name = name;
    expect_device(&config, 42, "sensor_example");

    /* Not created unless all is there. */
    config.device_name = new_name;
    expect_failure(&config, EKFLOWNODEVICE, "new");
    config.device_plan = 5;
    expect_failure(&config, EKFLOWNODEVICE, "new");
    config.device_ip = new_address;
    config.device_plan = 0;
    expect_failure(&config, EKFLOWNODEVICE, "192.0.2.9");
    /* Created, then found. */
    config.device_plan = 5;
    expect_device(&config, 43, "new_device");
    expect_device(&config, 43, "new_device");
    /* Created with the address of the capture. */
    by_name = config;
    by_name.device_ip = NULL;
    by_name.device_name = third_name;
    by_name.capture.ip = other_address;
    expect_device(&by_name, 44, "third");

    config.API.token = wrong;
    expect_failure(&config, EKFLOWAUTH, "401");
    config.API.token = NULL;
    expect_failure(&config, EKFLOWAUTH, "");

    EXPECT(kflowStop(30000) == 0);
    EXPECT(kflowError() == NULL);
    return 0;
}
