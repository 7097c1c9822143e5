"""The plan of an export: the specs of a model and the functions of its signatures."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ..codecs.chain_text import brief
from ..errors import ExportError, SpecError, meant, said
from ..extras import tensorflow as tf
from ..graph.rows import admit, checked_shape, same_size
from ..layouts import Layout, check_ragged, decoded, lengths_key
from ..names import array_key, bytes_key, check_name
from ..schema import Schema
from ..spec import ArraySpec
from ..spec_graph import MAX_ROWS, STEP_BUDGET, batch_limit
from . import any_length
from .declared import casts
from .limits import STATUS, mask_option
from .model import output_tensors, told
from .publish import MAX_VERSION
from .structure import check_typo, output_name

#: What to do about names that cannot be.
RENAME = "rename it by a function around the model: lambda pose: model({'its name': pose})"


class Plan:
    """The model, its inputs and outputs, and the functions of the signatures."""

    def __init__(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, ArraySpec],
        mask: bool,
        max_rows: int | None,
        max_batch_size: int | None = None,
        independent_rows: bool = True,
        cast: Mapping[str, Any] | None = None,
        ragged: Mapping[str, Layout] | None = None,
    ) -> None:
        self.model = model
        self.mask = mask
        self.independent_rows = independent_rows
        self.ragged = dict(ragged or {})
        self.specs = {name: spec for name, spec in inputs.items() if isinstance(spec, ArraySpec)}
        self.others = {name: spec for name, spec in inputs.items() if name not in self.specs}
        for name, spec in self.others.items():
            if not isinstance(spec, tf.TensorSpec):
                kind = type(spec).__name__
                raise ExportError(f"input {name} is {kind}, needs an ArraySpec or a tf.TensorSpec")
        for name, spec in outputs.items():
            if not isinstance(spec, ArraySpec):
                raise ExportError(f"output {name} is {type(spec).__name__}, needs an ArraySpec")
        self.outputs = outputs
        if not inputs:
            raise ExportError(
                f"{said('inputs is empty', 'there is no --input')}: a signature needs one"
            )
        try:
            check_ragged(self.specs, self.ragged, inputs)
        except SpecError as error:
            raise ExportError(str(error)) from None
        self.name_keys(inputs)
        if mask and not self.specs:
            raise ExportError(
                f"{said('inputs has no ArraySpec', 'no --input has a SPEC')}, so {mask_option()} "
                "masks nothing; a model that decodes its own byte strings can mask them by "
                "spec.decode_checked"
            )
        if mask:
            self.check_maskable()
        max_batch_size = any_length.one_row(self.specs, self.ragged, max_rows, max_batch_size)
        self.warn_of_equal_specs()
        warn_of_domains(outputs)
        held = sum(spec.held_nbytes for spec in self.specs.values())
        arrays = sum(spec.batch_nbytes for spec in self.specs.values())
        self.max_rows = max_rows or max(1, STEP_BUDGET // max(1, held))  # from 1 on if given
        self.max_batch_size = max_batch_size or batch_limit(self.max_rows, arrays)
        self.schema = Schema(self.specs, outputs, self.max_batch_size)
        given = dict(inputs) | any_length.lengths_of_padded(self.specs, self.ragged)
        self.call = any_length.caller(model, list(inputs), list(given))
        shapes = {name: [None, *spec.shape] for name, spec in self.specs.items()}
        for name, kind in self.ragged.items():
            if kind == "padded":
                shapes[name] = [None, *self.specs[name].chain.form.max_shape]
        shapes |= {name: spec.shape for name, spec in given.items() if name not in self.specs}
        self.casts = casts(model, given, cast or {}, shapes)

    def name_keys(self, names: Iterable[str]) -> None:
        """Set the keys of payloads and of arrays by input name; ExportError if two are the same."""
        try:
            self.keys = Schema(self.specs).feature_keys()
            for name in self.others:
                check_name(name)
        except SpecError as error:
            raise ExportError(f"{error}; {RENAME}") from None
        #: In the signature of arrays, and for inputs that are passed through in both.
        self.array_keys = {name: array_key(name) for name in names}
        packed = {name: self.keys.get(name, key) for name, key in self.array_keys.items()}
        lengths = {lengths_key(name): lengths_key(array_key(name)) for name in self.ragged}
        for keys in (packed, self.array_keys | lengths):
            known: dict[str, str] = {}
            for name, key in keys.items():
                twin = known.setdefault(key, name)
                if twin != name:
                    both = f"inputs {twin!r} and {name!r} have the same signature key {key!r}"
                    raise ExportError(f"{both}; {RENAME}")

    def warn_of_keys(self) -> None:
        """Warn of inputs whose names are no signature keys."""
        for name, key in self.array_keys.items():
            if key != name:
                used = " and ".join(dict.fromkeys((self.keys.get(name, key), key)))
                warnings.warn(f"input {name!r} has the signature key {used}", stacklevel=3)

    def check_maskable(self) -> None:
        """ExportError for an unsealed chain with an op that fails the whole batch for a bad row."""
        for name, spec in self.specs.items():
            unsealed = [chain.codecs for chain in spec.chains if not chain.sealed]
            if any(codec.throws for codecs in unsealed for codec in codecs):
                raise ExportError(
                    f"input {name} has a codec that fails the whole batch on a bad row, and no "
                    "seal before it, so a bad row cannot be masked: end the chain in seal"
                )

    def warn_of_equal_specs(self) -> None:
        """Warn of sealed inputs with a chain in common: they accept each other's payloads of it."""
        known: dict[str, str] = {}
        for name, spec in self.specs.items():
            for one in spec.alternatives:
                twin = known.setdefault(one.fingerprint, name)
                if one.seal and twin != name:
                    warnings.warn(
                        f"inputs {twin} and {name} have equal specs of {brief(one.chain.text)!r}, "
                        "so swapped payloads would not be detected; give them different labels",
                        stacklevel=4,
                    )

    def bytes_function(self) -> Any:
        """The function of the signature with byte inputs."""
        packed = {key: tf.TensorSpec([None], tf.string, name=key) for key in self.keys.values()}
        return concrete(self.serve_bytes, packed | self.passed())

    def arrays_function(self) -> Any:
        """The function of the signature that takes arrays."""
        arrays: dict[str, Any] = {}
        for name, spec in self.specs.items():
            key = self.array_keys[name]
            arrays[key] = tf.TensorSpec([None, *spec.shape], spec.dtype, name=key)
            if name in self.ragged:
                arrays |= any_length.lengths_spec(key, spec)
        return concrete(self.serve_arrays, arrays | self.passed())

    def passed(self) -> dict[str, Any]:
        """The inputs without an ArraySpec, by key."""
        return {
            (key := self.array_keys[name]): tf.TensorSpec(spec.shape, spec.dtype, name=key)
            for name, spec in self.others.items()
        }

    def serve_arrays(self, **arrays: Any) -> dict[str, Any]:
        """Run the model on arrays, and on the lengths of those of any length, by key."""
        given = self.of_one_size(self.checked(arrays), [self.array_keys[n] for n in self.specs])
        named = {name: given[key] for name, key in self.array_keys.items()}
        for name, kind in self.ragged.items():
            lengths = given[lengths_key(self.array_keys[name])]
            named |= any_length.of_arrays(name, self.specs[name], kind, named[name], lengths)
        return self.results(named)

    def of_one_size(self, given: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
        """Inputs that fail at run time unless all with a batch have the same B.

        TensorFlow would broadcast a batch of one row: a client would get answers to no row of his.
        """
        if self.independent_rows:  # payloads first: the message compares the others with them
            passed = [self.array_keys[n] for n, spec in self.others.items() if batched(spec)]
            names = [*names, *passed]
        elif not self.mask:  # a status is of a row of every payload
            return dict(given)
        return {**given, **same_size({name: given[name] for name in names})}

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs that fail at run time unless they have their shape: servers do not compare it."""
        checked = dict(given)
        for name, tensor in given.items():
            if tensor.shape.rank is not None and name not in self.keys.values():
                sides = tensor.shape.as_list()
                words = ["B" if axis == 0 else "any" for axis in range(len(sides))]
                words = [w if s is None else str(s) for w, s in zip(words, sides, strict=True)]
                checked[name] = checked_shape(tensor, sides, name, f"[{', '.join(words)}]")
        return checked

    def decode(self, payloads: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """The arrays and lengths by name, and with ``mask`` the status of each row."""
        arrays: dict[str, Any] = {}
        statuses = []
        for name, spec in self.specs.items():
            key = self.keys[name]
            options: Any = {
                "input_name": key,
                "max_rows": self.max_rows,
                "max_batch_size": self.max_batch_size,
                "on_invalid": "mask" if self.mask else "error",
            }
            layout = self.ragged.get(name)
            given, status = decoded(name, spec, layout, payloads[key], **options)
            arrays |= given
            statuses.append(status)
        return arrays, tf.reduce_max(tf.stack(statuses), axis=0) if self.mask else None

    def serve_bytes(self, **payloads: Any) -> dict[str, Any]:
        """Decode payloads, run the model and encode its outputs."""
        payloads = self.of_one_size(self.checked(payloads), list(self.keys.values()))
        arrays, status = self.decode(payloads)
        arrays |= {name: payloads[self.array_keys[name]] for name in self.others}
        results = self.results(arrays)
        for name, spec in self.outputs.items():
            tensor = results.pop(name)
            if bytes_key(name) in results:
                raise ExportError(f"the model has another output {bytes_key(name)}")
            try:
                if self.mask:
                    encoded, carried = spec.encode_checked(tensor)
                    status = tf.maximum(status, carried)
                else:
                    encoded = spec.encode_tensor(tensor, output_name=bytes_key(name))
            except SpecError as error:
                raise SpecError(f"output {name}: {error}") from None
            results[bytes_key(name)] = encoded
        if self.mask:
            if STATUS in results:
                raise ExportError(f"the model has an output {STATUS}, which {mask_option()} adds")
            results[STATUS] = status
        return results

    def results(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of the model on arrays, by name."""
        cast = {name: tf.cast(arrays[name], dtype) for name, dtype in self.casts.items()}
        returned = self.call({**arrays, **cast})
        results = output_tensors(returned, self.model)
        if len(results) == len(self.outputs) == 1 and tf.is_tensor(returned):  # without a name
            (name,) = self.outputs
            if own := output_name(self.model):
                function = f"lambda {', '.join(arrays)}: {{{name!r}: model(...)}}"
                check_typo("the output", name, own, function)
            results = dict(zip(self.outputs, results.values(), strict=True))
        for name in self.outputs:
            if name not in results:
                known = f"{', '.join(results)}{meant(name, results)}"
                raise ExportError(f"the model has no output {name!r}; it has: {known}")
        return results


def schema_function(schema: Schema) -> Any:
    """The schema as JSON, once for each row of a dummy: server batching needs a [B] input."""

    def about(batch: Any) -> dict[str, Any]:
        return {"schema": schema_rows(schema, batch)}

    return concrete(about, {"batch": tf.TensorSpec([None], tf.string, name="batch")})


def schema_rows(schema: Schema, batch: Any) -> Any:
    """The schema as JSON for each row of a dummy; more rows than a step may hold fail."""
    text = schema.to_json()
    batch = admit(batch, batch_limit(max(1, STEP_BUDGET // len(text)), len(text)), "batch")
    return tf.fill(tf.shape(batch), tf.constant(text))


def batched(spec: Any) -> bool:
    """Whether an input that is passed through has a batch dimension."""
    return spec.shape.rank is None or (spec.shape.rank > 0 and spec.shape[0] is None)


def warn_of_domains(outputs: Mapping[str, ArraySpec]) -> None:
    """Warn of outputs that cannot carry every answer."""
    for name, spec in outputs.items():
        if spec.domain:
            text = brief(spec.chain.text)
            warnings.warn(
                f"output {name}: {text!r} carries only {spec.domain}; rows of other values fail as "
                f"bad inputs do; the chain '{text} or raw' carries all",
                stacklevel=4,
            )


def check_options(
    on_invalid: str,
    max_rows: int | None,
    max_batch_size: int | None,
    version: int | None,
    mappings: Mapping[str, Any],
) -> None:
    """ExportError for a wrong value of an option; ``mappings`` are those that must be dicts."""
    if on_invalid not in ("error", "mask"):
        raise ExportError(f"on_invalid is {on_invalid!r}, needs 'error' or 'mask'")
    limits = {"max_rows": (max_rows, MAX_ROWS), "max_batch_size": (max_batch_size, MAX_ROWS)}
    for what, (number, most) in {**limits, "version": (version, MAX_VERSION)}.items():
        if number is not None and (type(number) is not int or not 1 <= number <= most):
            raise ExportError(f"{what} is {number!r}, needs a whole number from 1 to {most}")
    for what, mapping in mappings.items():
        if not isinstance(mapping, Mapping):
            raise ExportError(f"{what} is {type(mapping).__name__}, needs a dict")


def concrete(function: Any, signature: Mapping[str, Any]) -> Any:
    """Trace a function; an error of the model becomes an ExportError."""
    for key in signature:
        if key.startswith("_") or key == "self" or keyword.iskeyword(key):
            raise ExportError(
                f"tf.saved_model.save takes no signature key {key!r}, so no input of this name; "
                f"{RENAME}"
            )
    try:
        return tf.function(function, autograph=False).get_concrete_function(**signature)
    except (ExportError, SpecError):
        raise
    except Exception as error:
        if "variables which have been deleted" in str(error):
            raise ExportError(
                "the variables of the model are gone: keep what tf.saved_model.load returned in a "
                "variable while its signature is exported"
            ) from error
        raise ExportError(f"the model could not be traced: {told(error)}") from error
