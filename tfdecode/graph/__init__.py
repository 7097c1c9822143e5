"""TensorFlow functions that the graph sides of codecs share; no file format."""
