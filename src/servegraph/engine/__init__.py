"""RUN: from a spec to a plan, and from an event to its answer."""
