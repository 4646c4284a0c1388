"""servegraph."""
