/* A reader of the few protobuf messages that lead from a MetaGraphDef to its signatures:

     MetaGraphDef      5: map<string, SignatureDef> signature_def
     SignatureDef      1: map<string, TensorInfo> inputs    2: map<string, TensorInfo> outputs
     TensorInfo        1: string name    2: DataType dtype    3: TensorShapeProto tensor_shape
     TensorShapeProto  2: repeated Dim dim    3: bool unknown_rank
     Dim               1: int64 size

   A map travels as repeated entries of { 1: key, 2: value }. Field numbers never change in
   protobuf, so this holds for every version of TensorFlow; fields not named here are skipped. */
#define _POSIX_C_SOURCE 200809L
#include "signature.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

/* What is left of a message. Once a read fails the reader stays failed. */
typedef struct {
    const unsigned char *at;
    size_t left;
    bool failed;
} Reader;

typedef struct {
    uint64_t number;
    int type;
    uint64_t value; /* of a VARINT */
    Reader bytes;   /* of BYTES */
} Field;

static bool fail(Reader *reader) {
    reader->failed = true;
    return false;
}

static bool read_varint(Reader *reader, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->left == 0) return fail(reader);
        unsigned char byte = *reader->at++;
        reader->left--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return fail(reader); /* more than ten bytes */
}

/* The next field; false at the end of the message and when it is malformed (`failed` tells). */
static bool next_field(Reader *reader, Field *field) {
    uint64_t tag, size;
    if (reader->failed || reader->left == 0 || !read_varint(reader, &tag)) return false;
    *field = (Field){.number = tag >> 3, .type = (int)(tag & 7)};
    switch (field->type) {
    case VARINT: return read_varint(reader, &field->value);
    case FIXED64: size = 8; break;
    case FIXED32: size = 4; break;
    case BYTES:
        if (!read_varint(reader, &size)) return false;
        break;
    default: return fail(reader); /* groups; none of these messages has one */
    }
    if (size > reader->left) return fail(reader);
    field->bytes = (Reader){.at = reader->at, .left = (size_t)size};
    reader->at += size;
    reader->left -= (size_t)size;
    return true;
}

static bool is(const Field *field, uint64_t number, int type) {
    return field->number == number && field->type == type;
}

/* Replaces *text by a copy of the bytes, which must not hold a NUL. */
static bool copy_text(Reader bytes, char **text) {
    if (bytes.left && memchr(bytes.at, 0, bytes.left)) return false;
    free(*text);
    *text = strndup(bytes.left ? (const char *)bytes.at : "", bytes.left);
    return *text != NULL;
}

static bool parse_shape(Reader reader, TensorInfo *info) {
    Field field, size;
    bool unknown = false;
    info->rank = 0;
    while (next_field(&reader, &field)) {
        if (is(&field, 3, VARINT)) unknown = field.value != 0;
        if (!is(&field, 2, BYTES)) continue;
        int64_t *dims = realloc(info->dims, ((size_t)info->rank + 1) * sizeof *dims);
        if (!dims) return false;
        info->dims = dims;
        dims[info->rank] = 0; /* what a proto3 message without the field means */
        while (next_field(&field.bytes, &size))
            if (is(&size, 1, VARINT)) dims[info->rank] = (int64_t)size.value;
        if (field.bytes.failed) return false;
        info->rank++;
    }
    if (unknown) info->rank = -1;
    return !reader.failed;
}

static bool parse_tensor_info(Reader reader, TensorInfo *info) {
    Field field;
    while (next_field(&reader, &field)) {
        if (is(&field, 1, BYTES) && !copy_text(field.bytes, &info->tensor)) return false;
        if (is(&field, 2, VARINT)) info->dtype = (int)(field.value & 0x7fffffff);
        if (is(&field, 3, BYTES) && !parse_shape(field.bytes, info)) return false;
    }
    return !reader.failed;
}

/* One entry of a SignatureDef's map of inputs or of outputs. */
static bool parse_tensor_entry(Reader reader, TensorInfos *infos) {
    TensorInfo *items = realloc(infos->items, (infos->count + 1) * sizeof *items);
    if (!items) return false;
    infos->items = items;
    TensorInfo *info = &items[infos->count++];
    *info = (TensorInfo){.name = strdup(""), .tensor = strdup(""), .rank = -1};
    Field field;
    while (next_field(&reader, &field)) {
        if (is(&field, 1, BYTES) && !copy_text(field.bytes, &info->name)) return false;
        if (is(&field, 2, BYTES) && !parse_tensor_info(field.bytes, info)) return false;
    }
    return !reader.failed && info->name && info->tensor;
}

static bool parse_signature(Reader reader, Signature *signature) {
    Field field;
    while (next_field(&reader, &field)) {
        if (is(&field, 1, BYTES) && !parse_tensor_entry(field.bytes, &signature->inputs))
            return false;
        if (is(&field, 2, BYTES) && !parse_tensor_entry(field.bytes, &signature->outputs))
            return false;
    }
    return !reader.failed;
}

/* One entry of the MetaGraphDef's map of signatures. */
static bool parse_signature_entry(Reader reader, Signatures *signatures) {
    Signature *items = realloc(signatures->items, (signatures->count + 1) * sizeof *items);
    if (!items) return false;
    signatures->items = items;
    Signature *signature = &items[signatures->count++];
    *signature = (Signature){.name = strdup("")};
    Field field;
    while (next_field(&reader, &field)) {
        if (is(&field, 1, BYTES) && !copy_text(field.bytes, &signature->name)) return false;
        if (is(&field, 2, BYTES) && !parse_signature(field.bytes, signature)) return false;
    }
    return !reader.failed && signature->name;
}

/* For Signature and for TensorInfo alike: the name is their first member. */
static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(void *items, size_t count, size_t size) {
    if (count) qsort(items, count, size, by_name);
}

bool signatures_parse(const void *bytes, size_t size, Signatures *signatures) {
    Reader reader = {.at = bytes, .left = size};
    Field field;
    *signatures = (Signatures){0};
    while (next_field(&reader, &field))
        if (is(&field, 5, BYTES) && !parse_signature_entry(field.bytes, signatures)) return false;
    if (reader.failed) return false;
    /* A map has no order on the wire. */
    sort(signatures->items, signatures->count, sizeof *signatures->items);
    for (size_t i = 0; i < signatures->count; i++) {
        Signature *signature = &signatures->items[i];
        sort(signature->inputs.items, signature->inputs.count, sizeof(TensorInfo));
        sort(signature->outputs.items, signature->outputs.count, sizeof(TensorInfo));
    }
    return true;
}

static void free_infos(TensorInfos *infos) {
    for (size_t i = 0; i < infos->count; i++) {
        free(infos->items[i].name);
        free(infos->items[i].tensor);
        free(infos->items[i].dims);
    }
    free(infos->items);
}

void signatures_free(Signatures *signatures) {
    for (size_t i = 0; i < signatures->count; i++) {
        free(signatures->items[i].name);
        free_infos(&signatures->items[i].inputs);
        free_infos(&signatures->items[i].outputs);
    }
    free(signatures->items);
    *signatures = (Signatures){0};
}
