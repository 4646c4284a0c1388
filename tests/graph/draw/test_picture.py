"""``plot`` writes any format, shows itself in notebooks, and says what it does not know."""

import importlib
import sys
from xml.etree import ElementTree

import pytest
from IPython.core.formatters import DisplayFormatter
from tests.graph.draw.graphs import CHAIN, ROUTER

from servegraph.errors import GraphError, MissingExtra
from servegraph.graph.draw import Picture, plot

STARTS = {
    "svg": b"<svg ",
    "png": b"\x89PNG",
    "mmd": b"flowchart LR",
    "md": b"```mermaid\nflowchart LR",
    "html": b"<!doctype html>",
}


@pytest.mark.parametrize("suffix", STARTS)
def test_the_suffix_chooses_the_format(tmp_path, suffix):
    plot(CHAIN, tmp_path / f"graph.{suffix}")
    assert (tmp_path / f"graph.{suffix}").read_bytes().startswith(STARTS[suffix])


@pytest.mark.parametrize("kind", STARTS)
def test_a_format_given_wins_and_a_missing_suffix_is_added(tmp_path, kind):
    plot(CHAIN, str(tmp_path / "made" / "graph"), kind)
    assert (tmp_path / "made" / f"graph.{kind}").read_bytes().startswith(STARTS[kind])
    plot(CHAIN, tmp_path / "other.txt", kind)
    assert (tmp_path / "other.txt").read_bytes().startswith(STARTS[kind])


def test_without_suffix_and_format_it_is_svg(tmp_path):
    assert plot(CHAIN).save(tmp_path / "graph") == tmp_path / "graph.svg"


@pytest.mark.parametrize(("kind", "alias"), [("mmd", "mermaid"), ("md", "Markdown"), ("svg", ".SVG")])
def test_formats_have_their_usual_names(tmp_path, kind, alias):
    assert plot(CHAIN).save(tmp_path / "graph", alias).suffix == f".{kind}"


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="'svgz', known formats are: svg, png, mmd, md, html; did you mean 'svg'"):
        plot(CHAIN, tmp_path / "graph.svgz")
    with pytest.raises(GraphError, match="format 'bmp', known formats are"):
        plot(CHAIN, format="bmp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rankdir", ["LR", "TB", "td"])
def test_known_directions(rankdir):
    assert plot(CHAIN, rankdir=rankdir).direction == ("LR" if rankdir == "LR" else "TB")


def test_an_unknown_direction_names_the_known_ones():
    with pytest.raises(ValueError, match="unknown rankdir 'RL', known are: LR, TB, TD"):
        plot(CHAIN, rankdir="RL")


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(TypeError, match="no option 'tittle', known are: title, theme, scale; did you mean 'title'"):
        plot(CHAIN, tittle="x")
    with pytest.raises(ValueError, match="unknown theme 'blue', known are: auto, light, dark"):
        plot(CHAIN, theme="blue")


@pytest.mark.parametrize("scale", [0, -1, "2", float("nan"), 1000])
def test_a_scale_out_of_range_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        plot(CHAIN, scale=scale)


def test_a_picture_prints_as_mermaid():
    picture = plot(CHAIN)
    assert isinstance(picture, Picture) and str(picture) == picture.mermaid
    assert repr(picture) == "<Picture of 5 boxes and 4 arrows, LR>"


def test_a_notebook_shows_the_picture():
    shown, _ = DisplayFormatter().format(plot(ROUTER))
    assert ElementTree.fromstring(shown["image/svg+xml"]).get("role") == "img"
    assert shown["text/html"].startswith("<div") and "<svg " in shown["text/html"]
    assert shown["text/plain"].startswith("flowchart LR")


@pytest.mark.parametrize("missing", ["resvg_py", "fontpkg"])
def test_png_without_the_extra_names_the_command(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r'PNG pictures needs .* pip install "servegraph\[draw\]"'):
        plot(CHAIN, tmp_path / "graph.png")
    assert importlib.import_module("servegraph.graph.draw").plot(CHAIN).svg
