"""A scene as Mermaid text, for Markdown pages that draw it themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from servegraph.graph.draw.frames import functions_of
from servegraph.graph.draw.scene import Arrow, Box, Scene
from servegraph.graph.draw.shapes import Direction

_BRACKETS: Final = {
    "event": ("([", "])"),
    "answer": ("([", "])"),
    "failure": ("([", "])"),
    "queue": ("[(", ")]"),
    "task": ("[", "]"),
    "router": ("[", "]"),
    "handler": ("[", "]"),
}
_CLASSES: Final = (
    "classDef event fill:#2c3a50,stroke:#2c3a50,color:#ffffff",
    "classDef answer fill:#0f8a4d,stroke:#0f8a4d,color:#ffffff",
    "classDef responder stroke:#0f8a4d,stroke-width:2px",
    "classDef router fill:#f6f3ff,stroke:#c8b8f5,color:#111c2e",
    "classDef queue fill:#fff7e6,stroke:#e5bf6f,color:#111c2e",
    "classDef handler fill:#fff3f1,stroke:#f0b1aa,color:#111c2e",
    "classDef failure fill:#fff3f1,stroke:#d92d20,color:#d92d20,stroke-dasharray:5 4",
)


def mermaid_of(scene: Scene, direction: Direction) -> str:
    """Return the picture as a Mermaid flowchart."""
    return "\n".join(_lines(scene, direction)) + "\n"


def _lines(scene: Scene, direction: Direction) -> Iterator[str]:
    yield f"flowchart {direction}"
    for number, box in enumerate(scene.boxes):
        if not box.function:
            yield from _box(number, box, "  ")
    for number, function in enumerate(functions_of(scene)):
        yield f'  subgraph f{number}["function {_escaped(function)}"]'
        for member, box in enumerate(scene.boxes):
            if box.function == function:
                yield from _box(member, box, "    ")
        yield "  end"
    for arrow in scene.arrows:
        yield f"  n{arrow.tail} {'-.->' if arrow.kind == 'error' else '-->'} n{arrow.head}"
    used = {box.kind for box in scene.boxes} | {"responder" for box in scene.boxes if box.responder}
    for rule in _CLASSES:
        if rule.split()[1] in used:
            yield f"  {rule}"
    yield from _classes(scene)
    yield from _line_style(scene.arrows, "error", "stroke:#d92d20")
    yield from _line_style(scene.arrows, "back", "stroke:#8b5cf6")


def _classes(scene: Scene) -> Iterator[str]:
    for kind in ("event", "answer", "failure", "router", "queue", "handler"):
        members = [f"n{number}" for number, box in enumerate(scene.boxes) if box.kind == kind]
        if members:
            yield f"  class {','.join(members)} {kind}"
    responders = [f"n{number}" for number, box in enumerate(scene.boxes) if box.responder]
    if responders:
        yield f"  class {','.join(responders)} responder"


def _line_style(arrows: Sequence[Arrow], kind: str, style: str) -> Iterator[str]:
    numbers = [str(number) for number, arrow in enumerate(arrows) if arrow.kind == kind]
    if numbers:
        yield f"  linkStyle {','.join(numbers)} {style}"


def _box(number: int, box: Box, indent: str) -> Iterator[str]:
    if box.routes:
        yield f'{indent}subgraph n{number}["{_label(box)}"]'
        yield f"{indent}  direction TB"
        for place, route in enumerate(box.routes):
            yield f'{indent}  n{number}_{place}["{_label(route)}"]'
        yield f"{indent}end"
    else:
        opening, closing = _BRACKETS[box.kind]
        yield f'{indent}n{number}{opening}"{_label(box)}"{closing}'


def _label(box: Box) -> str:
    title = _escaped(box.title) or " "
    return f"{title}<br/>{_escaped(box.detail)}" if box.detail else title


def _escaped(text: str) -> str:
    """Return text with everything but letters, digits and plain punctuation as Mermaid's ``#number;``."""
    return re.sub(r"[^\w \-.,:/()…]", lambda found: f"#{ord(found[0])};", text)
