/*
 * Counts the distinct lines of its input, or of each file that is named, and of all files together.
 *
 *   cc distinct.c $(pkg-config --cflags --libs hll) -o distinct
 */
#include <hll.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(hll_status status, const char *what)
{
    if (status != HLL_OK) {
        fprintf(stderr, "%s: %s\n", what, hll_message(status));
        exit(EXIT_FAILURE);
    }
}

static void add_lines(hll_sketch *sketch, FILE *file)
{
    char line[65536];
    while (fgets(line, sizeof line, file) != NULL) {
        check(hll_add(sketch, line, strcspn(line, "\n")), "add");
    }
}

static void print(const char *name, const hll_sketch *sketch)
{
    double estimate, lower, upper;
    check(hll_estimate(sketch, &estimate), "estimate");
    check(hll_bounds(sketch, 0.95, &lower, &upper), "bounds");
    printf("%s: %.0f distinct lines, %.0f to %.0f at 95 %%\n", name, estimate, lower, upper);
}

int main(int argc, char **argv)
{
    hll_sketch *all;
    check(hll_new(14, &all), "new");
    if (argc < 2) {
        add_lines(all, stdin);
    }
    for (int n = 1; n < argc; n++) {
        FILE *file = fopen(argv[n], "r");
        if (file == NULL) {
            perror(argv[n]);
            return EXIT_FAILURE;
        }
        hll_sketch *one;
        check(hll_new(14, &one), "new");
        add_lines(one, file);
        fclose(file);
        print(argv[n], one);
        check(hll_merge(all, one), "merge");
        hll_free(one);
    }
    print("all", all);
    hll_free(all);
    return EXIT_SUCCESS;
}
