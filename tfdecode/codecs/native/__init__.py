"""Containers whose payloads are files of other programs, as those programs wrote them."""
