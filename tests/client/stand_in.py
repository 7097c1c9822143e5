"""A stand-in for the program ``tensorflow_model_server``, with its command line.

The names of the options are those of tensorflow_serving/model_servers/main.cc. What this program
does not need is read and has no effect.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.client import grpc_server, server
from tests.client.served import Batching, Models
from tests.serving.configs import batching, configs
from tfdecode.saved_models.warmup import ASSET as WARMUP

OPTIONS = {
    *("port", "grpc_socket_path", "grpc_channel_arguments", "grpc_max_threads"),
    *("rest_api_port", "rest_api_num_threads", "rest_api_timeout_in_ms"),
    *("rest_api_enable_cors_support", "enable_batching", "batching_parameters_file"),
    *("enable_per_model_batching_parameters", "model_config_file"),
    *("model_config_file_poll_wait_seconds", "model_name", "model_base_path"),
    *("allow_version_labels_for_unavailable_models", "num_load_threads", "num_unload_threads"),
    *("max_num_load_retries", "load_retry_interval_micros", "file_system_poll_wait_seconds"),
    *("flush_filesystem_caches", "tensorflow_session_parallelism"),
    *("tensorflow_session_config_file", "tensorflow_intra_op_parallelism"),
    *("tensorflow_inter_op_parallelism", "use_alts_credentials", "ssl_config_file"),
    *("platform_config_file", "per_process_gpu_memory_fraction", "saved_model_tags"),
    *("enable_model_warmup", "num_request_iterations_for_warmup", "version"),
    *("monitoring_config_file", "remove_unused_fields_from_bundle_metagraph"),
    *("prefer_tflite_model", "num_tflite_pools", "num_tflite_interpreters_per_pool"),
    *("enable_signature_method_name_check", "xla_cpu_compilation_enabled", "enable_profiler"),
    "thread_pool_factory_config_file",
}


def parsed(words: Sequence[str]) -> dict[str, str]:
    """Options by name. The server itself goes on after a word that it does not know."""
    options = {}
    for word in words:
        found = re.fullmatch(r"--(\w+)(?:=(.*))?", word)
        if found is None or found[1] not in OPTIONS:
            sys.exit(f"unknown argument: {word}")
        options[found[1]] = "true" if found[2] is None else found[2]
    return options


def batches(options: dict[str, str]) -> Batching | None:
    file = options.get("batching_parameters_file")
    if options.get("enable_batching", "false") != "true":
        if file:
            sys.exit("batching_parameters_file is set without setting enable_batching to true.")
        return None
    found = batching(Path(file).read_text() if file else "")
    most = found.max_batch_size.value or 1000
    sizes = tuple(found.allowed_batch_sizes) or (most,)
    if sizes[-1] != most:
        sys.exit("Last entry in allowed_batch_sizes must match max_batch_size")
    return Batching(sizes, found.batch_timeout_micros.value / 1e6)


def loaded(options: dict[str, str]) -> Models:
    """The models, each after its warm-up."""
    paths, labels = {}, {}
    if "model_config_file" in options:
        for one in configs(Path(options["model_config_file"]).read_text()):
            wanted = list(one.model_version_policy.specific.versions)
            paths[one.name] = versions(Path(one.base_path), wanted)
            labels[one.name] = dict(one.version_labels)
    else:
        base = Path(options["model_base_path"])
        paths[options.get("model_name", "default")] = versions(base, [])
    models = Models(paths, labels, batches(options))
    for name, of_model in models.models.items():
        for version, model in of_model.items():
            warm_up(model, paths[name][version])
    return models


def versions(base: Path, wanted: list[int]) -> dict[int, Path]:
    if not base.is_absolute():
        sys.exit(f"Expected model to have an absolute path or URI; got base_path()={base}")
    found = {int(path.name): path for path in base.iterdir() if path.name.isdecimal()}
    return {version: found[version] for version in wanted or [max(found)]}


def warm_up(model: object, path: Path) -> None:
    """Run the requests of the model's file; one that fails keeps the server from starting."""
    file = path / WARMUP
    for record in tf.data.TFRecordDataset([str(file)] if file.exists() else []):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        feeds = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        model.predict(request.model_spec.signature_name or "serving_default", feeds)  # type: ignore[attr-defined]


def main(words: Sequence[str]) -> None:
    options = parsed(words)
    models = loaded(options)
    with ExitStack() as stack:
        service, port = stack.enter_context(
            grpc_server.serving(models, int(options.get("port", 8500)))
        )
        service.requests = deque(maxlen=0)  # type: ignore[assignment]
        print(f"Running ModelServer at 0.0.0.0:{port} ...", file=sys.stderr, flush=True)
        if int(options.get("rest_api_port", 0)):
            http = stack.enter_context(server.serving(models, int(options["rest_api_port"])))
            http.requests = deque(maxlen=0)  # type: ignore[assignment]
        done = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: done.set())
        done.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
