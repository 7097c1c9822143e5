"""Workers that find this module are so slow that a shard can be interrupted in the middle."""

import time

from tfdecode import ArraySpec

_encode = ArraySpec.encode


def encode(spec, array):
    time.sleep(0.01)
    return _encode(spec, array)


ArraySpec.encode = encode
