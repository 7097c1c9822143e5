#include "npy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More elements than any file holds, and few enough for products of a shape not to overflow. A
   shape with a zero in it needs the limit as well: its other dimensions cost no bytes. */
static const int64_t MAX_COUNT = (int64_t)1 << 40;

static const char *skip_spaces(const char *text) { return text + strspn(text, " "); }

/* What follows `'key':` in the header, a Python dict literal; NULL if the key is missing. */
static const char *value_of(const char *header, const char *key) {
    const char *found = strstr(header, key);
    return found ? skip_spaces(found + strlen(key)) : NULL;
}

static const char *parse_shape(const char *at, Npy *npy) {
    int64_t product = 1; /* with zeros taken as ones */
    npy->count = 1;
    if (!at || *at++ != '(') return "its header has no shape";
    for (at = skip_spaces(at); *at != ')'; at = skip_spaces(at)) {
        if (npy->rank == NPY_MAX_RANK) return "its shape has too many dimensions";
        if (*at < '0' || *at > '9') return "its shape is malformed";
        char *end;
        errno = 0;
        long long dim = strtoll(at, &end, 10);
        if (errno || dim > MAX_COUNT || (dim && product > MAX_COUNT / dim))
            return "its shape is too large";
        if (dim) product *= dim;
        npy->count *= dim;
        npy->dims[npy->rank++] = dim;
        at = skip_spaces(end);
        if (*at == ',') at++;
        else if (*at != ')') return "its shape is malformed";
    }
    return NULL;
}

const char *npy_parse(const unsigned char *bytes, size_t size, Npy *npy) {
    *npy = (Npy){0};
    if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) return "it is not a .npy file";
    size_t start = bytes[6] == 1 ? 10 : 12;
    if (bytes[6] < 1 || bytes[6] > 3) return "it is of an unknown .npy version";
    if (size < start) return "it is truncated";
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (start == 12) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - start) return "it is truncated";

    char header[4096];
    if (length >= sizeof header) return "its header is too long";
    memcpy(header, bytes + start, length);
    header[length] = 0;

    const char *descr = value_of(header, "'descr':");
    if (!descr || *descr != '\'') return "its header has no simple descr";
    size_t descr_length = strcspn(++descr, "'");
    if (descr_length >= sizeof npy->descr) return "its descr is too long";
    memcpy(npy->descr, descr, descr_length);
    const char *fortran = value_of(header, "'fortran_order':");
    if (!fortran || strncmp(fortran, "False", 5) != 0) return "it is not in C order";
    npy->data = bytes + start + length;
    npy->size = size - start - length;
    return parse_shape(value_of(header, "'shape':"), npy);
}

bool npy_write(FILE *file, const char *descr, int rank, const int64_t *dims, const void *data,
               size_t size) {
    char header[8192]; /* TensorFlow allows 254 dimensions, each of at most 20 characters and 2 */
    size_t used = (size_t)snprintf(
        header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < rank && used < sizeof header - 64; i++)
        used += (size_t)snprintf(header + used, sizeof header - used, "%lld, ", (long long)dims[i]);
    used += (size_t)snprintf(header + used, sizeof header - used, "), }");
    while ((10 + used + 1) % 64) header[used++] = ' '; /* the data starts at a multiple of 64 */
    header[used++] = '\n';
    unsigned char start[10] = "\x93NUMPY\x01";
    start[8] = (unsigned char)(used & 0xff);
    start[9] = (unsigned char)(used >> 8);
    return fwrite(start, 1, sizeof start, file) == sizeof start &&
           fwrite(header, 1, used, file) == used &&
           (size == 0 || fwrite(data, 1, size, file) == size);
}
