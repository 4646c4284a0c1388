"""The Mermaid text of any graph keeps to Mermaid's grammar, whatever the names."""

import re

from hypothesis import given
from tests.graph.draw.graphs import CHAIN, LOOP, PARTS, RESCUED, ROUTER, specs

from servegraph.graph.draw import plot
from servegraph.graph.spec import FlowSpec, TaskSpec

LABEL = r'"(?:[\w\ \-.,:/()…]|\#\d+;|<br/>)*"'
LINE = re.compile(
    rf"""flowchart\ (LR|TB)
    |\s*subgraph\ \w+\[{LABEL}\] | \s*direction\ TB | \s*end
    |\s*n\d+(_\d+)?(\[|\(\[|\[\()({LABEL})(\]|\]\)|\)\])
    |\s*n\d+\ (-->|-\.->)\ n\d+
    |\s*(classDef\ \w+|class\ [n\d,]+|linkStyle\ [\d,]+)\ .*""",
    re.VERBOSE,
)


@given(spec=specs())
def test_any_graph_keeps_to_the_grammar(spec):
    lines = plot(spec).mermaid.splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    opened = sum(line.lstrip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines)


def test_a_chain_reads_as_it_runs():
    assert plot(CHAIN).mermaid.splitlines()[:8] == [
        "flowchart LR",
        '  n0(["event"])',
        '  n1["enrich<br/>storey.Extend"]',
        '  n2["predict<br/>Predict.run"]',
        '  n3["post<br/>(event #43; 1)"]',
        '  n4(["answer"])',
        "  n0 --> n1",
        "  n1 --> n2",
    ]


def test_names_are_escaped():
    text = plot(FlowSpec(steps={'<b>&"`#;': TaskSpec(handler="end")})).mermaid
    assert "#60;b#62;#38;#34;#96;#35;#59;" in text


def test_routers_functions_and_queues_have_their_shapes():
    router, parts = plot(ROUTER).mermaid, plot(PARTS).mermaid
    assert 'subgraph n1["router<br/>mlrun.serving.ModelRouter"]' in router and 'n1_0["m1<br/>' in router
    assert 'subgraph f0["function nlp"]' in parts and '[("to_nlp<br/>kafka://broker:9092/nlp")]' in parts


def test_error_arrows_are_dashed_and_red_and_cycles_coloured():
    assert "n1 -.-> n4" in plot(RESCUED).mermaid and "stroke:#d92d20" in plot(RESCUED).mermaid
    assert re.search(r"linkStyle \d+,\d+ stroke:#8b5cf6", plot(LOOP).mermaid)


def test_rankdir_is_the_direction():
    assert plot(CHAIN, rankdir="TB").mermaid.startswith("flowchart TB")
