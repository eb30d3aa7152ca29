/* The server closes the connection or answers with an error: the program lives, its signals are as before, and it is told. */
#include "check.h"
#include <signal.h>

static void (*handler_of(int number))(int)
{
    struct sigaction action;
    EXPECT(sigaction(number, NULL, &action) == 0);
    return action.sa_handler;
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGSEGV, SIGPROF};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    void (*before[SIGNALS])(int);
    kflow flow;
    sigset_t mask;
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    memset(&flow, 0, sizeof flow);
    for (size_t n = 0; n < SIGNALS; n++) {
        before[n] = handler_of(signals[n]);
    }
    EXPECT(kflowInit(&config, NULL) == 0);
    EXPECT(kflowSend(&flow) == 0);
    /* A text comes when the first attempt failed. */
    for (;;) {
        char *text = kflowError();
        if (text != NULL) {
            EXPECT(strstr(text, token) == NULL);
            printf("%s\n", text);
            free(text);
            break;
        }
        usleep(1000);
    }
    EXPECT(kflowStop(30000) == 0);
    for (size_t n = 0; n < SIGNALS; n++) {
        EXPECT(handler_of(signals[n]) == before[n]);
    }
    EXPECT(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGPIPE) && !sigismember(&mask, SIGTERM));
    return 0;
}
