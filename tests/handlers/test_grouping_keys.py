"""Which alerts are one incident: templates that are refused, and keys that never put together what is apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.catalogue import Policy, Service, misfits
from handlers.incidents import grouping, rules

CONSTANT = ("service", "env")
values = st.text(min_size=1, max_size=300)
labels = st.fixed_dictionaries({"alertname": values}, optional={"slo": values})


def key(template, labels, service="docs-api", environment="prod", fingerprint="aa"):
    return grouping.key_of(template, labels, service=service, environment=environment, fingerprint=fingerprint)


def faults(template):
    return " ".join(grouping.faults(template, constant=CONSTANT))


@given(labels, values, values)
def test_the_keys_of_the_template_that_is_not_written_are_those_of_before(some, service, environment):
    def part(text):
        text = text if len(text) <= 100 else f"{text[:100]}~{rules.incident_uid(text)}"
        return text.replace("%", "%25").replace("/", "%2F")

    before = "/".join(part(one) for one in (environment, service, some.get("slo") or some["alertname"]))
    assert key(grouping.DEFAULT, some, service, environment) == grouping.Key(before)
    assert Policy().group_by == grouping.DEFAULT


@given(labels, values, values, values)
def test_another_environment_or_service_is_another_incident(some, service, one, two):
    a, b, c = (key(grouping.DEFAULT, some, *at).text for at in ((service, one), (service, two), (one, service)))
    assert (a == b) == (one == two)
    assert (a == c) == (one == service)


@given(st.text(min_size=1, max_size=12_000), st.text(min_size=1, max_size=12_000))
def test_a_key_is_short_and_still_tells_long_names_apart(one, two):
    full = "{service}/{a|b}/x/{c}/{alertname}"
    made = [key(full, dict.fromkeys(("a", "c", "alertname"), name), name, name).text for name in (one, two)]
    assert max(len(text.encode("utf-8", "surrogatepass")) for text in made) < 2600, "an index row takes 2700 bytes"
    assert (made[0] == made[1]) == (one == two)


@given(st.lists(values, min_size=2, max_size=2), st.lists(values, min_size=2, max_size=2))
def test_parts_never_run_into_one_another(one, two):
    """Slashes, percent signs and newlines in labels make no other key look like this one."""
    made = [key("{service}/{a}/{b}", {"a": a, "b": b, "alertname": "x"}).text for a, b in (one, two)]
    assert (made[0] == made[1]) == (one == two)


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), values), st.dictionaries(st.sampled_from(["a", "b"]), values), values
)
def test_an_alert_with_an_empty_part_is_one_with_nothing_else(one, two, name):
    some = [
        key("{service}/{a}/{b}", given | {"alertname": name}, fingerprint=f) for given, f in ((one, "1"), (two, "2"))
    ]
    for held, made in zip((one, two), some, strict=True):
        assert made.missing == next((part for part in ("a", "b") if not held.get(part)), "")
    if some[0].missing or some[1].missing:
        assert some[0].text != some[1].text
    again = key("{service}/{a}/{b}", one | {"alertname": name}, fingerprint="1")
    assert again == some[0], "when it fires again it is known again"


def test_the_fast_and_the_slow_burn_of_one_slo_are_one_incident():
    fast, slow = ({"alertname": f"SLOBurn{kind}", "slo": "availability"} for kind in ("Fast", "Slow"))
    assert key(grouping.DEFAULT, fast) == key(grouping.DEFAULT, slow)


def test_what_cannot_be_measured_is_an_incident_beside_what_burns():
    burn = key(grouping.DEFAULT, {"alertname": "Burn", "slo": "availability"})
    for name in ("DatasourceNoData", "DatasourceError", "SLODataMissing"):
        blind = key(grouping.DEFAULT, {"alertname": name, "rulename": "Burn", "slo": "availability"})
        assert blind.text == grouping.blind_key(burn.text) != burn.text
        assert grouping.seen_key(blind.text) == burn.text
    one, two = (
        key(grouping.DEFAULT, {"alertname": "DatasourceNoData", "rulename": name}).text
        for name in ("Latency", "Errors")
    )
    assert one != two, "no data for two rules is two problems"
    assert grouping.seen_key(one) == key(grouping.DEFAULT, {"alertname": "Latency"}).text
    assert grouping.seen_key(burn.text) == ""


@given(values)
def test_no_label_makes_a_key_that_says_it_cannot_be_measured(value):
    made = key("{service}/{a}", {"a": value, "alertname": "x"}).text
    assert grouping.seen_key(made) == ""
    assert grouping.ALONE not in made.split("/")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "'' is no part of a template"),
        ("{service}/{slo", "'{slo' is no part"),
        ("{service}/{{slo}}", "is no part"),
        ("{service}/{slo}-{pod}", "with '/' between them"),
        ("{service}/{slo|}", "is no part"),
        ("{service}//{slo}", "'' is no part"),
        ("{service}/%data", "is no part"),
        ("$labels.slo", "is no part"),
        ("{a}/{b}/{c}/{d}/{e}/{f}", "at most 5 are taken"),
    ],
)
def test_a_template_of_another_form_is_refused(template, said):
    with pytest.raises(ValueError, match="part") as caught:
        Policy(group_by=template)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{service}", "all of them would be one incident"),
        ("{service}/everything", "all of them would be one incident"),
        ("{service}/{env}", "all of them would be one incident"),
        ("{alertname}", "must begin with {service}"),
        ("{alertname}/{service}", "must begin with {service}"),
        ("{service}/{alertname}/{severity}", "a ticket that becomes a page would be a second incident"),
        ("{service}/{slo|alertname}", ""),
        ("{service}/{cluster}/{alertname}", ""),
    ],
)
def test_a_template_that_merges_or_tears_apart_is_refused(template, said):
    assert said in faults(template)
    assert bool(faults(template)) == bool(said)


def test_the_template_of_a_service_is_judged_too():
    services = {"docs-api": Service(channel="#d", group_by="{service}/{app}"), "gateway": Service(channel="#g")}
    found = list(misfits(Policy(service_label="app"), services, (), pager=True, tracker=True))
    assert [place for place, _ in found] == [("services", "docs-api", "group_by")]


def test_any_text_is_read_or_refused_with_a_sentence():
    @given(st.text(alphabet="{}|/abc$%\n ", max_size=30))
    def read(text):
        try:
            grouping.parse(text)
        except ValueError as e:
            assert "part" in str(e)

    read()
