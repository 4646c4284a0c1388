"""A flow: functions prepare the body, a model answers, a lambda words the answer.

Prints:
    {'species': 'virginica', 'shop': 'Leiden'}
"""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import servegraph
from servegraph.serving import V2ModelServer

iris = load_iris()


class Species(V2ModelServer):
    def load(self):
        self.model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)

    def predict(self, request):
        return [str(iris.target_names[row]) for row in self.model.predict(request["inputs"])]


def millimetres(body):
    """Petals come measured in millimetres, the model wants centimetres."""
    return {**body, "inputs": [[size / 10 for size in row] for row in body["inputs"]]}


fn = servegraph.new_function("flowers", kind="serving")
graph = fn.set_topology("flow")
graph.to(handler=millimetres).to(Species, name="species", input_path="", result_path="answer").to(
    name="words", handler=lambda body: {"species": body["answer"]["outputs"][0], "shop": body["shop"]}
).respond()

with fn.to_mock_server() as server:
    print(server.test(body={"shop": "Leiden", "inputs": [[77, 38, 67, 22]]}))
