"""Changes of the kinds that disks, networks and people make to files."""

from __future__ import annotations

import random

_WORDS = (b'"', b",", b"\n", b"{", b"}", b"[", b"]", b"\\", b"\0", b"\xff", b"9" * 20, b"NaN", b"\r", b"\xef\xbb\xbf")


def mutated(content: bytes, choice: random.Random) -> bytes:
    """The content with one to four changes of the kinds that disks, networks and people make."""
    made = bytearray(content)
    for _ in range(choice.randint(1, 4)):
        if not made:
            break
        at, kind = choice.randrange(len(made)), choice.randrange(8)
        length = min(len(made) - at, choice.choice((1, 1, 2, 8, 64, 512)))
        if kind == 0:
            made[at] ^= 1 << choice.randrange(8)
        elif kind == 1:
            made[at] = choice.randrange(256)
        elif kind == 2:
            del made[at : at + length]
        elif kind == 3:
            made[at:at] = made[at : at + length]
        elif kind == 4:
            del made[at:]
        elif kind == 5:
            made[at : at + length] = bytes(length)
        elif kind == 6:
            made[at:at] = choice.choice(_WORDS)
        else:
            other = choice.randrange(len(made))
            made[at : at + length] = made[other : other + length]
    return bytes(made)
