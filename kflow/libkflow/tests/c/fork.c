/* A child of fork has no sender until it makes its own; the parent's goes on. */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

#define SENDERS 4
#define CHILDREN 50

static volatile int is_over;

static void send_one(uint32_t port)
{
    kflow flow;
    memset(&flow, 0, sizeof flow);
    flow.l4SrcPort = port;
    EXPECT(kflowSend(&flow) == 0);
}

static int child_exits_well(pid_t child)
{
    int status = 0;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void *send_on(void *unused)
{
    kflow flow;
    (void)unused;
    memset(&flow, 0, sizeof flow);
    flow.l4SrcPort = 5;
    while (!is_over) {
        EXPECT(kflowSend(&flow) == 0);
    }
    return NULL;
}

/* Whatever the other threads hold at the time of the fork, the child does not wait for it. */
static void fork_while_others_send(const kflowConfig *config)
{
    pthread_t senders[SENDERS];
    is_over = 0;
    for (int n = 0; n < SENDERS; n++) {
        EXPECT(pthread_create(&senders[n], NULL, send_on, NULL) == 0);
    }
    for (int n = 0; n < CHILDREN; n++) {
        pid_t child = fork();
        if (child == 0) {
            kflow flow;
            kflowConfig bad = *config;
            alarm(SECONDS_MAX);
            memset(&flow, 0, sizeof flow);
            bad.program = NULL;
            EXPECT(kflowSend(&flow) == EKFLOWNOINIT);
            EXPECT(kflowError() == NULL);
            EXPECT(kflowInit(&bad, NULL) == EKFLOWCONFIG);
            EXPECT(error_has("program"));
            EXPECT(kflowStop(1000) == EKFLOWNOINIT);
            _exit(0);
        }
        EXPECT(child_exits_well(child));
    }
    is_over = 1;
    for (int n = 0; n < SENDERS; n++) {
        EXPECT(pthread_join(senders[n], NULL) == 0);
    }
}

int main(int argc, char **argv)
{
    pid_t child;
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");

    /* Forked before there was a sender, as daemons do. */
    EXPECT(kflowInit(NULL, NULL) == EKFLOWCONFIG);
    child = fork();
    if (child == 0) {
        alarm(SECONDS_MAX);
        EXPECT(kflowError() == NULL);
        EXPECT(kflowInit(&config, NULL) == 0);
        send_one(1);
        EXPECT(kflowStop(30000) == 0);
        return 0;
    }
    EXPECT(child_exits_well(child));
    EXPECT(error_has("null"));

    EXPECT(kflowInit(&config, NULL) == 0);
    send_one(2);
    child = fork();
    if (child == 0) {
        kflow flow;
        uint8_t byte = 0;
        alarm(SECONDS_MAX);
        memset(&flow, 0, sizeof flow);
        EXPECT(kflowSend(&flow) == EKFLOWNOINIT);
        EXPECT(kflowSendEncodedDNS(&byte, 1) == EKFLOWNOINIT);
        EXPECT(kflowStop(30000) == EKFLOWNOINIT);
        EXPECT(kflowError() == NULL);
        EXPECT(kflowInit(&config, NULL) == 0);
        send_one(3);
        EXPECT(kflowStop(30000) == 0);
        return 0;
    }
    EXPECT(child_exits_well(child));
    send_one(4);
    EXPECT(kflowStop(30000) == 0);

    EXPECT(kflowInit(&config, NULL) == 0);
    fork_while_others_send(&config);
    EXPECT(kflowStop(30000) == 0);
    return 0;
}
