/* How the program fails: at once, with one line on stderr. */
#ifndef FAIL_H
#define FAIL_H

#include <stddef.h>
#include <tensorflow/c/tf_status.h>

/* Ends the process with the message, after "runtime: ", as the last line of stderr. */
_Noreturn void leave(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define die(...) leave(1, __VA_ARGS__)

/* Dies if the status is not OK, with the name of its code and its message on one line. */
void check(const TF_Status *status, const char *what);

/* Zeroed memory, never NULL. */
void *allocate(size_t count, size_t size);

#endif
