/* Calls every function of the C interface, the wrong way too. Says which line is not as expected, and fails. */
#include <hll.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                     \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);   \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

static hll_sketch *sketch_of(uint8_t precision, uint64_t from, uint64_t to)
{
    hll_sketch *sketch = NULL;
    EXPECT(hll_new(precision, &sketch) == HLL_OK);
    for (uint64_t value = from; value < to; value++) {
        EXPECT(hll_add_u64(sketch, value) == HLL_OK);
    }
    return sketch;
}

static double estimate(const hll_sketch *sketch)
{
    double value = -1;
    EXPECT(hll_estimate(sketch, &value) == HLL_OK);
    return value;
}

static int are_equal(const hll_sketch *a, const hll_sketch *b)
{
    unsigned char first[8 + 65536], second[8 + 65536];
    size_t first_length, second_length;
    EXPECT(hll_serialise(a, first, sizeof first, &first_length) == HLL_OK);
    EXPECT(hll_serialise(b, second, sizeof second, &second_length) == HLL_OK);
    return first_length == second_length && memcmp(first, second, first_length) == 0;
}

static void creating_and_freeing(void)
{
    hll_sketch *sketch = NULL;
    uint8_t precision = 0;
    size_t bytes = 0;
    EXPECT(hll_new(3, &sketch) == HLL_PRECISION && sketch == NULL);
    EXPECT(hll_new(19, &sketch) == HLL_PRECISION && sketch == NULL);
    EXPECT(hll_new(12, NULL) == HLL_NULL);
    EXPECT(hll_new(12, &sketch) == HLL_OK && sketch != NULL);
    EXPECT(hll_precision(sketch, &precision) == HLL_OK && precision == 12);
    EXPECT(hll_memory_bytes(sketch, &bytes) == HLL_OK && bytes > 0 && bytes < 100);
    EXPECT(estimate(sketch) == 0);
    hll_free(sketch);
    hll_free(NULL);
}

static void every_way_to_add(void)
{
    const uint64_t number = 0x0807060504030201;
    const unsigned char bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    hll_sketch *one = sketch_of(12, 0, 0), *other = sketch_of(12, 0, 0);
    uint64_t hash = 0;

    EXPECT(hll_add(one, bytes, 8) == HLL_OK);
    EXPECT(hll_add_u64(other, number) == HLL_OK);
    EXPECT(are_equal(one, other));
    EXPECT(hll_hash(bytes, 8, &hash) == HLL_OK);
    EXPECT(hll_add_hash(other, hash) == HLL_OK && hll_add_hashes(other, &hash, 1) == HLL_OK);
    EXPECT(are_equal(one, other));

    EXPECT(hll_add(one, bytes, 16) == HLL_OK);
    EXPECT(hll_add_u128(other, number, 9) == HLL_OK);
    EXPECT(are_equal(one, other));

    const void *values[3] = {"a", "bc", NULL};
    const size_t lengths[3] = {1, 2, 0};
    EXPECT(hll_add_many(one, values, lengths, 3) == HLL_OK);
    EXPECT(hll_add(other, "bc", 2) == HLL_OK && hll_add(other, "a", 1) == HLL_OK);
    EXPECT(hll_add(other, NULL, 0) == HLL_OK);
    EXPECT(are_equal(one, other));
    EXPECT(round(estimate(one)) == 5);

    uint64_t numbers[5000];
    for (uint64_t n = 0; n < 5000; n++) {
        numbers[n] = n;
        EXPECT(hll_add_u64(other, n) == HLL_OK);
    }
    EXPECT(hll_add_u64s(one, numbers, 5000) == HLL_OK);
    EXPECT(are_equal(one, other));

    EXPECT(hll_clear(one) == HLL_OK && estimate(one) == 0);
    EXPECT(hll_hash("", 0, &hash) == HLL_OK && hash == 0xEF46DB3751D8E999);
    hll_free(one);
    hll_free(other);
}

static void null_is_an_error(void)
{
    hll_sketch *sketch = sketch_of(12, 0, 10), *copy = NULL;
    const size_t length = 1;
    const void *null_value = NULL;
    double value;
    size_t bytes;
    unsigned char buffer[100];
    hll_overlap overlap;
    EXPECT(hll_clone(NULL, &copy) == HLL_NULL && hll_clone(sketch, NULL) == HLL_NULL);
    EXPECT(hll_clear(NULL) == HLL_NULL && hll_reduce(NULL, 10) == HLL_NULL);
    EXPECT(hll_add(NULL, "x", 1) == HLL_NULL && hll_add(sketch, NULL, 1) == HLL_NULL);
    EXPECT(hll_add_u64(NULL, 1) == HLL_NULL && hll_add_u128(NULL, 1, 1) == HLL_NULL);
    EXPECT(hll_add_hash(NULL, 1) == HLL_NULL && hll_add_hashes(sketch, NULL, 1) == HLL_NULL);
    EXPECT(hll_add_u64s(sketch, NULL, 1) == HLL_NULL && hll_add_u64s(sketch, NULL, 0) == HLL_OK);
    EXPECT(hll_add_many(sketch, NULL, &length, 1) == HLL_NULL);
    EXPECT(hll_add_many(sketch, &null_value, NULL, 1) == HLL_NULL);
    EXPECT(hll_add_many(sketch, &null_value, &length, 1) == HLL_NULL);
    EXPECT(hll_hash("x", 1, NULL) == HLL_NULL);
    EXPECT(hll_merge(sketch, NULL) == HLL_NULL && hll_merge(NULL, sketch) == HLL_NULL && hll_merge(NULL, NULL) == HLL_NULL);
    EXPECT(hll_merge_bytes(sketch, NULL, 8) == HLL_NULL && hll_merge_bytes(NULL, buffer, 8) == HLL_NULL);
    EXPECT(hll_estimate(NULL, &value) == HLL_NULL && hll_estimate(sketch, NULL) == HLL_NULL);
    EXPECT(hll_bounds(NULL, 0.9, &value, &value) == HLL_NULL && hll_bounds(sketch, 0.9, NULL, &value) == HLL_NULL);
    EXPECT(hll_bounds(sketch, 0.9, &value, NULL) == HLL_NULL);
    EXPECT(hll_overlap_of(NULL, sketch, &overlap) == HLL_NULL && hll_overlap_of(sketch, NULL, &overlap) == HLL_NULL);
    EXPECT(hll_overlap_of(sketch, sketch, NULL) == HLL_NULL);
    EXPECT(hll_precision(sketch, NULL) == HLL_NULL && hll_memory_bytes(NULL, &bytes) == HLL_NULL);
    EXPECT(hll_serialise(NULL, buffer, sizeof buffer, &bytes) == HLL_NULL);
    EXPECT(hll_serialise(sketch, NULL, sizeof buffer, &bytes) == HLL_NULL);
    EXPECT(hll_serialise(sketch, buffer, sizeof buffer, NULL) == HLL_NULL);
    EXPECT(hll_deserialise(NULL, 8, &copy) == HLL_NULL && hll_deserialise(buffer, 0, &copy) == HLL_NOT_A_SKETCH);
    EXPECT(copy == NULL && round(estimate(sketch)) == 10);
    hll_free(sketch);
}

static void merging_and_bounds(void)
{
    hll_sketch *first = sketch_of(14, 0, 30000), *second = sketch_of(12, 20000, 50000), *all = NULL;
    double lower, upper;
    uint8_t precision;
    EXPECT(hll_clone(first, &all) == HLL_OK && are_equal(first, all));
    EXPECT(hll_merge(all, all) == HLL_OK && are_equal(first, all));
    EXPECT(hll_merge(all, second) == HLL_OK);
    EXPECT(hll_precision(all, &precision) == HLL_OK && precision == 12);
    hll_sketch *expected = sketch_of(12, 0, 50000);
    EXPECT(are_equal(all, expected));
    EXPECT(hll_bounds(all, 0.9999, &lower, &upper) == HLL_OK);
    EXPECT(lower < estimate(all) && estimate(all) < upper && lower < 50000 && 50000 < upper);

    hll_overlap overlap;
    EXPECT(hll_overlap_of(first, second, &overlap) == HLL_OK);
    EXPECT(fabs(overlap.only_first.value - 20000) < 5 * overlap.only_first.standard_error);
    EXPECT(fabs(overlap.only_second.value - 20000) < 5 * overlap.only_second.standard_error);
    EXPECT(fabs(overlap.both.value - 10000) < 5 * overlap.both.standard_error);
    EXPECT(fabs(overlap.either.value - 50000) < 5 * overlap.either.standard_error);

    EXPECT(hll_reduce(first, 20) == HLL_PRECISION && hll_reduce(first, 12) == HLL_OK);
    EXPECT(hll_merge(first, second) == HLL_OK && are_equal(first, expected));
    hll_free(first);
    hll_free(second);
    hll_free(all);
    hll_free(expected);
}

static void serialising(uint64_t count)
{
    hll_sketch *sketch = sketch_of(10, 0, count), *again = NULL, *merged = sketch_of(10, 0, 0);
    size_t length = 0, written = 0;
    EXPECT(hll_serialise(sketch, NULL, 0, &length) == HLL_BUFFER && 8 <= length && length <= 8 + 1024);
    /* One byte in front, so that nothing is aligned; on the heap, so that valgrind sees one byte too many. */
    unsigned char *bytes = malloc(1 + length);
    EXPECT(hll_serialise(sketch, bytes + 1, length - 1, &written) == HLL_BUFFER && written == length);
    EXPECT(hll_serialise(sketch, bytes + 1, length, &written) == HLL_OK && written == length);
    EXPECT(hll_deserialise(bytes + 1, length, &again) == HLL_OK && are_equal(sketch, again));
    EXPECT(hll_merge_bytes(merged, bytes + 1, length) == HLL_OK && are_equal(sketch, merged));

    hll_sketch *bad = NULL;
    EXPECT(hll_deserialise(bytes + 1, length - 1, &bad) != HLL_OK && bad == NULL);
    EXPECT(hll_deserialise(bytes + 1, 7, &bad) == HLL_NOT_A_SKETCH && bad == NULL);
    bytes[1 + 2] = 9;
    EXPECT(hll_deserialise(bytes + 1, length, &bad) == HLL_VERSION && bad == NULL);
    EXPECT(hll_merge_bytes(merged, bytes + 1, length) == HLL_VERSION && are_equal(sketch, merged));
    free(bytes);
    hll_free(sketch);
    hll_free(again);
    hll_free(merged);
}

static void *read_estimate(void *sketch)
{
    return estimate(sketch) > 900 ? sketch : NULL;
}

static void reading_in_several_threads(void)
{
    hll_sketch *sketch = sketch_of(8, 0, 1000);
    pthread_t threads[4];
    for (int n = 0; n < 4; n++) {
        EXPECT(pthread_create(&threads[n], NULL, read_estimate, sketch) == 0);
    }
    for (int n = 0; n < 4; n++) {
        void *result = NULL;
        EXPECT(pthread_join(threads[n], &result) == 0 && result == sketch);
    }
    hll_free(sketch);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2 && strcmp(hll_version(), argv[1]) == 0);
    for (int status = -1; status < 10; status++) {
        EXPECT(strlen(hll_message(status)) > 5);
    }
    creating_and_freeing();
    every_way_to_add();
    null_is_an_error();
    merging_and_bounds();
    serialising(0);
    serialising(100);
    serialising(10000);
    reading_in_several_threads();
    return 0;
}
