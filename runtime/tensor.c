#define _POSIX_C_SOURCE 200809L
#include "tensor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/tf_tstring.h>

#include "fail.h"
#include "npy.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, ".npy data is fed and written as it is");

enum { MAX_RANK = 254 }; /* TensorFlow's limit */

typedef struct {
    TF_DataType type;
    const char *name;
    const char *descr; /* of the .npy; NULL: none */
} Dtype;

static const Dtype DTYPES[] = {
    {TF_BOOL, "bool", "|b1"},
    {TF_INT8, "int8", "|i1"},
    {TF_INT16, "int16", "<i2"},
    {TF_INT32, "int32", "<i4"},
    {TF_INT64, "int64", "<i8"},
    {TF_UINT8, "uint8", "|u1"},
    {TF_UINT16, "uint16", "<u2"},
    {TF_UINT32, "uint32", "<u4"},
    {TF_UINT64, "uint64", "<u8"},
    {TF_HALF, "float16", "<f2"},
    {TF_FLOAT, "float32", "<f4"},
    {TF_DOUBLE, "float64", "<f8"},
    {TF_COMPLEX64, "complex64", "<c8"},
    {TF_COMPLEX128, "complex128", "<c16"},
    {TF_BFLOAT16, "bfloat16", "<u2"}, /* NumPy has no such type: its bits */
    {TF_STRING, "string", NULL},
    {TF_RESOURCE, "resource", NULL},
    {TF_VARIANT, "variant", NULL},
};
static const Dtype OTHER_DTYPE = {0, "other", NULL};

static const Dtype *dtype_of(int type) {
    for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
        if ((int)DTYPES[i].type == type) return &DTYPES[i];
    return &OTHER_DTYPE;
}

const char *dtype_name(int type) { return dtype_of(type)->name; }

const char *shape_text(char text[SHAPE_TEXT], int rank, const int64_t *dims) {
    size_t used = 0;
    if (rank < 0) return "unknown";
    text[used++] = '[';
    for (int i = 0; i < rank && used < SHAPE_TEXT - 32; i++) {
        if (i) text[used++] = ',';
        if (dims[i] < 0) text[used++] = '?';
        else used += (size_t)snprintf(text + used, 24, "%lld", (long long)dims[i]);
    }
    text[used++] = ']';
    text[used] = 0;
    return text;
}

static unsigned char *read_file(const char *path, size_t *size) {
    size_t capacity = 1 << 16;
    unsigned char *bytes = allocate(capacity, 1);
    FILE *file = fopen(path, "rb");
    if (!file) die("cannot read '%s': %s", path, strerror(errno));
    for (*size = 0; !feof(file);) {
        *size += fread(bytes + *size, 1, capacity - *size, file);
        if (ferror(file)) die("cannot read '%s': %s", path, strerror(errno));
        if (*size == capacity && !(bytes = realloc(bytes, capacity *= 2))) die("out of memory");
    }
    fclose(file);
    return bytes;
}

/* A session does not check what it is fed against the shapes the graph was made for. */
static void check_shape(const TensorInfo *info, int rank, const int64_t *dims) {
    bool fits = info->rank < 0 || rank == info->rank;
    for (int i = 0; fits && i < info->rank; i++)
        fits = info->dims[i] < 0 || info->dims[i] == dims[i];
    char got[SHAPE_TEXT], wanted[SHAPE_TEXT];
    if (!fits)
        die("input '%s' is of shape %s, the signature takes %s", info->name,
            shape_text(got, rank, dims), shape_text(wanted, info->rank, info->dims));
}

/* How many rows to feed, of those given. */
static int64_t rows_to_feed(const TensorInfo *info, int64_t given, int64_t asked) {
    if (!asked || info->rank == 0 || (info->rank > 0 && info->dims[0] >= 0)) return given;
    if (!given) die("input '%s' has no rows to repeat", info->name);
    return asked;
}

static void free_strings(void *data, size_t size, void *unused) {
    (void)unused;
    for (size_t i = 0; i < size / sizeof(TF_TString); i++)
        TF_TString_Dealloc((TF_TString *)data + i);
    free(data);
}

static TF_Tensor *read_strings(const TensorInfo *info, const char *files, int64_t asked) {
    int64_t given = *files != 0;
    for (const char *at = files; *at; at++) given += *at == ',';
    int64_t rows = rows_to_feed(info, given, asked);
    int rank = info->rank == 0 && rows == 1 ? 0 : 1; /* a scalar takes one file */
    check_shape(info, rank, &rows);

    /* Aligned for Eigen: the tensor takes this memory over as it is. */
    size_t size = (size_t)rows * sizeof(TF_TString);
    TF_TString *strings = aligned_alloc(64, size / 64 * 64 + 64);
    if (!strings) die("out of memory");
    for (int64_t row = 0; row < rows; row++) {
        TF_TString_Init(&strings[row]);
        if (row >= given) {
            const TF_TString *same = &strings[row % given];
            TF_TString_Copy(&strings[row], TF_TString_GetDataPointer(same),
                            TF_TString_GetSize(same));
            continue;
        }
        size_t length = strcspn(files, ","), bytes_size;
        char *path = strndup(files, length);
        if (!path) die("out of memory");
        unsigned char *bytes = read_file(path, &bytes_size);
        TF_TString_Copy(&strings[row], (const char *)bytes, bytes_size);
        free(bytes);
        free(path);
        files += length + 1;
    }
    return TF_NewTensor(TF_STRING, &rows, rank, strings, size, free_strings, NULL);
}

static TF_Tensor *read_npy(const TensorInfo *info, const char *path, int64_t asked) {
    const Dtype *dtype = dtype_of(info->dtype);
    if (!dtype->descr)
        die("input '%s' is of a type that cannot be fed: %s (%d)", info->name, dtype->name,
            info->dtype);
    if (!*path) die("input '%s' is %s: it takes a .npy file", info->name, dtype->name);
    Npy npy;
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    const char *wrong = npy_parse(bytes, size, &npy);
    if (wrong) die("cannot use '%s': %s", path, wrong);
    if (strcmp(npy.descr, dtype->descr) != 0)
        die("cannot use '%s': it holds '%s', input '%s' is %s ('%s')", path, npy.descr, info->name,
            dtype->name, dtype->descr);
    if (npy.size != (size_t)npy.count * TF_DataTypeSize(dtype->type))
        die("cannot use '%s': its size is not that of its shape", path);

    int64_t given = npy.rank ? npy.dims[0] : 1;
    int64_t rows = rows_to_feed(info, given, npy.rank ? asked : 0);
    size_t row_size = given ? npy.size / (size_t)given : 0;
    npy.dims[0] = rows;
    check_shape(info, npy.rank, npy.dims);
    TF_Tensor *tensor =
        TF_AllocateTensor(dtype->type, npy.dims, npy.rank, (size_t)rows * row_size);
    if (!tensor || (rows && row_size && !TF_TensorData(tensor))) die("out of memory");
    for (int64_t row = 0; row_size && row < rows; row++)
        memcpy((char *)TF_TensorData(tensor) + (size_t)row * row_size,
               npy.data + (size_t)(row % given) * row_size, row_size);
    free(bytes);
    return tensor;
}

TF_Tensor *read_tensor(const TensorInfo *info, const char *files, int64_t rows) {
    return info->dtype == TF_STRING ? read_strings(info, files, rows) : read_npy(info, files, rows);
}

static FILE *create(const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) die("cannot write '%s': %s", path, strerror(errno));
    return file;
}

static void finish(FILE *file, const char *path, bool written) {
    if (fclose(file) != 0 || !written) die("cannot write '%s': %s", path, strerror(errno));
}

void save_tensor(const char *directory, const char *name, const TF_Tensor *tensor) {
    const Dtype *dtype = dtype_of((int)TF_TensorType(tensor));
    int64_t dims[MAX_RANK];
    int rank = TF_NumDims(tensor);
    for (int i = 0; i < rank; i++) dims[i] = TF_Dim(tensor, i);
    if (strchr(name, '/')) die("output '%s' cannot be the name of a file", name);
    size_t capacity = strlen(directory) + strlen(name) + 32; /* 32: a slash, a row, a suffix */
    char *path = allocate(capacity, 1);
    if (dtype->type == TF_STRING) {
        const TF_TString *strings = TF_TensorData(tensor);
        for (int64_t row = 0; row < TF_TensorElementCount(tensor); row++) {
            snprintf(path, capacity, "%s/%s.%lld.bin", directory, name, (long long)row);
            FILE *file = create(path);
            size_t size = TF_TString_GetSize(&strings[row]);
            const char *bytes = TF_TString_GetDataPointer(&strings[row]);
            finish(file, path, fwrite(bytes, 1, size, file) == size);
        }
    } else if (dtype->descr) {
        snprintf(path, capacity, "%s/%s.npy", directory, name);
        FILE *file = create(path);
        finish(file, path, npy_write(file, dtype->descr, rank, dims, TF_TensorData(tensor),
                                     TF_TensorByteSize(tensor)));
    } else {
        die("output '%s' is of a type that cannot be written: %s (%d)", name, dtype->name,
            (int)TF_TensorType(tensor));
    }
    free(path);
    char text[SHAPE_TEXT];
    printf("%s\t%s\t%s\n", name, dtype->name, shape_text(text, rank, dims));
}
