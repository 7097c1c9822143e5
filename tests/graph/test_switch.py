"""Branches that the optimizer leaves alone: they give what tf.cond and tf.switch_case give."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from tfdecode.graph.switch import UNOPTIMIZED, cond, outlined, shared, switch, unoptimized


def choose(x: Any, branch: Any) -> Any:
    """Branches that capture different tensors, one inside the other."""
    doubled, next_one = x * 2, x + 1

    def nested() -> list[Any]:
        return cond(branch > 5, lambda: [next_one], outlined(lambda: [doubled + next_one]))

    one = shared(lambda y: [y - doubled[0]], [tf.TensorSpec([None], tf.int32)])
    return switch(branch, lambda: [x], lambda: one(next_one), nested)[0]


@pytest.mark.parametrize(
    ("branch", "expected"), [(0, [3, 4]), (1, [-2, -1]), (2, [10, 13]), (6, [4, 5])]
)
def test_the_branch_is_run_that_was_chosen(branch: int, expected: list[int]) -> None:
    types = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)]
    in_graph = tf.function(choose, input_signature=types, autograph=False)
    for function in (choose, in_graph):
        assert function(tf.constant([3, 4]), tf.constant(branch)).numpy().tolist() == expected
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.int32, [None])
        chosen = choose(x, tf.constant(branch))
        assert chosen.shape.as_list() == [None]
        assert session.run(chosen, {x: [3, 4]}).tolist() == expected


def test_the_optimizer_leaves_all_functions_of_a_branch_alone() -> None:
    types = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)]
    traced = tf.function(choose, input_signature=types, autograph=False).get_concrete_function()
    library = traced.graph.as_graph_def().library.function
    assert len(library) > 5
    (attribute,) = UNOPTIMIZED
    assert all(function.attr[attribute].b for function in library)


def test_a_release_that_refuses_the_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf.function of TensorFlow 2.12 raises ValueError."""
    function = tf.function

    def refusing(*arguments: Any, **options: Any) -> Any:
        if "experimental_attributes" in options:
            raise ValueError("`_tf_data_function is not supported by tf.function as an attribute.")
        return function(*arguments, **options)

    monkeypatch.setattr(tf, "function", refusing)
    traced = unoptimized(lambda x: [x + 1], [tf.TensorSpec([], tf.int32)])
    assert traced(tf.constant(1))[0].numpy() == 2
