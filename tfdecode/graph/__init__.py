"""What the graph sides of codecs share; the only package, beside export, that builds ops."""
