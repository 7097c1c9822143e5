"""Bytes to bytes."""
