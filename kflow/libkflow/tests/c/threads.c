/* Many threads send at once, and say how many flows were taken. Before kflowInit the library has no threads. */
#include "check.h"
#include <dirent.h>
#include <pthread.h>

#define THREADS 8
#define FLOWS 2000

static int threads_of_process(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    EXPECT(tasks != NULL);
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        count += task->d_name[0] != '.';
    }
    closedir(tasks);
    return count;
}

static void *send_many(void *number)
{
    kflow flow;
    memset(&flow, 0, sizeof flow);
    flow.l4SrcPort = *(const uint32_t *)number;
    for (uint32_t n = 0; n < FLOWS; n++) {
        flow.l4DstPort = n;
        EXPECT(kflowSend(&flow) == 0);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    uint32_t numbers[THREADS];
    kflowConfig config = config_for(argc == 2 ? argv[1] : "");
    char *text = kflowVersion();
    EXPECT(text != NULL && kflowError() == NULL);
    free(text);
    EXPECT(threads_of_process() == 1);
    EXPECT(kflowInit(&config, NULL) == 0);
    for (int n = 0; n < THREADS; n++) {
        numbers[n] = 1 + n;
        EXPECT(pthread_create(&threads[n], NULL, send_many, &numbers[n]) == 0);
    }
    for (int n = 0; n < THREADS; n++) {
        EXPECT(pthread_join(threads[n], NULL) == 0);
    }
    EXPECT(kflowStop(60000) == 0);
    printf("sent %d\n", THREADS * FLOWS);
    return 0;
}
