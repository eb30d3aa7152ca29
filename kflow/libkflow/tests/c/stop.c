/* The server takes flows and never answers: kflowStop ends in time and says what it left behind. */
#include "check.h"

int main(int argc, char **argv)
{
    kflow flow;
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    memset(&flow, 0, sizeof flow);
    EXPECT(kflowInit(&config, NULL) == 0);
    for (int n = 0; n < 10; n++) {
        EXPECT(kflowSend(&flow) == 0);
    }
    EXPECT(kflowStop(200) == EKFLOWTIMEOUT);
    EXPECT(error_has("10 flows"));
    EXPECT(kflowSend(&flow) == EKFLOWNOINIT);
    EXPECT(kflowStop(-1) == EKFLOWNOINIT);
    return 0;
}
