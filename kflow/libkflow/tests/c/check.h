/* What the test programs share. Each is given the URL of a mock of Kentik's servers, and exits with 1 at the first surprise. */
#ifndef CHECK_H
#define CHECK_H

#include <kflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No program takes longer; one that hangs is killed. Children of fork have to say so again. */
#define SECONDS_MAX 300

#define EXPECT(condition)                                                     \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            complain();                                                       \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

/* What the library has to say. */
static inline void complain(void)
{
    char *text;
    while ((text = kflowError()) != NULL) {
        fprintf(stderr, "    %s\n", text);
        free(text);
    }
}

/* Whether the next text has this in it; it is fetched. */
static inline int error_has(const char *part)
{
    char *text = kflowError();
    int has = text != NULL && strstr(text, part) != NULL;
    if (!has) {
        fprintf(stderr, "expected \"%s\" in: %s\n", part, text == NULL ? "(none)" : text);
    }
    free(text);
    return has;
}

static char flow_url[256], api_url[256], metrics_url[256], dns_url[256];
static char email[] = "user@example.com", token[] = "s3cret-t0ken";
static char program[] = "check", version[] = "1.2.3";

/* A config for device 1 of the mock. */
static inline kflowConfig config_for(const char *base)
{
    kflowConfig config;
    alarm(SECONDS_MAX);
    memset(&config, 0, sizeof config);
    snprintf(flow_url, sizeof flow_url, "%s/chf", base);
    snprintf(api_url, sizeof api_url, "%s/api/internal", base);
    snprintf(metrics_url, sizeof metrics_url, "%s/tsdb", base);
    snprintf(dns_url, sizeof dns_url, "%s/dns", base);
    config.URL = flow_url;
    config.API.email = email;
    config.API.token = token;
    config.API.URL = api_url;
    config.metrics.URL = metrics_url;
    config.dns.URL = dns_url;
    config.device_id = 1;
    config.program = program;
    config.version = version;
    return config;
}

static inline void free_device(kflowDevice *device)
{
    for (uint32_t n = 0; n < device->num_customs; n++) {
        free(device->customs[n].name);
    }
    free(device->customs);
    free(device->name);
    memset(device, 0, sizeof *device);
}

#endif
