"""Serve a model from a file: a router with one scikit-learn model, asked in this process.

Prints:
    models: ['iris']
    outputs: [0, 2]
    unknown model: 404
"""

from pathlib import Path

import cloudpickle
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import servegraph

rows, species = load_iris(return_X_y=True)
Path("model.pkl").write_bytes(cloudpickle.dumps(LogisticRegression(max_iter=1000).fit(rows, species)))

fn = servegraph.new_function("iris", kind="serving")
fn.set_topology("router")
fn.add_model("iris", class_name="mlrun.frameworks.sklearn.SKLearnModelServer", model_path="model.pkl")

with fn.to_mock_server() as server:
    print("models:", server.test("/v2/models/", method="GET")["models"])
    answer = server.test("/v2/models/iris/infer", {"inputs": [[5.1, 3.5, 1.4, 0.2], [7.7, 3.8, 6.7, 2.2]]})
    print("outputs:", answer["outputs"])
    print("unknown model:", server.test("/v2/models/rose/infer", {"inputs": []}, silent=True).status_code)
