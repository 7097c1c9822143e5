/* Tensors from files and to files. */
#ifndef TENSOR_H
#define TENSOR_H

#include <stdint.h>
#include <tensorflow/c/tf_tensor.h>

#include "signature.h"

enum { SHAPE_TEXT = 1024 };

/* "float32"; "other" for types without a NumPy counterpart. */
const char *dtype_name(int type);

/* "[2,?]"; "unknown" for rank -1. */
const char *shape_text(char text[SHAPE_TEXT], int rank, const int64_t *dims);

/* The tensor to feed an input with. Each of the files, which commas separate, is a row of a string
   input; any other input takes one .npy file. Unless `rows` is 0, the given rows are cycled to
   that many where the signature leaves the first dimension open. */
TF_Tensor *read_tensor(const TensorInfo *info, const char *files, int64_t rows);

/* Writes DIRECTORY/NAME.npy, or DIRECTORY/NAME.<row>.bin for each string, and prints the name, the
   dtype and the shape. */
void save_tensor(const char *directory, const char *name, const TF_Tensor *tensor);

#endif
