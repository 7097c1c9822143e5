/* Serves a SavedModel the way TensorFlow Serving does: through TensorFlow's C API, in a process
   that holds no Python. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tensorflow/c/c_api.h>
#include <time.h>

#include "fail.h"
#include "signature.h"
#include "tensor.h"

static const char USAGE[] =
    "usage: runtime list MODEL\n"
    "       runtime run MODEL SIGNATURE -o OUTDIR [NAME=FILE[,FILE...]]...\n"
    "       runtime bench ITERATIONS [-r ROWS] MODEL SIGNATURE [NAME=FILE[,FILE...]]...\n"
    "                     [-- MODEL SIGNATURE [NAME=FILE[,FILE...]]...]...\n"
    "       runtime first MODEL SIGNATURE [NAME=FILE[,FILE...]]...\n"
    "       runtime --help\n"
    "\n"
    "Each FILE of a string input is one row of it; any other input is one .npy file.\n"
    "  list   prints a line for every tensor of every signature:\n"
    "         signature, input|output, name, dtype, tensor, shape\n"
    "  run    writes OUTDIR/<output>.npy (bfloat16 as its bits, '<u2'), for string outputs\n"
    "         OUTDIR/<output>.<row>.bin, and prints for each output: name, dtype, shape\n"
    "  bench  runs the models in turn after 3 rounds of warm-up and prints for each: index,\n"
    "         median microseconds, minimum microseconds, ratio of its median to the first's;\n"
    "         -r cycles the given rows to ROWS, of inputs whose first dimension is not fixed\n"
    "  first  prints milliseconds of CPU: of loading the model, and of its first run\n"
    "Columns are separated by tabs. Exit code: 0 done, 1 failed, 2 usage. TensorFlow's own\n"
    "log appears on stderr only if TF_CPP_MIN_LOG_LEVEL is set.\n";

enum { WARM_UP = 3, MAX_COUNT = 1000000 };

typedef struct {
    const char *path;
    TF_Graph *graph;
    TF_Session *session;
    Signatures signatures;
    const Signature *signature; /* the one in use; the arrays below are in its order */
    TF_Output *inputs, *outputs;
    TF_Tensor **fed, **fetched;
} Model;

static _Noreturn void usage(const char *reason) {
    leave(2, "%s\n%s", reason, USAGE);
}

/* "a, b": the names of an array of Signature or of TensorInfo, whose first member is the name. */
static char *names_of(const void *items, size_t count, size_t size) {
    size_t length = sizeof "none";
    for (size_t i = 0; i < count; i++)
        length += strlen(*(char *const *)((const char *)items + i * size)) + 2;
    char *text = allocate(length, 1);
    if (!count) strcpy(text, "none");
    for (size_t i = 0; i < count; i++) {
        if (i) strcat(text, ", ");
        strcat(text, *(char *const *)((const char *)items + i * size));
    }
    return text;
}

static Model load(const char *path) {
    Model model = {.path = path, .graph = TF_NewGraph()};
    TF_Status *status = TF_NewStatus();
    TF_SessionOptions *options = TF_NewSessionOptions();
    TF_Buffer *meta_graph = TF_NewBuffer();
    const char *const tags[] = {"serve"};
    model.session = TF_LoadSessionFromSavedModel(options, NULL, path, tags, 1, model.graph,
                                                 meta_graph, status);
    check(status, path);
    if (!signatures_parse(meta_graph->data, meta_graph->length, &model.signatures))
        die("%s: the MetaGraphDef is malformed", path);
    TF_DeleteBuffer(meta_graph);
    TF_DeleteSessionOptions(options);
    TF_DeleteStatus(status);
    return model;
}

static void unload(Model *model) {
    TF_Status *status = TF_NewStatus();
    TF_DeleteSession(model->session, status);
    for (size_t i = 0; model->signature && i < model->signature->inputs.count; i++)
        TF_DeleteTensor(model->fed[i]);
    TF_DeleteGraph(model->graph);
    TF_DeleteStatus(status);
    signatures_free(&model->signatures);
    free(model->inputs);
    free(model->outputs);
    free(model->fed);
    free(model->fetched);
}

/* The graph's end of "operation:index". */
static TF_Output find_tensor(const Model *model, const TensorInfo *info) {
    char *operation = strdup(info->tensor), *colon = operation ? strrchr(operation, ':') : NULL;
    if (colon) *colon = 0;
    long index = colon ? strtol(colon + 1, NULL, 10) : 0;
    TF_Output found = {.oper = operation ? TF_GraphOperationByName(model->graph, operation) : NULL};
    if (!found.oper || index < 0 || index >= TF_OperationNumOutputs(found.oper))
        die("'%s' of signature '%s' is no tensor of the graph: '%s'", info->name,
            model->signature->name, info->tensor);
    found.index = (int)index;
    free(operation);
    return found;
}

/* Readies a model to run a signature, fed with the arguments NAME=FILE[,FILE...]. */
static void feed(Model *model, const char *name, int count, char **arguments, int64_t rows) {
    const Signatures *all = &model->signatures;
    for (size_t i = 0; i < all->count; i++)
        if (!strcmp(all->items[i].name, name)) model->signature = &all->items[i];
    if (!model->signature)
        die("%s has no signature '%s'; it has: %s", model->path, name,
            names_of(all->items, all->count, sizeof *all->items));
    const TensorInfos *inputs = &model->signature->inputs, *outputs = &model->signature->outputs;
    char *known = names_of(inputs->items, inputs->count, sizeof *inputs->items);
    model->inputs = allocate(inputs->count, sizeof *model->inputs);
    model->fed = allocate(inputs->count, sizeof *model->fed);
    model->outputs = allocate(outputs->count, sizeof *model->outputs);
    model->fetched = allocate(outputs->count, sizeof *model->fetched);
    for (size_t i = 0; i < inputs->count; i++)
        model->inputs[i] = find_tensor(model, &inputs->items[i]);
    for (size_t i = 0; i < outputs->count; i++)
        model->outputs[i] = find_tensor(model, &outputs->items[i]);

    for (int a = 0; a < count; a++) {
        char *files = strchr(arguments[a], '=');
        if (!files) usage("an input is given as NAME=FILE[,FILE...]");
        *files++ = 0;
        size_t i = 0;
        while (i < inputs->count && strcmp(inputs->items[i].name, arguments[a])) i++;
        if (i == inputs->count)
            die("signature '%s' has no input '%s'; it has: %s", name, arguments[a], known);
        if (model->fed[i]) die("input '%s' is given twice", arguments[a]);
        model->fed[i] = read_tensor(&inputs->items[i], files, rows);
    }
    for (size_t i = 0; i < inputs->count; i++)
        if (!model->fed[i])
            die("input '%s' of signature '%s' is missing; it takes: %s", inputs->items[i].name,
                name, known);
    free(known);
}

/* One run; returns the seconds it took. The outputs are in model->fetched, to be dropped. */
static double run(Model *model) {
    TF_Status *status = TF_NewStatus();
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    TF_SessionRun(model->session, NULL, model->inputs, model->fed,
                  (int)model->signature->inputs.count, model->outputs, model->fetched,
                  (int)model->signature->outputs.count, NULL, 0, NULL, status);
    clock_gettime(CLOCK_MONOTONIC, &end);
    check(status, model->path);
    TF_DeleteStatus(status);
    return (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec);
}

static void drop_outputs(Model *model) {
    for (size_t i = 0; i < model->signature->outputs.count; i++)
        TF_DeleteTensor(model->fetched[i]);
}

static void list_infos(const char *signature, const char *kind, const TensorInfos *infos) {
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < infos->count; i++) {
        const TensorInfo *info = &infos->items[i];
        printf("%s\t%s\t%s\t%s\t%s\t%s\n", signature, kind, info->name,
               dtype_name(info->dtype), info->tensor, shape_text(text, info->rank, info->dims));
    }
}

static void list_command(const char *path) {
    Model model = load(path);
    for (size_t i = 0; i < model.signatures.count; i++) {
        const Signature *signature = &model.signatures.items[i];
        list_infos(signature->name, "input", &signature->inputs);
        list_infos(signature->name, "output", &signature->outputs);
    }
    unload(&model);
}

static void run_command(const char *directory, const char *path, const char *signature, int count,
                        char **arguments) {
    Model model = load(path);
    feed(&model, signature, count, arguments, 0);
    run(&model);
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        die("cannot make '%s': %s", directory, strerror(errno));
    for (size_t i = 0; i < model.signature->outputs.count; i++)
        save_tensor(directory, model.signature->outputs.items[i].name, model.fetched[i]);
    drop_outputs(&model);
    unload(&model);
}

static double cpu_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

/* Of all threads: the first run optimizes the graph, on as many cores as there are. */
static void first_command(const char *path, const char *signature, int count, char **arguments) {
    double start = cpu_milliseconds();
    Model model = load(path);
    double loaded = cpu_milliseconds();
    feed(&model, signature, count, arguments, 0);
    double fed = cpu_milliseconds();
    run(&model);
    printf("%.1f\t%.1f\n", loaded - start, cpu_milliseconds() - fed);
    drop_outputs(&model);
    unload(&model);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `arguments` are the groups MODEL SIGNATURE NAME=FILE..., with "--" between them. */
static void bench_command(int iterations, int rows, int count, char **arguments) {
    size_t models = 1, size = (size_t)iterations;
    for (int a = 0; a < count; a++) models += !strcmp(arguments[a], "--");
    Model *model = allocate(models, sizeof *model);
    double *seconds = allocate(models * size, sizeof *seconds); /* of each model in turn */
    for (size_t i = 0; i < models; i++) {
        int length = 0;
        while (length < count && strcmp(arguments[length], "--")) length++;
        if (length < 2) usage("bench takes MODEL SIGNATURE before the inputs");
        model[i] = load(arguments[0]);
        feed(&model[i], arguments[1], length - 2, arguments + 2, rows);
        arguments += length + 1;
        count -= length + 1;
    }
    /* In turn, each as often first as the others: what disturbs the machine for a while disturbs
       all of them alike. */
    for (int round = 0; round < WARM_UP + iterations; round++)
        for (size_t turn = 0; turn < models; turn++) {
            size_t i = ((size_t)round + turn) % models;
            double taken = run(&model[i]);
            drop_outputs(&model[i]);
            if (round >= WARM_UP) seconds[i * size + (size_t)(round - WARM_UP)] = taken;
        }
    double first = 0;
    for (size_t i = 0; i < models; i++) {
        double *own = seconds + i * size;
        qsort(own, size, sizeof *own, by_value);
        double median = (own[size / 2] + own[(size - 1) / 2]) / 2;
        if (i == 0) first = median;
        printf("%zu\t%.1f\t%.1f\t%.3f\n", i, median * 1e6, own[0] * 1e6, median / first);
        unload(&model[i]);
    }
    free(seconds);
    free(model);
}

static int parse_count(const char *text, const char *what) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > MAX_COUNT) usage(what);
    return (int)value;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (argc == 2 && (!strcmp(command, "--help") || !strcmp(command, "-h"))) {
        fputs(USAGE, stdout);
    } else if (argc == 3 && !strcmp(command, "list")) {
        list_command(argv[2]);
    } else if (argc >= 6 && !strcmp(command, "run") && !strcmp(argv[4], "-o")) {
        run_command(argv[5], argv[2], argv[3], argc - 6, argv + 6);
    } else if (argc >= 3 && !strcmp(command, "bench")) {
        int iterations = parse_count(argv[2], "ITERATIONS is a number from 1 to 1000000");
        bool repeat = argc >= 5 && !strcmp(argv[3], "-r");
        int rows = repeat ? parse_count(argv[4], "ROWS is a number from 1 to 1000000") : 0;
        int start = repeat ? 5 : 3;
        bench_command(iterations, rows, argc - start, argv + start);
    } else if (argc >= 4 && !strcmp(command, "first")) {
        first_command(argv[2], argv[3], argc - 4, argv + 4);
    } else {
        usage("wrong arguments");
    }
    if (fflush(stdout) != 0 || ferror(stdout)) die("cannot write to stdout: %s", strerror(errno));
    return 0;
}
