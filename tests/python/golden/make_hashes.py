"""Makes `hashes.json`: the buckets that TensorFlow hashes texts into, of every length to 200 bytes.

Run it with TensorFlow 2.15 or newer::

    python tests/python/golden/make_hashes.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import tensorflow as tf

BUCKETS = 2**62
KEY = (133, 2**63 + 7)


def texts() -> list[bytes]:
    """Random bytes, which need not be any encoding."""
    source = random.Random(17)
    return [source.randbytes(length) for length in range(200)]


def main() -> None:
    """Writes the file beside this one."""
    given = tf.constant(texts())
    # The attribute of the operation is signed; TensorFlow reads it as unsigned again.
    signed = [part - 2**64 if part >= 2**63 else part for part in KEY]
    made = {
        "tensorflow": tf.__version__,
        "key": KEY,
        "farm": tf.strings.to_hash_bucket_fast(given, BUCKETS).numpy().tolist(),
        "sip": tf.strings.to_hash_bucket_strong(given, BUCKETS, key=signed).numpy().tolist(),
        "numbers": tf.strings.to_hash_bucket_fast(tf.strings.as_string(tf.range(-50, 50)), 7)
        .numpy()
        .tolist(),
        "words": {
            word: [
                int(tf.strings.to_hash_bucket_fast(word, 11)),
                int(tf.strings.to_hash_bucket_strong(word, 11, key=[3, 3])),
            ]
            for word in ("", "a", "näher", "時間", "word " * 20)
        },
    }
    path = Path(__file__).with_name("hashes.json")
    path.write_text(json.dumps(made, indent=None, ensure_ascii=True) + "\n")


main()
