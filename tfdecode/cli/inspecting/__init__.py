"""What `inspect` finds: for each kind of file its facts, and how people are shown them."""
