"""Readers of array files: each takes bytes and gives `Contents`, and executes nothing."""
