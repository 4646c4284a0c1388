"""Steps of the library: check, fill in and encode features, remember by key, drop what is not wanted.

Prints:
    {'age': 30, 'sex_f': 1, 'sex_m': 0, 'visit': 1}
    {'age': 30.0, 'sex_f': 0, 'sex_m': 1, 'visit': 1}
    {'age': 30.0, 'sex_f': 1, 'sex_m': 0, 'visit': 2}
    None
    (400) 'age' is -1, below 0
"""

import servegraph

STEPS = "mlrun.feature_store.steps"


def count_visits(body, state):
    visit = state.get("visits", 0) + 1
    return {**body, "visit": visit}, {"visits": visit}


fn = servegraph.new_function("visits", kind="serving")
graph = fn.set_topology("flow")
graph.to("storey.Filter", "people", _fn="(not event.get('bot'))").to(
    f"{STEPS}.FeaturesetValidator", "check", rules={"age": {"type": "int", "min": 0}}
).to(f"{STEPS}.Imputer", "fill", method="avg").to(f"{STEPS}.OneHotEncoder", "encode", mapping={"sex": ["f", "m"]}).to(
    f"{STEPS}.SetEventMetadata", "by-name", key_path="name"
).to("storey.MapWithState", "count", initial_state={}, fn=count_visits, group_by_key=True).to(
    "storey.DropColumns", "anonymous", columns="name"
).respond()

with fn.to_mock_server() as server:
    print(server.test(body={"name": "ann", "age": 30, "sex": "f"}))
    print(server.test(body={"name": "bob", "age": None, "sex": "m"}))
    print(server.test(body={"name": "ann", "age": None, "sex": "f"}))
    print(server.test(body={"name": "spider", "bot": True}))
    refused = server.test(body={"name": "eve", "age": -1, "sex": "f"}, silent=True)
    print(f"({refused.status_code}) {refused.body['error']}")
