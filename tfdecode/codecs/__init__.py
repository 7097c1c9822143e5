"""Codecs: one a file, its numpy side and its graph side next to each other."""
