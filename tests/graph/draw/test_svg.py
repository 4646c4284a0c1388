"""The SVG of any graph is well formed, says what it shows, and lets no name become markup."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from tests.graph.draw.graphs import CHAIN, LOOP, PARTS, RESCUED, TANGLED, TYPICAL, specs

from servegraph.graph.draw import plot
from servegraph.graph.spec import FlowSpec, TaskSpec

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def classes(svg):
    found = [node.get("class", "") for node in ElementTree.fromstring(svg).iter()]
    return {name for value in found for name in value.split()}


@given(spec=specs())
def test_any_graph_is_well_formed_svg(spec):
    root = ElementTree.fromstring(plot(spec).svg)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {
        "svg", "title", "desc", "style", "g", "rect", "path", "polygon", "text",
    }  # fmt: skip


def test_names_are_text_and_never_markup():
    name = '<b>&"</text><script>'
    svg = plot(FlowSpec(steps={name: TaskSpec(handler="]]>")}), title='"<t>&').svg
    assert name in texts(svg) and "]]>" in texts(svg)
    assert "<script" not in svg
    assert ElementTree.fromstring(svg).get("aria-label") == '"<t>&'


def test_a_picture_says_what_it_is_to_those_who_cannot_see_it():
    root = ElementTree.fromstring(plot(CHAIN, title="fraud").svg)
    assert root.get("role") == "img" and root[0].tag == f"{SVG}title" and root[0].text == "fraud"
    assert root[1].tag == f"{SVG}desc" and "enrich to predict" in root[1].text


def test_a_shortened_name_is_whole_in_its_tooltip():
    name = "a_step_whose_name_is_far_longer_than_any_box_could_ever_be"
    svg = plot(FlowSpec(steps={name: TaskSpec(class_name="package.Class")})).svg
    assert name not in texts(svg)
    titles = ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert f"step {name}\npackage.Class" in titles


def test_every_kind_of_arrow_and_box_has_its_look():
    assert {"error", "failure", "handler", "respond", "to-answer"} <= classes(plot(RESCUED).svg)
    assert "back" in classes(plot(LOOP).svg)
    assert {"queue", "lid", "part", "p0", "p1"} <= classes(plot(PARTS).svg)


def test_each_class_of_the_style_sheet_is_scoped():
    style = re.search("<style>(.*)</style>", plot(TANGLED).svg)[1]
    selectors = re.findall(r"(?:^|[{}])([^{}@]+)\{", style)
    assert all(".sg" in part for selector in selectors for part in selector.split(",") if "(" not in part)


@pytest.mark.parametrize("name", TYPICAL)
def test_a_picture_has_no_outside_reference_and_no_script(name):
    svg = plot(TYPICAL[name]).svg
    assert not re.search("href|url\\(|<script|@import", svg)
    assert len(svg) < 20_000


def test_themes_are_light_dark_or_the_screens():
    light, dark, auto = (plot(CHAIN, theme=theme).svg for theme in ("light", "dark", "auto"))
    assert "#fbfcfe" in light and "#131a24" not in light
    assert "#131a24" in dark and "#fbfcfe" not in dark
    assert "prefers-color-scheme" in auto and "#131a24" in auto and "#fbfcfe" in auto
