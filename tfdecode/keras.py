"""Decode: a Keras 3 layer from payloads to arrays. Importing this module imports Keras."""

from __future__ import annotations

from typing import Any

from .errors import SpecError
from .extras import missing_extra
from .layouts import Layout, check_ragged, decoded, lengths_shape
from .spec import ArraySpec

try:
    import keras
except ModuleNotFoundError as error:
    raise missing_extra("keras", "tensorflow") from error


@keras.saving.register_keras_serializable("tfdecode")
class Decode(keras.layers.Layer):
    """Decode payloads inside a Keras model, with the TensorFlow backend.

    The layer has no weights. Its spec is part of the model's configuration, so it is saved with the
    model, as ``.keras``, ``.h5`` or SavedModel. Mixed precision does not round its output.

    Parameters
    ----------
    spec : ArraySpec or dict
        How the arrays were packed; a dict is that of a saved configuration.
    max_rows : int, optional
        See `tfdecode.ArraySpec.decode_tensor`.
    ragged : {"ragged", "padded"}, optional
        What a spec with ``None`` dimensions gives: "ragged", a ragged tensor; "padded", the arrays
        ``[B, *max_shape]``, padded with zeros, and their lengths, int32 ``[B]``. By default rows of
        one batch that differ in length fail.
    **options
        Those of `keras.layers.Layer`, for example ``name``, which is in error messages.

    Raises
    ------
    SpecError
        If the input is not a string tensor ``[B]``, when the model is built; if ``ragged`` is not
        one of these words, or the spec has no ``None`` dimension for it.

    Examples
    --------
    >>> import keras, numpy as np, tensorflow as tf, tfdecode as tfd
    >>> spec = tfd.ArraySpec((2, 3), "float32", codecs="zlib")
    >>> payloads = keras.Input((), dtype="string", name="pose_bytes")
    >>> model = keras.Model(payloads, keras.layers.Flatten()(Decode(spec)(payloads)))
    >>> model(tf.constant([spec.encode(np.ones((2, 3), "float32"))])).shape
    TensorShape([1, 6])
    """

    def __init__(
        self,
        spec: ArraySpec | dict[str, Any],
        max_rows: int | None = None,
        ragged: Layout | None = None,
        **options: Any,
    ) -> None:
        self.spec = spec if isinstance(spec, ArraySpec) else ArraySpec.from_dict(spec)
        self.max_rows, self.ragged = max_rows, ragged
        if ragged is not None:
            check_ragged({"spec": self.spec}, {"spec": ragged}, ())
        # Autocast would round the arrays to the compute dtype of a mixed precision policy. Not the
        # spec's dtype, as Keras takes "int8" for a quantized policy.
        fixed = {"dtype": "float32", "trainable": False, "autocast": False}
        super().__init__(**{**options, **fixed})
        self.built = True

    def call(self, payloads: Any) -> Any:
        """The arrays ``[B, *shape]`` of payloads ``[B]``; if padded, a tuple with the lengths."""
        options = {"input_name": self.name, "max_rows": self.max_rows}
        given, _ = decoded("spec", self.spec, self.ragged, payloads, **options)
        return tuple(given.values()) if self.ragged == "padded" else given["spec"]

    def compute_output_spec(self, payloads: Any) -> Any:
        """The symbolic output of a functional model; SpecError for an input of another kind."""
        if payloads.dtype != "string" or len(payloads.shape) != 1:
            shape = f"[{', '.join(map(str, payloads.shape))}]"
            raise SpecError(
                f"{self.name} takes strings [B], got {payloads.dtype} {shape}; use "
                'keras.Input((), dtype="string")'
            )
        shape, dtype = self.compute_output_shape(payloads.shape), self.spec.dtype
        if self.ragged == "padded":
            arrays, lengths = shape
            return keras.KerasTensor(arrays, dtype), keras.KerasTensor(lengths, "int32")
        return keras.KerasTensor(shape, dtype, ragged=self.ragged == "ragged")

    def compute_output_shape(self, shape: Any) -> Any:
        """The shape of the arrays of a batch of payloads; if padded, that of the lengths too."""
        if self.ragged != "padded":
            return (shape[0], *self.spec.shape)
        form = self.spec.chain.form
        return (shape[0], *form.max_shape), (shape[0], *lengths_shape(form)[1:])

    def get_config(self) -> dict[str, Any]:
        """The configuration that a saved model has, with the spec as a dict."""
        config = super().get_config()
        for fixed in ("dtype", "trainable"):
            config.pop(fixed)
        return {
            **config,
            "spec": self.spec.to_dict(),
            "max_rows": self.max_rows,
            "ragged": self.ragged,
        }
