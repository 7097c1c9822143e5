"""Byte inputs in an older export script: tf.compat.v1, placeholders and SavedModelBuilder.

Run it with the directory to write: ``python examples/export_v1.py models/pose/1``.
"""

from __future__ import annotations

import sys

import tensorflow.compat.v1 as tf

import tfdecode as tfd


def export(directory: str) -> None:
    """Write a model whose input ``pose_map_bytes`` [B] holds packed pose maps."""
    spec = tfd.ArraySpec((256, 192, 18), "float32", codecs="astype:int8|zlib_bounded")
    with tf.Graph().as_default(), tf.Session() as session:
        payloads = tf.placeholder(tf.string, [None], name="pose_map_bytes")
        # The one new line: a placeholder of floats before, payloads now.
        pose = spec.decode_tensor(payloads, input_name="pose_map_bytes")
        weight = tf.get_variable("weight", initializer=2.0)
        score = tf.reduce_mean(pose * weight, axis=[1, 2, 3])
        session.run(tf.global_variables_initializer())
        builder = tf.saved_model.Builder(directory)
        signature = tf.saved_model.predict_signature_def(
            {"pose_map_bytes": payloads}, {"score": score}
        )
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": signature}
        )
        builder.save()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: export_v1.py DIRECTORY, which must not exist yet")
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    export(sys.argv[1])
