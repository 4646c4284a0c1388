import textwrap

import pytest

APP = """
import servegraph


class Factor(servegraph.serving.V2ModelServer):
    def load(self):
        self.model = self.get_param("factor")

    def predict(self, body):
        return [value * self.model for value in body["inputs"]]


fn = servegraph.new_function("factors")
fn.add_model("m", class_name="Factor", model_path=".", factor=3)

empty = servegraph.new_function("empty")
"""

FLOWS = """
import servegraph

first = servegraph.new_function("first-flow")
first.set_topology("flow").to(name="s", handler="(event + 1)").respond()
project = servegraph.get_or_create_project("p", save=False)
project.set_function("second-flow").set_topology("flow").to(name="s", handler=lambda body: body).respond()
"""

BROKEN = """
import servegraph

fn = servegraph.new_function("broken")
fn.set_topology("flow").to(name="a", handler="missing").to("Missing", name="b").respond()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in {"app": APP, "flows": FLOWS, "broken": BROKEN, "bare": "x = 1\n"}.items():
        (tmp_path / f"sg_{name}.py").write_text(textwrap.dedent(text))
    (tmp_path / "graph.yaml").write_text("steps: {s: {handler: (event * 2), responder: true}}")
    monkeypatch.chdir(tmp_path)
    return tmp_path
