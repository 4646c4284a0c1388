"""A router and a model of one's own: versions, a custom operation, a model reloaded while it serves.

Prints:
    {'v2': [20]}
    {'v1': [2]}
    {'factor': 10}
    {'v2': [30]}
"""

from pathlib import Path

import servegraph
from servegraph.serving import ModelRouter, V2ModelServer


class Times(V2ModelServer):
    def load(self):
        self.factor = int(Path(self.model_path).read_text())

    def predict(self, request):
        return [self.factor * value for value in request["inputs"]]

    def op_factor(self, event):
        return {"factor": self.factor}


class ByVersion(ModelRouter):
    def postprocess(self, event):
        if "outputs" in event.body:
            event.body = {event.body["model_version"]: event.body["outputs"]}
        return event


fn = servegraph.new_function("times", kind="serving")
fn.set_topology("router", class_name=ByVersion)
for version, factor in {"v1": "1", "v2": "10"}.items():
    Path(version).write_text(factor)
    fn.add_model(f"times:{version}", class_name=Times, model_path=version)

with fn.to_mock_server() as server:
    print(server.test("/v2/models/times/infer", {"inputs": [2]}))
    print(server.test("/v2/models/times/versions/v1/infer", {"inputs": [2]}))
    print(server.test("/v2/models/times:v2/factor", {}))
    Path("v2").write_text("15")
    server.control().reload("times:v2")
    print(server.test("/v2/models/times/infer", {"inputs": [2]}))
