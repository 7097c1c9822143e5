/* The signatures of a SavedModel, read from its serialized MetaGraphDef. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One input or output of a signature. */
typedef struct {
    char *name;    /* the key a caller uses */
    char *tensor;  /* "operation:index"; empty for a sparse or composite tensor */
    int dtype;     /* a TF_DataType, or 0 */
    int rank;      /* -1: not known */
    int64_t *dims; /* `rank` of them; -1: not known */
} TensorInfo;

typedef struct {
    TensorInfo *items; /* in the order of their names */
    size_t count;
} TensorInfos;

typedef struct {
    char *name;
    TensorInfos inputs;
    TensorInfos outputs;
} Signature;

typedef struct {
    Signature *items; /* in the order of their names */
    size_t count;
} Signatures;

/* False when the bytes are no MetaGraphDef (or memory ran out). Whatever it says, `signatures` is
   to be released with signatures_free. */
bool signatures_parse(const void *bytes, size_t size, Signatures *signatures);
void signatures_free(Signatures *signatures);

#endif
