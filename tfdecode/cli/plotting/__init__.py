"""The pictures of ``inspect --plot``."""
