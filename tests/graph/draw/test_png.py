"""PNG pictures carry their text on a machine without any font."""

import struct
import zlib

import pytest
from tests.graph.draw.graphs import CHAIN

from servegraph.graph.draw import plot
from servegraph.graph.draw.png import png_of
from servegraph.graph.draw.shapes import DETAIL, TITLE
from servegraph.graph.draw.text import width


def pixels(png):
    """Rows of (red, green, blue, alpha) of an 8 bit RGBA picture."""
    chunks, at = {}, 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + png[at + 8 : at + 8 + length]
        at += length + 12
    wide, high, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 6)
    data, above, rows = zlib.decompress(chunks[b"IDAT"]), bytes(wide * 4), []
    for y in range(high):
        start = y * (wide * 4 + 1)
        above = unfiltered(data[start], data[start + 1 : start + 1 + wide * 4], above)
        rows.append([tuple(above[x : x + 4]) for x in range(0, wide * 4, 4)])
    return rows


def unfiltered(kind, line, above):
    done = bytearray()
    for x, value in enumerate(line):
        left, up, corner = (done[x - 4], above[x], above[x - 4]) if x >= 4 else (0, above[x], 0)
        nearest = min(
            (abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)
        )
        done.append((value + (0, left, up, (left + up) // 2, nearest[2])[kind]) % 256)
    return bytes(done)


def ink(text, size, weight):
    """How many pixels wide the ink of a line of text is, drawn without any system font."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="40"><text x="10" y="25" '
        f'font-family="Roboto" font-size="{size}" font-weight="{weight}">{text}</text></svg>'
    )
    rows = pixels(png_of(svg, 1.0, system_fonts=False))
    inked = [x for row in rows for x, pixel in enumerate(row) if pixel[3]]
    return max(inked) - min(inked) + 1 if inked else 0


@pytest.mark.parametrize("text", ["enrich_features", "ModelRouter.predict", "WWWW iiii 0123", "Größe", "Привет"])
@pytest.mark.parametrize(("size", "weight"), [(TITLE, 600), (DETAIL, 400)])
def test_text_is_drawn_without_system_fonts_and_takes_no_more_than_measured(text, size, weight):
    measured = width(text, size, bold=weight == 600)
    assert measured * 0.6 < ink(text, size, weight) <= measured + 1


def test_a_picture_without_system_fonts_shows_its_names():
    picture = plot(CHAIN, theme="light")
    with_text = png_of(picture.svg, 1.0, system_fonts=False)
    nameless = png_of(picture.svg.replace("<text", "<desc").replace("</text", "</desc"), 1.0, system_fonts=False)
    different = sum(
        one != two
        for row, other in zip(pixels(with_text), pixels(nameless), strict=True)
        for one, two in zip(row, other, strict=True)
    )
    assert different > 1000


def test_scale_says_how_many_pixels():
    picture = plot(CHAIN, scale=3.0)
    wide, high = struct.unpack(">II", picture.png()[16:24])
    root = picture.svg.split('viewBox="0 0 ')[1].split('"')[0].split()
    assert (wide, high) == (3 * int(root[0]), 3 * int(root[1]))
