"""Text is measured, shortened and made writable."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servegraph.graph.draw.text import clean, clip, clip_start, width

texts = st.text(max_size=80)


@given(text=texts, room=st.floats(20, 300), bold=st.booleans())
def test_a_clipped_text_fits(text, room, bold):
    assert width(clip(text, room, 13, bold), 13, bold) <= room
    assert width(clip_start(text, room, 11), 11) <= room


def test_a_text_that_fits_stays_whole():
    assert clip("enrich", 100, 13) == clip_start("enrich", 100, 13) == "enrich"


def test_a_long_name_loses_its_end_and_a_long_path_its_beginning():
    assert clip("a_step_with_a_very_long_name", 80, 13).startswith("a_step")
    assert clip("a_step_with_a_very_long_name", 80, 13).endswith("…")
    assert clip_start("package.module.very.deep.ModelRouter", 100, 11) in ("…deep.ModelRouter", "…eep.ModelRouter")
    assert clip_start("package.module.very.deep.ModelRouter", 82, 11) == "…ModelRouter"


@given(text=texts)
def test_clean_text_can_be_written_as_xml(text):
    read = ElementTree.fromstring(f"<text>{escape(clean(text))}</text>").text or ""
    assert read == clean(text)
    assert "\n" not in read and "\t" not in read


def test_lone_surrogates_and_nulls_are_replaced():
    assert clean("a\ud800b\x00c\n d") == "a\ufffdb\ufffdc d"


@pytest.mark.parametrize(("narrow", "broad"), [("iiii", "WWWW"), ("model", "模型模型模型"), ("e\u0301", "ee")])
def test_widths_follow_the_letters(narrow, broad):
    assert width(narrow, 13) < width(broad, 13)
