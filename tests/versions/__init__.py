"""Exports of this TensorFlow in older ones: ``make test-versions``."""
