"""A JAX model with byte inputs, as a SavedModel for TensorFlow Serving.

``python examples/jax_model.py DIRECTORY`` writes it by ``jax2tf`` and ``tfdecode.export``, with the
schema, the signature of arrays and the self-test. With ``--orbax`` it is written by
``orbax-export``, and the decoder is the preprocessor.

Tried with jax 0.10.2, orbax-export 0.0.8 and TensorFlow 2.21, after ``pip install jax
orbax-export``. jax 0.12 has ``jax2tf`` in the same place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import tensorflow as tf
from jax.experimental import jax2tf

import tfdecode as tfd

SPEC = tfd.ArraySpec((32, 24, 18), "float32", codecs="astype:int8|zlib_bounded")
#: The batch is ``b`` rows; without a name JAX would fix their number.
SHAPE = "(b, 32, 24, 18)"
PARAMETERS = {"weights": np.linspace(-1, 1, 18, dtype="float32"), "bias": np.float32(0.5)}


def predict(parameters: dict[str, jnp.ndarray], pose_map: jnp.ndarray) -> dict[str, jnp.ndarray]:
    """The model: pose maps [B, 32, 24, 18] to scores [B]."""
    score = jnp.mean(pose_map, axis=(1, 2)) @ parameters["weights"] + parameters["bias"]
    return {"score": jnp.tanh(score)}


def by_export(directory: Path) -> Path:
    """Write the next version into ``directory`` by tfdecode.export."""
    function = jax2tf.convert(predict, polymorphic_shapes=[None, SHAPE], with_gradient=False)
    variables = tf.nest.map_structure(tf.Variable, PARAMETERS)
    return tfd.export(lambda pose_map: function(variables, pose_map), directory, {"pose_map": SPEC})


def by_orbax(directory: Path) -> Path:
    """Write ``directory`` by orbax-export. The schema is a file next to it."""
    from orbax.export import ExportManager, JaxModule, ServingConfig

    module = JaxModule(PARAMETERS, predict, input_polymorphic_shape=SHAPE)
    config = ServingConfig(
        "serving_default",
        input_signature=[tf.TensorSpec([None], tf.string, name="pose_map_bytes")],
        tf_preprocessor=lambda rows: SPEC.decode_tensor(rows, input_name="pose_map_bytes"),
    )
    ExportManager(module, [config]).save(str(directory))
    tfd.Schema({"pose_map": SPEC}).save(f"{directory}.schema.json")
    return directory


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--orbax", action="store_true", help="write it by orbax-export")
    arguments = parser.parse_args()
    print((by_orbax if arguments.orbax else by_export)(arguments.directory))
