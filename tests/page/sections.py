"""The page that users know, as sections of snippets kept word for word, and what is replaced before they run."""

from dataclasses import dataclass
from pathlib import Path

SNIPPETS = Path(__file__).parent / "snippets"
MODEL_URL = "https://s3.wasabisys.com/iguazio/models/iris/model.pkl"
# What the page imports, and what stands for it here.
IMPORTS = (
    ("import mlrun\n", "import servegraph as mlrun\n"),
    ("import mlrun.artifacts\n", "import servegraph.artifacts\n"),
    ("import storey\n", "from servegraph import storey\n"),
    ("import storey.steps\n", "import servegraph.steps\n"),
)


@dataclass(frozen=True)
class Section:
    """One section of the page: the folder of its snippets, the page's own slips, what it uses and never defines."""

    folder: str
    slips: tuple[tuple[str, str], ...] = ()
    undefined: str = ""

    def snippets(self) -> list[Path]:
        return sorted((SNIPPETS / self.folder).glob("*.py"))

    def cells(self, model_url: str) -> list[str]:
        """Return the snippets as they run here, in the page's order, after what the section leaves undefined."""
        replaced = (*IMPORTS, (MODEL_URL, model_url), *self.slips)
        texts = [snippet.read_text() for snippet in self.snippets()]
        for old, new in replaced:
            texts = [text.replace(old, new) for text in texts]
        return [self.undefined, *texts] if self.undefined else texts


HANDLERS = '''
handled = []


def raising_step(event):
    """A step of the page that is named and never shown; its name says what it does."""
    raise ValueError("pre-process failed")


def handle_error(event):
    """The page's error handler, which it does not show either."""
    handled.append((event.origin_state, str(event.error)))
    return event
'''

REJOINED = '''
fn = mlrun.new_function("rejoined", kind="serving")
graph = fn.set_topology("flow")


class stepB:
    """One of the steps that the page only names."""

    def do(self, body):
        return body


stepC = stepD = stepB


def double(body):
    return body * 2


class Adder:
    """The page's step that adds a number, which it does not show either."""

    def __init__(self, add):
        self.add = add

    def do(self, body):
        return body + self.add
'''

SECTIONS = (
    Section("1_serving_functions"),
    Section("2_router"),
    # Where the page goes on with `graph` it means `graph2`, the flow: `graph` is the router of the section before.
    Section("3_flow", slips=(("\ngraph.to(", "\ngraph2.to("),), undefined=HANDLERS),
    # The page gives `stepD` nothing to run, only a name.
    Section("8_split_and_rejoin", slips=(('add_step(name="stepD"', 'add_step("stepD"'),), undefined=REJOINED),
    Section("9_concurrent_processing"),
)


def all_cells(model_url: str) -> list[str]:
    """Return the whole page as it runs here, cell after cell."""
    return [cell for section in SECTIONS for cell in section.cells(model_url)]
