/*
 * hll: distinct counts from small sketches that merge at memory speed.
 *
 * A sketch takes values and estimates how many different ones it was given, in bounded memory: 2^precision bytes. Sketches
 * merge into the sketch of all their values, also as serialised bytes, which are the same on every platform.
 *
 * Rules for all functions:
 *
 * - A sketch comes from hll_new, hll_clone or hll_deserialise, belongs to the caller, and goes by hll_free. Nothing else
 *   that is returned has to be freed, and nothing that is passed in is kept.
 * - A function that takes a `const hll_sketch *` may run in several threads on the same sketch; one that takes it without
 *   `const` must be the only one that uses the sketch meanwhile.
 * - Functions that can fail return a status, and change nothing that is passed in unless it is HLL_OK (hll_serialise tells
 *   the length in any case, hll_bounds may have written one of its two results, and hll_add_many may have added the values
 *   before one that is null). A null pointer is an error, except for bytes or arrays of length 0, and in hll_free.
 * - No function ends the program. HLL_INTERNAL is a bug in the library; the sketch may then only be freed. Running out of
 *   memory aborts, as everywhere in Rust.
 * - Numbers of statuses, and serialised forms, keep their meaning in all later versions.
 */
#ifndef HLL_H
#define HLL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hll_sketch hll_sketch;

typedef enum hll_status {
    HLL_OK = 0,
    HLL_NULL = 1,         /* a pointer is null that must not be */
    HLL_PRECISION = 2,    /* the precision is not one of 4 to 18 */
    HLL_NOT_A_SKETCH = 3, /* the bytes do not begin as a serialised sketch does */
    HLL_VERSION = 4,      /* the bytes are of a later version */
    HLL_LENGTH = 5,       /* fewer or more bytes than the sketch says */
    HLL_CORRUPT = 6,      /* the bytes are nothing that a sketch is serialised as */
    HLL_BUFFER = 7,       /* the buffer is too small */
    HLL_INTERNAL = 8      /* a bug in the library */
} hll_status;

/* The version of the library, such as "0.1.0". */
const char *hll_version(void);

/* What a status means, in English. */
const char *hll_message(int status);

/*
 * An empty sketch. The precision, 4 to 18, decides size and error: 12 takes at most 4 KiB and errs by 1.07 %, 14 takes
 * 16 KiB and errs by 0.54 % (one standard deviation). Small sketches take less, and are in effect exact up to a quarter
 * as many values as bytes.
 */
hll_status hll_new(uint8_t precision, hll_sketch **sketch);

hll_status hll_clone(const hll_sketch *sketch, hll_sketch **copy);

/* Does nothing for null. */
void hll_free(hll_sketch *sketch);

/* Forgets all values. */
hll_status hll_clear(hll_sketch *sketch);

/* Lowers the precision, as if it had been the lower one from the start. One that is not lower changes nothing. */
hll_status hll_reduce(hll_sketch *sketch, uint8_t precision);

/*
 * Adding. A number is the same value as its little-endian bytes: 8 for a uint64_t, and 16 for 128 bits.
 * The hash is XXH64 with seed 0; hashes of another function must be as good as random in all 64 bits, and sketches that
 * are merged must have been given hashes of one function.
 */
hll_status hll_add(hll_sketch *sketch, const void *value, size_t length);
hll_status hll_add_u64(hll_sketch *sketch, uint64_t value);
hll_status hll_add_u128(hll_sketch *sketch, uint64_t low, uint64_t high);
hll_status hll_add_hash(hll_sketch *sketch, uint64_t hash);

/* Adding many: `values` and `lengths` are arrays of `count`. */
hll_status hll_add_many(hll_sketch *sketch, const void *const *values, const size_t *lengths, size_t count);
hll_status hll_add_u64s(hll_sketch *sketch, const uint64_t *values, size_t count);
hll_status hll_add_hashes(hll_sketch *sketch, const uint64_t *hashes, size_t count);

/* The hash that hll_add gives a value. */
hll_status hll_hash(const void *value, size_t length, uint64_t *hash);

/* Adds all values of another sketch. Of two precisions the lower is the result's. */
hll_status hll_merge(hll_sketch *sketch, const hll_sketch *other);

/* The same from serialised bytes, which are not copied and need no alignment: they may be part of a mapped file. */
hll_status hll_merge_bytes(hll_sketch *sketch, const void *bytes, size_t length);

/* The number of different values. It is infinite for a sketch that is full, which takes more values than can be counted. */
hll_status hll_estimate(const hll_sketch *sketch, double *estimate);

/* Bounds between which the true number lies with the probability `confidence`, such as 0.95. */
hll_status hll_bounds(const hll_sketch *sketch, double confidence, double *lower, double *upper);

/* A number of different values, and one standard deviation of its error. */
typedef struct hll_part {
    double value;
    double standard_error;
} hll_part;

/* How two sets of values overlap. */
typedef struct hll_overlap {
    hll_part only_first;  /* values of the first that the second does not have */
    hll_part only_second; /* values of the second that the first does not have */
    hll_part both;        /* their intersection */
    hll_part either;      /* their union */
} hll_overlap;

/* Estimates the overlap from both sketches at once, which is better than from three estimates. */
hll_status hll_overlap_of(const hll_sketch *first, const hll_sketch *second, hll_overlap *overlap);

hll_status hll_precision(const hll_sketch *sketch, uint8_t *precision);

/* Bytes of memory that the sketch takes at the moment. */
hll_status hll_memory_bytes(const hll_sketch *sketch, size_t *bytes);

/*
 * Writes the serialised form to a buffer of `capacity` bytes, and its length to `length`. If the buffer is too small,
 * nothing is written to it and the status is HLL_BUFFER; a null buffer of capacity 0 asks for the length alone.
 * 8 + 2^precision bytes are always enough.
 */
hll_status hll_serialise(const hll_sketch *sketch, void *buffer, size_t capacity, size_t *length);

/* A sketch from its serialised form, of which every bit is checked. */
hll_status hll_deserialise(const void *bytes, size_t length, hll_sketch **sketch);

#ifdef __cplusplus
}
#endif

#endif
