/* The .npy files of NumPy: C order, little endian, simple types. */
#ifndef NPY_H
#define NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { NPY_MAX_RANK = 64 };

typedef struct {
    char descr[16]; /* such as "<f4" */
    int rank;
    int64_t dims[NPY_MAX_RANK];
    int64_t count; /* of elements */
    const unsigned char *data; /* inside the parsed bytes */
    size_t size;
} Npy;

/* NULL, or what is wrong with the file. Whether `size` is that of `count` elements is left to the
   caller, who knows the type. */
const char *npy_parse(const unsigned char *bytes, size_t size, Npy *npy);

/* False when the file cannot be written. */
bool npy_write(FILE *file, const char *descr, int rank, const int64_t *dims, const void *data,
               size_t size);

#endif
