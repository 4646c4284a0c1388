"""Feed a flow from a program: a result for each event, batches behind them, and what they come to at the end.

Prints:
    sensor a: 21.0 C
    sensor b: no reading
    more: [20.0, 22.5, 24.0]
    batches: [[21.0, 20.0], [22.5, 24.0]]
"""

from servegraph import storey


def celsius(reading):
    return {**reading, "celsius": round((reading["fahrenheit"] - 32) / 1.8, 1)}


def collect(batches, batch):
    return [*batches, batch]


flow = storey.build_flow(
    [
        storey.SyncEmitSource(key_field="sensor"),
        storey.Filter(lambda reading: reading["fahrenheit"] is not None),
        storey.Map(celsius),
        storey.Complete(),
        storey.Map(lambda reading: reading["celsius"]),
        storey.Batch(2, full_event=False),
        storey.Reduce([], collect),
    ]
)
controller = flow.run()
for sensor, fahrenheit in (("a", 69.8), ("b", None)):
    reading = controller.emit({"sensor": sensor, "fahrenheit": fahrenheit}).await_result(timeout=10)
    print(f"sensor {sensor}:", f"{reading['celsius']} C" if reading else "no reading")

results = [controller.emit({"sensor": "a", "fahrenheit": value}) for value in (68.0, 72.5, 75.2)]
print("more:", [result.await_result()["celsius"] for result in results])

controller.terminate()
print("batches:", controller.await_termination())
