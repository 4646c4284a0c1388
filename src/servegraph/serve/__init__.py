"""ANSWER: one server, and the doors to it."""
