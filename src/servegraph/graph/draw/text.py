"""How wide a text is, how it is shortened, and which of its characters a picture can carry."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Advance widths in hundredths of an em: for each character the wider of Roboto and Inter (regular weight), so that
# a label also fits where the viewer's sans-serif font is another one.
_BY_WIDTH: Final = {
    24: "ijl", 27: "I", 28: " ", 29: "!,.:·", 30: "';", 32: "`", 33: "t|", 36: "()[]", 37: "f", 38: "r", 41: "/\\",
    43: "{}", 46: "-_", 47: '"^', 50: "*", 51: "?", 53: "s", 55: "kxz", 56: "1avy", 57: "7JLc", 58: "e",
    59: "5Fhnu", 60: "Eo", 61: "2bdgpq", 62: "3689", 63: "#0Z", 64: "$&PRS", 65: "4BT", 66: "+<=>", 67: "K",
    68: "XY~", 69: "AV", 72: "D", 73: "C", 74: "HU", 75: "GN", 76: "OQ", 82: "w", 86: "…", 88: "m", 90: "M",
    97: "@", 98: "%", 99: "W",
}  # fmt: skip
_WIDTH: Final = {char: width / 100 for width, chars in _BY_WIDTH.items() for char in chars}
_BOLD: Final = 1.04
_ELLIPSIS: Final = "…"
# XML 1.0 knows no way to write these, not even escaped.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Return text on one line, with every character that XML cannot carry replaced."""
    return " ".join(_UNWRITABLE.sub("\ufffd", text).split())


def width(text: str, size: float, bold: bool = False) -> float:
    """Return about how many pixels a line of text takes at a font size in pixels, rather too many than too few."""
    return sum(map(_em, text)) * size * (_BOLD if bold else 1.0)


def _em(char: str) -> float:
    known = _WIDTH.get(char)
    if known is not None:
        return known
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(char) in ("W", "F"):
        return 1.35 if char >= "\U0001f000" else 1.0
    plain = unicodedata.normalize("NFD", char)[0]
    return _WIDTH.get(plain, 0.95 if char.isupper() else 0.75)


def clip(text: str, room: float, size: float, bold: bool = False) -> str:
    """Return text that fits in ``room`` pixels, its end replaced by an ellipsis where it is too long."""
    if width(text, size, bold) <= room:
        return text
    room -= width(_ELLIPSIS, size, bold)
    used, kept = 0.0, 0
    for char in text:
        used += width(char, size, bold)
        if used > room:
            break
        kept += 1
    return text[:kept].rstrip() + _ELLIPSIS


def clip_start(text: str, room: float, size: float) -> str:
    """Return text that fits in ``room`` pixels, its beginning replaced where it is too long: the end says most."""
    if width(text, size) <= room:
        return text
    kept = clip(text[::-1], room, size)[::-1]
    return _ELLIPSIS + kept.lstrip(_ELLIPSIS + ".")
