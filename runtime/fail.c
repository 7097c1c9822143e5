#define _POSIX_C_SOURCE 200809L
#include "fail.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int own_stderr = STDERR_FILENO;

/* Keeps TensorFlow's log off stderr, unless TF_CPP_MIN_LOG_LEVEL is set. The library writes lines
   (whatever that variable says) and decides on its log level while it is being loaded, which is
   before main and before any constructor of this program; only a preinit function is earlier. The
   C library is not ready either: it may make system calls, but setenv or stdio may not be used. */
static void silence_tensorflow(int argc, char **argv, char **environment) {
    static const char LEVEL[] = "TF_CPP_MIN_LOG_LEVEL=";
    (void)argc, (void)argv;
    for (; *environment; environment++)
        if (!strncmp(*environment, LEVEL, sizeof LEVEL - 1)) return;
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_WRONLY);
    if (saved < 0 || null < 0) return;
    own_stderr = saved;
    dup2(null, STDERR_FILENO);
    close(null);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) =
    silence_tensorflow;

_Noreturn void leave(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    dprintf(own_stderr, "runtime: ");
    vdprintf(own_stderr, format, arguments);
    dprintf(own_stderr, "\n");
    _Exit(code); /* not exit: TensorFlow's threads are alive, its destructors must not run */
}

void check(const TF_Status *status, const char *what) {
    static const char *const CODES[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED"};
    size_t code = (size_t)TF_GetCode(status);
    if (code == TF_OK) return;
    const char *from = TF_Message(status);
    char *message = allocate(strlen(from) + 1, 1), *to = message;
    for (; *from; from++) {
        bool blank = (unsigned char)*from <= ' ';
        if (!blank) *to++ = *from;
        else if (to != message && to[-1] != ' ') *to++ = ' ';
    }
    die("%s: %s: %s", what, code < sizeof CODES / sizeof *CODES ? CODES[code] : "UNKNOWN", message);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) die("out of memory");
    return memory;
}
