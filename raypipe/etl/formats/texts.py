"""Whether bytes are text."""

from __future__ import annotations

_EVERY_SECOND = 0.2
_MOST_CONTROLS = 0.1
_SEPARATORS = b"\x01\x02\x1c\x1d\x1e\x1f"
_DELIMITER_SHARE = 0.9
_TEXT_BYTES = bytes(byte for byte in range(256) if byte >= 32 or 9 <= byte <= 13 or byte == 27)


def is_text(head: bytes) -> bool:
    """Whether these first bytes are text in some encoding: told by the absence of bytes that no text has."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or _is_wide_text(head):
        return True
    return _control_share(head) < _MOST_CONTROLS


def is_plain(head: bytes) -> bool:
    """Whether a head that starts like a known format is text all the same, as a column name "ORC" is."""
    return head[:256].isascii() and not _control_share(head[:256])


def _control_share(head: bytes) -> float:
    """Share of bytes that no text has but by damage; in random bytes it is 11 %."""
    controls = head.translate(None, _TEXT_BYTES)
    # One of those made to stand between fields, and hardly another, is a delimiter.
    most = max((controls.count(code) for code in _SEPARATORS), default=0)
    others = len(controls) - most if most > len(controls) * _DELIMITER_SHARE else len(controls)
    return others / max(1, len(head))


def _is_wide_text(head: bytes) -> bool:
    """Zeros at every second byte, as UTF-16 without a mark has."""
    even, odd = head[0::2].count(0) / max(1, len(head[0::2])), head[1::2].count(0) / max(1, len(head[1::2]))
    return max(even, odd) > _EVERY_SECOND and min(even, odd) < _EVERY_SECOND / 10
