"""What graphs are built of, under the names users import: ``servegraph.serving.V2ModelServer`` and its kin."""

from typing import Final

from servegraph import models, routers, steps
from servegraph.lazy import face

_PREFIX: Final = "servegraph.serving."
_NAMES: Final = {
    name.removeprefix(_PREFIX): where
    for name, where in {**steps.NAMES, **models.NAMES, **routers.NAMES}.items()
    if name.startswith(_PREFIX)
}

__all__ = sorted(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)
