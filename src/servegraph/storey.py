"""The step library and the streaming API under the names users import: ``servegraph.storey.Extend`` and its kin."""

from typing import Final

from servegraph import pipeline, steps
from servegraph.lazy import face

_PREFIX: Final = "servegraph.storey."
_NAMES: Final = {
    name.removeprefix(_PREFIX): where
    for name, where in {**steps.NAMES, **pipeline.NAMES}.items()
    if name.startswith(_PREFIX)
}

__all__ = sorted(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
