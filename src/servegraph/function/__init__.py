"""COMPOSE: a function is a graph with its code, packages and settings, and the ways to run it."""

from servegraph.function.create import code_to_function, import_function, new_function
from servegraph.function.serving_function import ServingFunction, asgi

__all__ = ["ServingFunction", "asgi", "code_to_function", "import_function", "new_function"]
