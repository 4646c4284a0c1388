import pytest

from servegraph.errors import GraphError
from servegraph.sources.cells import Cell
from servegraph.sources.marks import marked_code, marks_in, unignored

START, END, IGNORE = "# mlrun: start-code", "# mlrun: end-code", "# mlrun: ignore"


def code(*sources, name="", tags=(), **options):
    cells = [Cell(source, f"cell {number}", frozenset(tags)) for number, source in enumerate(sources, 1)]
    return marked_code(cells, name, **options).split()


def test_without_marks_all_cells_are_kept_in_order():
    assert code("a", "b", "c") == ["a", "b", "c"]


def test_only_what_stands_between_the_marks_is_kept():
    assert code("a", f"b\n{START}\nc", "d", f"e\n{END}\nf", "g") == ["c", "d", "e"]


def test_several_regions_are_put_together():
    assert code(f"{START}\na\n{END}", "b", f"{START}\nc", f"{END}\nd") == ["a", "c"]


def test_a_region_may_begin_and_end_several_times_in_one_script():
    assert code(f"{START}\na\n{END}\nb\n{START}\nc\n{END}\nd") == ["a", "c"]


def test_an_end_without_a_start_keeps_all_before_it():
    assert code("a", f"b\n{END}\nc", "d") == ["a", "b"]


def test_a_start_without_an_end_keeps_all_after_it():
    assert code("a", f"{START}\nb", "c") == ["b", "c"]


@pytest.mark.parametrize("mark", ["#mlrun:start-code", "  #\tnuclio:   start-code  ", "# mlrun: start-code\t"])
def test_marks_may_be_written_with_blanks_and_under_the_older_name(mark):
    assert code("a", f"{mark}\nb") == ["b"]


@pytest.mark.parametrize("mark", ["# mlrun : start-code", "# MLRUN: start-code", "x = 1 # mlrun: start-code"])
def test_other_spellings_are_no_marks(mark):
    assert not marks_in(Cell(mark, "cell 1"))


def test_a_mark_with_a_name_counts_only_for_the_function_of_that_name():
    cells = ("a", f"{START} first\nb\n{END} first", f"{START} second_one\nc\n{END} second_one")
    assert code(*cells, name="first") == ["b"]
    assert code(*cells, name="second-one") == ["c"]
    assert "a" in code(*cells, name="third")


def test_ignored_cells_belong_to_no_function():
    assert code("a", f"{IGNORE}\nb", "c") == ["a", "c"]
    assert (
        unignored([Cell("a", "1", frozenset({"mlrun-ignore"})), Cell("b", "2", frozenset({"other"}))])[0].source == "b"
    )
    assert unignored([Cell("a", "1", frozenset({"mine"}))], {"mine"}) == []


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((f"{START}\na", f"{START}\nb"), "cell 2: two 'start-code' marks follow each other"),
        ((f"{START}\na\n{END}", f"{END}"), "cell 2: two 'end-code' marks follow each other"),
        ((f"a\n{END}\n{START}\nb",), "cell 1: 'end-code' stands before 'start-code'"),
    ],
)
def test_marks_that_contradict_each_other_are_an_error(cells, message):
    with pytest.raises(GraphError, match=message):
        code(*cells)


def test_a_history_may_have_the_same_mark_twice():
    assert code(f"{START}\na", f"{START}\na", "b", END, END, repeats=True) == ["a", "a", "b"]


def test_a_mark_inside_a_text_is_none():
    assert not marks_in(Cell(f"text = '''\n{START}\n'''", "cell 1"))
    assert marks_in(Cell(f"files = !ls\n{START}", "cell 1")) == {"start-code"}
