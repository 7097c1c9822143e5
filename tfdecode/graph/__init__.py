"""What the graph sides of codecs share."""
