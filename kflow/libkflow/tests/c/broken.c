/* The server closes the connection or answers with an error: the program lives, its signals are as before, and it is told. */
#include "check.h"
#include <signal.h>

static int is_default(int number)
{
    struct sigaction action;
    EXPECT(sigaction(number, NULL, &action) == 0);
    return action.sa_handler == SIG_DFL;
}

int main(int argc, char **argv)
{
    static const int signals[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGSEGV, SIGPROF};
    kflow flow;
    sigset_t mask;
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    memset(&flow, 0, sizeof flow);
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
    for (size_t n = 0; n < sizeof signals / sizeof *signals; n++) {
        EXPECT(is_default(signals[n]));
    }
    EXPECT(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGPIPE) && !sigismember(&mask, SIGTERM));
    return 0;
}
