/* Sends three flows and waits for the end of its input, while others ask for its status on the port that it is given. */
#include "check.h"

int main(int argc, char **argv)
{
    kflow flow;
    kflowConfig config = config_for(argc == 3 ? argv[1] : "");
    memset(&flow, 0, sizeof flow);
    config.status.port = atoi(argv[2]);
    EXPECT(kflowInit(&config, NULL) == 0);
    for (int n = 0; n < 3; n++) {
        EXPECT(kflowSend(&flow) == 0);
    }
    /* A second sender takes the port over. */
    EXPECT(kflowInit(&config, NULL) == 0);
    for (int n = 0; n < 2; n++) {
        EXPECT(kflowSend(&flow) == 0);
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    EXPECT(kflowStop(30000) == 0);
    EXPECT(kflowError() == NULL);
    return 0;
}
