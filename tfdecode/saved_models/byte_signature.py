"""The signature with byte inputs that wrap adds to the graph of a SavedModel."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..dtypes import ITEM_SIZES, dtype_name
from ..errors import ExportError, SpecError, said
from ..extras import LazyModule
from ..extras import tensorflow as tf
from ..graph.rows import same_size
from ..layouts import Layout, check_ragged, lengths_key, lengths_shape
from ..names import bytes_key
from ..schema import Schema
from ..spec import ArraySpec
from .limits import STATUS
from .media_types import resolved
from .plan import Plan, schema_rows, warn_of_domains
from .splice import Splice, Tensor, tensor

meta_graph: Any = LazyModule("tensorflow.python.framework.meta_graph", "tensorflow")
meta_graph_pb2: Any = LazyModule("tensorflow.core.protobuf.meta_graph_pb2", "tensorflow")

PREDICT = "tensorflow/serving/predict"


class ByteSignature:
    """What is added to a MetaGraphDef, whose graph it changes."""

    def __init__(
        self,
        meta: Any,
        source: str,
        inputs: Mapping[str, ArraySpec | str],
        outputs: Mapping[str, ArraySpec],
        cast: Mapping[str, Any],
        mask: bool,
        max_rows: int | None,
        max_batch_size: int | None,
        ragged: Mapping[str, Layout],
        independent_rows: bool,
    ) -> None:
        self.source, self.given = source, copy.deepcopy(signature_in(meta, source))
        for what, mapping, known in (
            ("input", inputs, self.given.inputs),
            ("output", outputs, self.given.outputs),
        ):
            for name in mapping:
                if name not in known:
                    listed = ", ".join(sorted(known)) or "none"
                    raise ExportError(f"{source} has no {what} {name!r}; it has: {listed}")
            for name, info in known.items():
                if info.WhichOneof("encoding") != "name":
                    raise ExportError(
                        f"{what} {name} of {source} is a sparse or ragged tensor, which servers do "
                        "not take or give: name a source signature of dense tensors"
                    )
        inputs = resolved(inputs, tensor_specs(self.given.inputs), cast)
        try:
            check_ragged(inputs, ragged, inputs)
        except SpecError as error:
            raise ExportError(str(error)) from None
        self.cast = {name: cast_of(name, self.given.inputs, inputs, cast[name]) for name in cast}
        for name, spec in inputs.items():
            dtype = self.cast.get(name)
            check_spec(f"input {name}", self.given.inputs[name], spec, name in ragged, dtype)
        for name, spec in outputs.items():
            check_spec(f"output {name}", self.given.outputs[name], spec)
        warn_of_domains(outputs)
        self.keys = Schema(inputs).feature_keys()
        clash = sorted(set(self.keys.values()) & set(self.given.inputs))
        if clash:
            raise ExportError(f"{source} has an input {clash[0]!r} already")
        new = {bytes_key(name) for name in outputs} | ({STATUS} if mask else set())
        clash = sorted(new & set(self.given.outputs) - set(outputs))
        if clash:
            raise ExportError(f"{source} has an output {clash[0]!r} already")
        # An input without a batch dimension is a batch of one, on its own.
        single = {n for n, spec in inputs.items() if _is_single(self.given.inputs[n], spec)}
        groups = ([n for n in inputs if n not in single], [n for n in inputs if n in single])
        self.single, self.outputs = single, outputs
        #: The inputs that are decoded too, of the lengths of padded arrays.
        self.lengths = {lengths_key(name): name for name in ragged}
        for key, name in self.lengths.items():
            self._check_lengths(key, name, ragged[name], inputs[name])
        # The model of these plans is never called: they decode.
        self.plans = [
            Plan(
                lambda **arrays: arrays,
                {name: inputs[name] for name in names},
                {},
                mask,
                max_rows,
                1 if names[0] in single else max_batch_size,
                ragged={name: ragged[name] for name in names if name in ragged},
            )
            for names in groups
            if names
        ]
        if mask and single:
            raise ExportError(f"input {min(single)} has no batch dimension, so it has no status")
        sizes = [plan.max_batch_size for plan in self.plans if not single & plan.specs.keys()]
        self.schema = Schema(inputs, outputs, min(sizes, default=None))
        self._check_batches()
        self.mask, self._splice = mask, Splice(meta.graph_def)
        #: The inputs that are passed through, whose number of rows is compared with the payloads'.
        self.counted = [
            name
            for name, info in sorted(self.given.inputs.items())
            if name not in self.keys.keys() | self.lengths.keys() and has_batch(info)
        ]
        if not independent_rows or not self.batched():
            self.counted = []

    def _check_batches(self) -> None:
        """ExportError for an input of batches that are larger than what is decoded."""
        for name in self.keys.keys() - self.single:
            rows = batch_of(self.given.inputs[name])[0]
            if rows is not None and rows > self.schema.max_batch_size:
                more = said(f"max_batch_size={rows}", f"--max-rows {rows}")
                raise ExportError(
                    f"input {name} takes batches of {rows} rows, and max_batch_size is "
                    f"{self.schema.max_batch_size}: pass {more}"
                )

    def _check_lengths(self, key: str, name: str, kind: str, spec: ArraySpec) -> None:
        """ExportError unless the source takes the lengths of an input of any length."""
        if kind != "padded":
            raise ExportError(
                f"ragged of {name} is {kind!r}, but signatures take dense tensors: pass 'padded', "
                f"if {self.source} has an input {key}"
            )
        if name in self.single:
            padded = said("ragged", "--padded")
            raise ExportError(f"input {name} has no batch dimension: leave it out of {padded}")
        if key not in self.given.inputs:
            one = said("max_batch_size=1", "--max-rows 1")
            raise ExportError(
                f"{self.source} has no input {key} for the lengths of {name}, so that its answers "
                f"would depend on padding: pass {one} instead of {said('ragged', '--padded')}"
            )
        info = self.given.inputs[key]
        dtype, shape = tf.as_dtype(info.dtype).base_dtype, tf.TensorShape(info.tensor_shape)
        needed = lengths_shape(spec.chain.form)
        if dtype not in (tf.int32, tf.int64) or not shape.is_compatible_with(needed):
            raise ExportError(
                f"input {key} is {dtype.name} {shape}, lengths are int32 or int64 "
                f"{tf.TensorShape(needed)}"
            )

    def batched(self) -> list[Any]:
        """What the signature says of the inputs that are given as batches of payloads."""
        return [self.given.inputs[name] for name in self.keys if name not in self.single]

    def signature(self) -> Any:
        """Add the decoders, and a copy of the model that they feed; return the new signature."""
        prefix, new = self._splice.prefix, meta_graph_pb2.SignatureDef(method_name=PREDICT)
        passed = {f"given_{n}": self.given.inputs[x].name for n, x in enumerate(self.counted)}
        self._splice.insert(definition(self._decoders()), "decode", passed)
        fed, waits = {}, {}
        for number, (name, info) in enumerate(sorted(self.given.inputs.items())):
            if name in self.keys:
                fed[tensor(info.name)] = array = Tensor(f"{prefix}/decode/array_{number}", 0)
                waits[f"wait_{number}"] = str(array)
                batch = [] if name in self.single else batch_of(info)
                payloads = f"{prefix}/decode/payloads_{number}:0"
                new.inputs[self.keys[name]].CopyFrom(_info(payloads, tf.string, batch))
            elif name in self.lengths:
                fed[tensor(info.name)] = Tensor(f"{prefix}/decode/array_{number}", 0)
            else:
                new.inputs[name].CopyFrom(info)
                if name in self.counted:
                    fed[tensor(info.name)] = Tensor(f"{prefix}/decode/array_{number}", 0)
        outputs = sorted(self.given.outputs.items())
        moved = self._splice.copy(fed, [tensor(info.name) for _, info in outputs])
        given = {f"given_{n}": str(moved(tensor(i.name))) for n, (_, i) in enumerate(outputs)}
        if self.mask:
            given["decoded"] = f"{prefix}/decode/{STATUS}:0"
        self._splice.insert(definition(self._results(list(waits))), "results", given | waits)
        for number, (name, info) in enumerate(outputs):
            result, encoded = f"{prefix}/results/result_{number}:0", name in self.outputs
            shape = batch_of(info) if encoded else tf.TensorShape(info.tensor_shape)
            dtype = tf.string if encoded else tf.as_dtype(info.dtype).base_dtype
            new.outputs[bytes_key(name) if encoded else name].CopyFrom(_info(result, dtype, shape))
        if self.mask:
            new.outputs[STATUS].CopyFrom(_info(f"{prefix}/results/{STATUS}:0", tf.int32, [None]))
        return new

    def _decoders(self) -> Any:
        """A graph from ``payloads_0``, ``payloads_1``, ... to ``array_0``, ... and ``status``."""
        numbers = {name: number for number, name in enumerate(sorted(self.given.inputs))}
        with tf.Graph().as_default() as graph:
            for plan in self.plans:
                packed = {}
                for name, key in plan.keys.items():
                    single = name in self.single
                    shape = [] if single else batch_of(self.given.inputs[name])
                    payloads = tf.compat.v1.placeholder(
                        tf.string, shape, name=f"payloads_{numbers[name]}"
                    )
                    packed[key] = payloads[tf.newaxis] if single else payloads
                single = bool(self.single & plan.keys.keys())
                given = {} if single else self._given()
                checked = same_size({**packed, **given})
                for name in given:
                    tf.identity(checked[name], name=f"array_{numbers[name]}")
                arrays, status = plan.decode({key: checked[key] for key in packed})
                if self.mask:
                    tf.identity(status, name=STATUS)
                for name, array in arrays.items():
                    array = tf.squeeze(array, 0) if name in self.single else array
                    if name in self.lengths or name in self.cast:
                        array = tf.cast(array, self.given.inputs[name].dtype)
                    tf.identity(array, name=f"array_{numbers[name]}")
        return graph

    def _given(self) -> dict[str, Any]:
        """Placeholders of the inputs that are passed through, by name."""
        given = {}
        for number, name in enumerate(self.counted):
            info = self.given.inputs[name]
            dtype, shape = tf.as_dtype(info.dtype).base_dtype, tf.TensorShape(info.tensor_shape)
            given[name] = tf.compat.v1.placeholder(dtype, shape, name=f"given_{number}")
        return given

    def _results(self, waits: list[str]) -> Any:
        """A graph from ``given_0``, ... to ``result_0``, ...: no output before all checks."""
        with tf.Graph().as_default() as graph:
            checked = [tf.compat.v1.placeholder(tf.float32, name=name) for name in waits]
            statuses = []
            if self.mask:
                statuses = [tf.compat.v1.placeholder(tf.int32, [None], name="decoded")]
            for number, (name, info) in enumerate(sorted(self.given.outputs.items())):
                dtype = tf.as_dtype(info.dtype).base_dtype
                shape = tf.TensorShape(info.tensor_shape)
                given = tf.compat.v1.placeholder(dtype, shape, name=f"given_{number}")
                with tf.control_dependencies(checked):
                    spec, key = self.outputs.get(name), bytes_key(name)
                    if spec and self.mask:
                        given, carried = spec.encode_checked(given)
                        statuses.append(carried)
                    elif spec:
                        given = spec.encode_tensor(given, output_name=key)
                    tf.identity(given, name=f"result_{number}")
            if self.mask:
                tf.identity(tf.reduce_max(tf.stack(statuses), 0), name=STATUS)
        return graph

    def schema_signature(self, schema: Schema) -> Any:
        """Add the schema as a constant; return the signature that answers with it."""
        with tf.Graph().as_default() as graph:
            batch = tf.compat.v1.placeholder(tf.string, [None], name="batch")
            tf.identity(schema_rows(schema, batch), name="schema")
        self._splice.insert(definition(graph), "about", {})
        new, inside = meta_graph_pb2.SignatureDef(method_name=PREDICT), self._splice.prefix
        new.inputs["batch"].CopyFrom(_info(f"{inside}/about/batch:0", tf.string, [None]))
        new.outputs["schema"].CopyFrom(_info(f"{inside}/about/schema:0", tf.string, [None]))
        return new


def definition(graph: Any) -> Any:
    """A graph as protobuf, without attributes at their defaults: older releases lack some."""
    meta = meta_graph_pb2.MetaGraphDef(graph_def=graph.as_graph_def())
    meta_graph.strip_graph_default_valued_attrs(meta)
    return meta.graph_def


def tensor_specs(infos: Mapping[str, Any]) -> dict[str, Any]:
    """A tf.TensorSpec of each input or output of a signature."""
    return {
        name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype).base_dtype)
        for name, info in sorted(infos.items())
    }


def cast_of(name: str, infos: Mapping[str, Any], inputs: Mapping[str, Any], dtype: Any) -> str:
    """The dtype that arrays of a spec are cast to; ExportError if it is not the signature's."""
    if name not in inputs:
        raise ExportError(f"cast has no byte input {name!r}; these are: {', '.join(inputs)}")
    try:
        wanted = dtype_name(dtype)
    except SpecError as error:
        raise ExportError(f"cast of {name}: {error}") from None
    takes: str = tf.as_dtype(infos[name].dtype).base_dtype.name
    if wanted != takes:
        raise ExportError(f"cast of {name} is {wanted}, but the model takes {takes}")
    return wanted


def check_spec(
    what: str, info: Any, spec: ArraySpec, padded: bool = False, cast: str | None = None
) -> None:
    """ExportError unless arrays of the spec, cast if need be, are what the signature has."""
    if not isinstance(spec, ArraySpec):
        raise ExportError(f"{what} is {type(spec).__name__}, needs an ArraySpec")
    dtype, shape = tf.as_dtype(info.dtype).base_dtype.name, tf.TensorShape(info.tensor_shape)
    if dtype != (cast or spec.dtype):
        role, name = what.split(" ", 1)
        cast_of = said(f"cast={{{name!r}: {dtype!r}}}", f"--cast {name}")
        advice = f"; {cast_of} casts in the graph" * (role == "input")
        if dtype not in ITEM_SIZES:
            given = said(f"{role}s=", f"--{role}")
            advice = f", and no spec has {dtype}: leave {name} out of {given}"
        raise ExportError(f"{what} is {dtype}, the spec has {spec.dtype}{advice}")
    sides = list(spec.chain.form.max_shape if padded else spec.shape)
    if not shape.is_compatible_with([None, *sides]) and not _is_single(info, spec):
        made = ", ".join(["B", *map(str, sides)])
        raise ExportError(f"{what} has shape {shape}, the spec makes ({made})")


def _is_single(info: Any, spec: ArraySpec) -> bool:
    """Whether an input takes one array, without a batch dimension."""
    shape = tf.TensorShape(info.tensor_shape)
    same = shape.rank == len(spec.shape) and bool(shape.is_compatible_with(spec.shape))
    # [None, 8] for a spec of [50, 8] is a batch of 50, not an array.
    return same and not (shape.rank and shape[0] is None and spec.shape[0] is not None)


def batch_of(info: Any) -> Any:
    """The shape of the payloads: the batch dimension of an input or output."""
    shape = tf.TensorShape(info.tensor_shape)
    return [None] if shape.rank is None else shape[:1]


def has_batch(info: Any) -> bool:
    """Whether the first dimension of an input may be any number of rows."""
    return bool(info.tensor_shape.dim) and info.tensor_shape.dim[0].size < 0


def _info(name: str, dtype: Any, shape: Any) -> Any:
    """The TensorInfo of a signature."""
    info = meta_graph_pb2.TensorInfo(name=name, dtype=dtype.as_datatype_enum)
    info.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return info


def signature_in(meta: Any, name: str) -> Any:
    """The signature of a graph; ExportError lists those that there are."""
    names = sorted(known for known in meta.signature_def if not known.startswith("__"))
    if name not in names:
        listed = ", ".join(names) or "none; save the model with signatures="
        raise ExportError(f"no signature {name!r}; the model has: {listed}")
    return meta.signature_def[name]
