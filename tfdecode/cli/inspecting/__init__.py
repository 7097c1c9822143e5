"""The reports of ``inspect``: for each kind of file, how they are made and printed."""
