"""Whatever the graph, its picture is sound: nothing overlaps, no arrow runs through a box, all of it is in the picture."""

import time
from itertools import combinations, pairwise

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from tests.graph.draw.graphs import DIAMOND, LOOP, PARTS, RESCUED, TANGLED, TYPICAL, specs

from servegraph.graph.draw.frames import functions_of
from servegraph.graph.draw.geometry import Point, Rect
from servegraph.graph.draw.layout import lay_out
from servegraph.graph.draw.scene import scene_of
from servegraph.graph.spec import FlowSpec, RouterSpec, TaskSpec

directions = pytest.mark.parametrize("direction", ["LR", "TB"])


def inner(rect, by=0.6):
    return Rect(rect.x + by, rect.y + by, rect.width - 2 * by, rect.height - 2 * by)


def crosses(start, end, rect):
    """Whether a straight line has a point inside a rectangle, by clipping it at all four sides."""
    enter, leave = 0.0, 1.0
    for at, to, low, high in ((start.x, end.x, rect.x, rect.right), (start.y, end.y, rect.y, rect.bottom)):
        if at == to:
            if not low < at < high:
                return False
            continue
        one, two = sorted(((low - at) / (to - at), (high - at) / (to - at)))
        enter, leave = max(enter, one), min(leave, two)
    return enter < leave


def assert_sound(spec, direction):
    scene = scene_of(spec)
    layout = lay_out(scene, direction)
    rects = [placed.rect for placed in layout.boxes]
    for one, two in combinations(rects, 2):
        assert not one.overlaps(two)
    for way in layout.ways:
        for start, end in pairwise(way.path.points()):
            for placed in layout.boxes:
                assert not crosses(start, end, inner(placed.rect)), (way.arrow.tooltip, placed.box.title)
    assert_ends_touch(layout)
    assert_inside(layout)
    assert_labels_fit(layout)
    assert_frames_hold_their_own(scene, layout)
    return layout


def assert_ends_touch(layout):
    for way in layout.ways:
        tail, head = layout.boxes[way.arrow.tail].rect, layout.boxes[way.arrow.head].rect
        for point, rect in ((way.path.start, tail), (way.path.curves[-1].end, head)):
            assert not crosses(point, point, inner(rect))
            assert rect.grown(0.01).overlaps(Rect(*point, 0.001, 0.001))


def assert_inside(layout):
    picture = Rect(0, 0, layout.width, layout.height)
    everything = [placed.rect for placed in layout.boxes]
    everything += [frame.rect for frame in (*layout.frames, *layout.legend)]
    everything += [Rect(*point, 0, 0) for way in layout.ways for point in way.path.points()]
    for rect in everything:
        assert picture.x <= rect.x and rect.right <= picture.right
        assert picture.y <= rect.y and rect.bottom <= picture.bottom


def assert_labels_fit(layout):
    for placed in layout.boxes:
        for labels, width, height in [
            (placed.shape.labels, placed.shape.width, placed.shape.height),
            *((cell.labels, cell.width, cell.height) for cell in placed.shape.cells),
        ]:
            for label in labels:
                left = label.x - label.width / 2 if label.centred else label.x
                assert left > 0 and left + label.width < width
                assert label.size < label.y < height
        whole = Rect(0, 0, placed.shape.width, placed.shape.height)
        cells = [Rect(cell.x, cell.y, cell.width, cell.height) for cell in placed.shape.cells]
        for cell in cells:
            assert whole.x < cell.x and cell.right < whole.right and cell.bottom < whole.bottom
        for one, two in combinations(cells, 2):
            assert not one.overlaps(two)


def assert_frames_hold_their_own(scene, layout):
    for frame in layout.frames:
        for placed in layout.boxes:
            if placed.rect.overlaps(frame.rect):
                assert placed.box.function == frame.function
    for one, two in combinations(layout.frames, 2):
        assert not one.rect.overlaps(two.rect)
    told = {frame.function for frame in (*layout.frames, *layout.legend)}
    assert told == set(functions_of(scene))


@given(spec=specs(), direction=st.sampled_from(["LR", "TB"]))
def test_any_graph_has_a_sound_picture(spec, direction):
    layout = assert_sound(spec, direction)
    for kind in {way.arrow.kind for way in layout.ways}:
        event(f"with {kind} arrows")
    event("with a router" if any(placed.shape.cells for placed in layout.boxes) else "without a router")
    event("with a frame" if layout.frames else "with a legend" if layout.legend else "one function")


@directions
@pytest.mark.parametrize("name", TYPICAL)
def test_typical_graphs_have_sound_pictures(name, direction):
    assert_sound(TYPICAL[name], direction)


@given(spec=specs())
def test_the_same_graph_is_drawn_the_same(spec):
    assert lay_out(scene_of(spec)) == lay_out(scene_of(spec))


def middle(layout, title):
    return next(
        Point(p.rect.x + p.rect.width / 2, p.rect.y + p.rect.height / 2) for p in layout.boxes if p.box.title == title
    )


def test_the_main_line_is_straight_and_handlers_stand_beside_it():
    layout = lay_out(scene_of(RESCUED))
    line = [middle(layout, title) for title in ("event", "parse", "predict", "post", "answer")]
    assert {round(point.y, 6) for point in line} == {round(line[0].y, 6)}
    assert [point.x for point in line] == sorted(point.x for point in line)
    for handler in ("bad_input", "fallback", "catch_all"):
        assert middle(layout, handler).y > line[0].y


def test_branches_stand_evenly_around_where_they_part_and_join():
    layout = lay_out(scene_of(DIAMOND), "TB")
    double, add3, add2, gather = (middle(layout, title) for title in ("double", "add3", "add2", "Gather"))
    assert add3.x < double.x < add2.x and add3.y == add2.y
    assert double.x == gather.x == pytest.approx((add3.x + add2.x) / 2)


def test_a_cycle_runs_back_above_everything_it_passes():
    layout = lay_out(scene_of(LOOP))
    back = next(way for way in layout.ways if way.arrow.tooltip == "check back to plan")
    highest = min(point.y for point in back.path.points())
    assert highest < min(placed.rect.y for placed in layout.boxes)


def test_steps_of_a_function_stand_in_one_frame():
    layout = lay_out(scene_of(PARTS))
    assert [frame.function for frame in layout.frames] == ["nlp", "writer"]
    assert not layout.legend


def test_functions_that_mix_are_told_apart_by_a_legend():
    layout = lay_out(scene_of(TANGLED))
    assert {swatch.function for swatch in layout.legend} | {frame.function for frame in layout.frames} == {"one", "two"}


def wide(steps):
    """A graph of many joins and branches, as no one should write it."""
    names = [f"step{n}" for n in range(steps)]
    return FlowSpec(
        steps={
            name: TaskSpec(handler="h", after=tuple({names[max(0, n - 1 - n % 5)], names[n // 2]}) if n else ())
            for n, name in enumerate(names)
        }
    )


def test_a_hundred_steps_are_laid_out_at_once():
    scene = scene_of(wide(100))
    started = time.perf_counter()
    lay_out(scene)
    assert time.perf_counter() - started < 2.0  # some 0.1 s; a layout that is not near linear takes far longer


def test_a_long_chain_needs_no_deep_recursion():
    spec = FlowSpec(steps={f"s{n}": TaskSpec(handler="h", after=(f"s{n - 1}",) if n else ()) for n in range(1500)})
    assert len(lay_out(scene_of(spec)).ways) == 1500


def test_a_router_of_thousands_shows_some_and_counts_the_rest():
    spec = RouterSpec(routes={f"m{n}": TaskSpec(class_name="M") for n in range(3000)})
    layout = assert_sound(spec, "LR")
    router = next(placed for placed in layout.boxes if placed.shape.cells)
    assert router.shape.cells[-1].box.title == "2941 more"
