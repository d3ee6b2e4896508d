"""What is asked for a burn's message, and how it is drawn."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.slo import chart, meaning
from handlers.slo.chart import Line, Threshold
from handlers.slo.kinds import Slo

RATE = 'rate(http_requests_total{code=~"5..",path!=")"}[{{window}}])'


@pytest.mark.parametrize(
    ("query", "inside"),
    [
        ("sum(rate(x[5m]))", "rate(x[5m])"),
        (" sum by (a, b) ( rate(x[5m]) ) ", " rate(x[5m]) "),
        ("sum without (pod) (rate(x[5m]))", "rate(x[5m])"),
        ('sum(rate(x{a=")"}[5m]))', 'rate(x{a=")"}[5m])'),
        ("sum(rate(x[5m])) - sum(rate(y[5m]))", "sum(rate(x[5m])) - sum(rate(y[5m]))"),
        ("rate(x[5m])", "rate(x[5m])"),
        ("sum(rate(x[5m])) by (job)", "sum(rate(x[5m])) by (job)"),
        ("summer(x)", "summer(x)"),
        ("sum(", "sum("),
    ],
)
def test_a_sum_around_the_whole_query_hides_the_labels_and_is_taken_off(query: str, inside: str):
    assert meaning.bare(query) == inside


def test_what_contributes_most_is_asked_by_its_labels_in_events():
    slo = Slo(service="s", objective=99.9, bad=f"sum({RATE})", total=f"sum({RATE})", by=["handler", "pod"])
    assert meaning.by_label(slo, 300) == f"sum by (handler, pod) ({RATE.replace('{{window}}', '5m')}) * 300"
    good = Slo(
        service="s",
        objective=99.9,
        good="sum(increase(g[{{window}}]))",
        total="sum(increase(t[{{window}}]))",
        by=["pod"],
    )
    total = "sum by (pod) (increase(t[1h]))"
    assert meaning.by_label(good, 3600) == f"({total} - (sum by (pod) (increase(g[1h])) or 0 * {total}))"


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e5)), max_size=50), st.floats(0, 1e5))
@settings(max_examples=20)
def test_whatever_burned_it_can_be_drawn(burns, other):
    points = [(float(n), burn) for n, burn in enumerate(burns)]
    lines = [Line("over 5m", points), Line("over 1h", [(0.0, other)])]
    image = chart.draw(lines, [Threshold("page", 14.4), Threshold("ticket", 1)], title="docs", since=0, until=49)
    assert Image.open(io.BytesIO(image)).size == (chart.WIDTH, chart.HEIGHT)
