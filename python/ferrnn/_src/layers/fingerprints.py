"""Fingerprints of texts: FarmHash and SipHash, with which TensorFlow and Keras hash."""

from __future__ import annotations

from typing import Any, TypeAlias

_MASK = (1 << 64) - 1
# FarmHash's constants: primes between 2^63 and 2^64 (Pike, farmhash.cc, `farmhashna`).
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def farm_hash(data: bytes) -> int:
    """FarmHash's `Fingerprint64`, which is the same on every machine.

    >>> hex(farm_hash(b"")), farm_hash(b"A") % 3
    ('0x9ae16a3b2f90404f', 1)
    """
    length = len(data)
    if length <= 16:
        return _up_to_16(data)
    if length <= 32:
        return _up_to_32(data)
    return _up_to_64(data) if length <= 64 else _long(data)


def sip_hash(key: tuple[int, int], data: bytes) -> int:
    """SipHash-2-4 (Aumasson and Bernstein, 2012) under a key of two 64-bit numbers.

    >>> key = (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    >>> hex(sip_hash(key, bytes(range(15))))
    '0xa129ca6149be45e5'
    """
    low, high = (part & _MASK for part in key)
    state = [
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    ]
    whole = len(data) // 8 * 8
    last = data[whole:] + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for start in range(0, whole + 8, 8):
        word = _word(data, start) if start < whole else _word(last, 0)
        state[3] ^= word
        _rounds(state, 2)
        state[0] ^= word
    state[2] ^= 255
    _rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _rounds(state: list[int], count: int) -> None:
    a, b, c, d = state
    for _ in range(count):
        a = (a + b) & _MASK
        c = (c + d) & _MASK
        b = _left(b, 13) ^ a
        d = _left(d, 16) ^ c
        a = (_left(a, 32) + d) & _MASK
        c = (c + b) & _MASK
        d = _left(d, 21) ^ a
        b = _left(b, 17) ^ c
        c = _left(c, 32)
    state[:] = a, b, c, d


def _left(value: int, count: int) -> int:
    return ((value << count) | (value >> (64 - count))) & _MASK


def _right(value: int, count: int) -> int:
    value &= _MASK
    return (value >> count) | (value << (64 - count)) & _MASK


def _word(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 8], "little")


def _shifted(value: int) -> int:
    return value ^ (value >> 47)


def _mixed(u: int, v: int, factor: int) -> int:
    a = _shifted(((u ^ v) * factor) & _MASK)
    b = _shifted(((v ^ a) * factor) & _MASK)
    return (b * factor) & _MASK


def _up_to_16(data: bytes) -> int:
    length = len(data)
    factor = _K2 + length * 2
    if length >= 8:
        a = (_word(data, 0) + _K2) & _MASK
        b = _word(data, length - 8)
        c = (_right(b, 37) * factor + a) & _MASK
        d = ((_right(a, 25) + b) * factor) & _MASK
        return _mixed(c, d, factor)
    if length >= 4:
        first, last = (int.from_bytes(part, "little") for part in (data[:4], data[-4:]))
        return _mixed((length + (first << 3)) & _MASK, last, factor)
    if length:
        y = data[0] + (data[length >> 1] << 8)
        z = length + (data[-1] << 2)
        return (_shifted((y * _K2 ^ z * _K0) & _MASK) * _K2) & _MASK
    return _K2


def _ends(data: bytes, first: int) -> tuple[int, int, int, int]:
    """The start of the hash for texts of middle length: words from both ends, and their mix."""
    length, factor = len(data), _K2 + len(data) * 2
    a = (_word(data, 0) * first) & _MASK
    b = _word(data, 8)
    c = (_word(data, length - 8) * factor) & _MASK
    d = (_word(data, length - 16) * _K2) & _MASK
    mixed = (_right(a + b, 43) + _right(c, 30) + d) & _MASK
    return a, b, c, mixed


def _up_to_32(data: bytes) -> int:
    a, b, c, mixed = _ends(data, _K1)
    return _mixed(mixed, (a + _right(b + _K2, 18) + c) & _MASK, _K2 + len(data) * 2)


def _up_to_64(data: bytes) -> int:
    length, factor = len(data), _K2 + len(data) * 2
    a, b, c, y = _ends(data, _K2)
    z = _mixed(y, (a + _right(b + _K2, 18) + c) & _MASK, factor)
    e = (_word(data, 16) * factor) & _MASK
    f = _word(data, 24)
    g = ((y + _word(data, length - 32)) * factor) & _MASK
    h = ((z + _word(data, length - 24)) * factor) & _MASK
    first = (_right(e + f, 43) + _right(g, 30) + h) & _MASK
    return _mixed(first, (e + _right(f + a, 18) + g) & _MASK, factor)


def _weak(data: bytes, start: int, a: int, b: int) -> tuple[int, int]:
    """A quick hash of 32 bytes under two seeds."""
    w, x, y, z = (_word(data, start + at) for at in (0, 8, 16, 24))
    a += w
    b = _right(b + a + z, 21)
    c = a
    a += x + y
    b += _right(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _long(data: bytes) -> int:
    """`Fingerprint64` of more than 64 bytes: 56 bytes of state, 64 bytes at a time."""
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = (_shifted((y * _K2 + 113) & _MASK) * _K2) & _MASK
    state = (x * _K2 + _word(data, 0)) & _MASK, y, z, (0, 0), (0, 0)
    for start in range(0, (len(data) - 1) // 64 * 64, 64):
        state = _taken_in(data, start, state, _K1, (1, 1))
    x, y, z, v, w = state
    factor = (_K1 + ((z & 255) << 1)) & _MASK
    first = (w[0] + ((len(data) - 1) & 63)) & _MASK
    v = ((v[0] + first) & _MASK, v[1])
    w = ((first + v[0]) & _MASK, w[1])
    x, y, z, v, w = _taken_in(data, len(data) - 64, (x, y, z, v, w), factor, (9, 9))
    one = (_mixed(v[0], w[0], factor) + _shifted(y) * _K0 + z) & _MASK
    return _mixed(one, (_mixed(v[1], w[1], factor) + x) & _MASK, factor)


def _taken_in(
    data: bytes,
    start: int,
    state: tuple[int, int, int, tuple[int, int], tuple[int, int]],
    factor: int,
    weights: tuple[int, int],
) -> tuple[int, int, int, tuple[int, int], tuple[int, int]]:
    """The state after another 64 bytes."""
    x, y, z, v, w = state
    x = _right(x + y + v[0] + _word(data, start + 8), 37) * factor
    y = _right(y + v[1] + _word(data, start + 48), 42) * factor
    x = (x ^ (w[1] * weights[0])) & _MASK
    y = (y + v[0] * weights[1] + _word(data, start + 40)) & _MASK
    z = (_right(z + w[0], 33) * factor) & _MASK
    v = _weak(data, start, (v[1] * factor) & _MASK, x + w[0])
    w = _weak(data, start + 32, z + w[1], y + _word(data, start + 16))
    return z, y, x, v, w


Key: TypeAlias = "tuple[int, int] | None"


def checked_key(salt: Any, layer: str) -> Key:
    """A `salt` as a pair of numbers; a single number is taken twice.

    >>> checked_key(133, "Hashing"), checked_key([1, 2], "Hashing"), checked_key(None, "Hashing")
    ((133, 133), (1, 2), None)
    """
    pair = salt if isinstance(salt, tuple | list) else (salt, salt)
    if salt is None:
        return None
    if len(pair) != 2 or not all(type(part) is int for part in pair):
        raise ValueError(
            f"The `salt` argument for `{layer}` can only be a tuple of size 2 integers, or a "
            f"single integer. Received: salt={salt}."
        )
    return pair[0], pair[1]


def bucket_of(token: Any, buckets: int, key: Key = None) -> int:
    """The bucket in which TensorFlow puts a text or a number; with a key, by SipHash.

    >>> [bucket_of(token, 3) for token in ("A", "B", 0, 1)]
    [1, 0, 1, 0]
    """
    data = str(token).encode("utf-8", "surrogateescape")
    return (farm_hash(data) if key is None else sip_hash(key, data)) % buckets
