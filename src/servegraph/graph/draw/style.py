"""The colours and letters of a picture, on light and on dark screens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Theme: TypeAlias = Literal["auto", "light", "dark"]

_LIGHT: Final = {
    "paper": "#fbfcfe", "rim": "#e3e8ef", "box": "#ffffff", "edge": "#c9d2de", "ink": "#111c2e", "soft": "#5b6a80",
    "arrow": "#7b899d", "task": "#3b82f6", "router": "#8b5cf6", "shell": "#f6f3ff", "shelledge": "#c8b8f5",
    "tank": "#fff7e6", "tankedge": "#e5bf6f", "error": "#d92d20", "alarm": "#fff3f1", "alarmedge": "#f0b1aa",
    "answer": "#0f8a4d", "mark": "#2c3a50", "markink": "#ffffff",
    "p0": "#0e8c98", "p1": "#c2528b", "p2": "#64841c", "p3": "#b9622a", "p4": "#5166c9", "p5": "#8a6d5a",
}  # fmt: skip
_DARK: Final = {
    "paper": "#131a24", "rim": "#273142", "box": "#1f2937", "edge": "#46546a", "ink": "#f1f5fa", "soft": "#a3b1c6",
    "arrow": "#8494aa", "task": "#60a5fa", "router": "#a78bfa", "shell": "#231f38", "shelledge": "#5f51a0",
    "tank": "#2e2716", "tankedge": "#80642a", "error": "#ff7b6e", "alarm": "#331d1e", "alarmedge": "#8a4540",
    "answer": "#2fbf7b", "mark": "#dfe6f0", "markink": "#131a24",
    "p0": "#3cc4d0", "p1": "#ec84b8", "p2": "#a9cc57", "p3": "#ec9a63", "p4": "#8fa1f5", "p5": "#c9a994",
}  # fmt: skip
PARTS: Final = 6
"""How many colours functions have; more functions than that begin again with the first."""

# Every rule begins with .sg: a picture inside a notebook shares its style sheet with the page.
_RULES: Final = (
    ("text", "font-family:Roboto,Inter,'Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif;fill:$ink"),
    (".b", "font-weight:600"),
    (".soft", "fill:$soft"),
    (".mid", "text-anchor:middle"),
    (".paper", "fill:$paper;stroke:$rim"),
    (".body,.sg .cell", "fill:$box;stroke:$edge"),
    (".bar", "fill:$task"),
    (".router>.body", "fill:$shell;stroke:$shelledge"),
    (".router>.bar", "fill:$router"),
    (".queue>.body", "fill:$tank;stroke:$tankedge"),
    (".lid", "fill:none;stroke:$tankedge"),
    (".handler>.body", "fill:$alarm;stroke:$alarmedge"),
    (".handler>.bar", "fill:$error"),
    (".respond>.body", "stroke:$answer;stroke-width:1.8"),
    (".event>.body", "fill:$mark;stroke:none"),
    (".answer>.body", "fill:$answer;stroke:none"),
    (".event>text,.sg .answer>text", "fill:$markink"),
    (".failure>.body", "fill:$paper;stroke:$error;stroke-dasharray:5 4"),
    (".failure>text", "fill:$error"),
    (".wire", "fill:none;stroke:$arrow;stroke-width:1.6"),
    (".tip", "fill:$arrow"),
    (".to-answer>.wire", "stroke:$answer"),
    (".to-answer>.tip", "fill:$answer"),
    (".error>.wire", "stroke:$error;stroke-dasharray:5 4"),
    (".error>.tip", "fill:$error"),
    (".back>.wire", "stroke:$router"),
    (".back>.tip", "fill:$router"),
    (".part", "stroke-dasharray:3 3;fill-opacity:.08;stroke-opacity:.75"),
    (".name", "stroke:$paper;stroke-width:4;stroke-linejoin:round;paint-order:stroke"),
    *((f".bar.p{n},.sg .part.p{n},.sg .name.p{n}", f"fill:$p{n}") for n in range(PARTS)),
    *((f".part.p{n}", f"stroke:$p{n}") for n in range(PARTS)),
)
_DARK_PAGES: Final = 'body[data-jp-theme-light="false"] .sg,body.vscode-dark .sg,html[data-theme="dark"] .sg'


def css(theme: Theme) -> str:
    """Return the style sheet of a picture: one theme, or light with dark where the screen or the notebook is dark."""
    if theme == "light":
        return _sheet(_LIGHT)
    if theme == "dark":
        return _sheet(_DARK)
    dark = _variables(_DARK)
    return (
        f".sg{{{_variables(_LIGHT)}}}@media(prefers-color-scheme:dark){{.sg{{{dark}}}}}"
        f"{_DARK_PAGES}{{{dark}}}" + _sheet({name: f"var(--sg-{name})" for name in _LIGHT})
    )


def _variables(colours: Mapping[str, str]) -> str:
    return ";".join(f"--sg-{name}:{colour}" for name, colour in colours.items())


def _sheet(colours: Mapping[str, str]) -> str:
    return "".join(f".sg {where}{{{_coloured(rule, colours)}}}" for where, rule in _RULES)


def _coloured(rule: str, colours: Mapping[str, str]) -> str:
    # Viewers that know no variables skip such a declaration, so the plain colour goes before it.
    parts = []
    for declaration in rule.split(";"):
        name, dollar, colour = declaration.partition(":$")
        if not dollar:
            parts.append(declaration)
            continue
        if colours[colour].startswith("var("):
            parts.append(f"{name}:{_LIGHT[colour]}")
        parts.append(f"{name}:{colours[colour]}")
    return ";".join(parts)
