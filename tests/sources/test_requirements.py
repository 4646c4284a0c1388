from hypothesis import given
from hypothesis import strategies as st

from servegraph.sources.requirements import normalised, read_requirements


def test_what_servegraph_brings_is_left_out_and_sklearn_means_scikit_learn():
    given = ["mlrun==1.7", "storey", "sklearn>=1.4", "pandas", " pandas ", "MLRun[complete]~=1.0", "sklearn-extra"]
    assert normalised(given) == ["scikit-learn>=1.4", "pandas", "sklearn-extra"]


def test_urls_and_options_are_kept():
    given = ["git+https://example.org/x.git", "--extra-index-url https://example.org", "./wheel.whl"]
    assert normalised(given) == given


@given(st.lists(st.sampled_from(["mlrun", "sklearn", "numpy", "scikit-learn==1", "storey>1"])))
def test_cleaning_twice_changes_nothing_more(requirements):
    once = normalised(requirements)
    assert normalised(once) == once
    assert len(set(once)) == len(once)


def test_a_file_is_read_without_comments(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# packages\nnumpy>=2  # arrays\n\nx @ https://example.org/x#egg=x\n")
    assert read_requirements(path) == ["numpy>=2", "x @ https://example.org/x#egg=x"]
