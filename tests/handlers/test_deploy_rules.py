"""What several tellings of deploys come to, in whatever order and from whomever they arrive."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.deploys import rules
from handlers.deploys.kinds import Status

NOW = 1_790_000_000.0
SHA = "3f2c1ab90d4e5f60718293a4b5c6d7e8f9012345"


def deploy(**changes):
    row = {
        "version": "1.4.3", "image": "", "revision": "", "status": "started", "told_at": NOW - 60, "ended_at": None,
    }  # fmt: skip
    return SimpleNamespace(**(row | changes))


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("ghcr.io/example/docs-api:1.4.3", "1.4.3"),
        ("localhost:5000/docs-api", ""),
        ("localhost:5000/docs-api:v2", "v2"),
        (f"ghcr.io/example/docs-api@sha256:{'ab' * 32}", "abababababab"),
        (f"docs-api:1.4.3@sha256:{'ab' * 32}", "1.4.3"),
        ("docs-api", ""),
        ("", ""),
    ],
)
def test_an_image_names_its_version(image, tag):
    assert rules.tag_of(image) == tag


@pytest.mark.parametrize(
    ("mine", "yours", "alike"),
    [
        (["1.4.3"], ["v1.4.3"], True),
        (["1.4.3"], ["ghcr.io/example/docs-api:1.4.3"], True),
        (["1.4.3"], ["1.4.4"], False),
        ([SHA], [SHA[:7]], True),
        ([SHA], [f"main-{SHA[:8]}"], True),
        ([SHA], ["main-1111111"], None),  # a tag says nothing of a commit that is not in it
        ([SHA], ["1.4.3"], None),
        (["1.4.3", SHA], ["1.4.3"], True),
        (["latest"], [""], None),
        (["valid"], ["alid"], False),
    ],
)
def test_versions_are_compared_as_people_would(mine, yours, alike):
    assert rules.same(mine, yours) is alike
    assert rules.same(yours, mine) is alike


def test_a_rollout_that_is_seen_while_ci_deploys_belongs_to_it_though_a_commit_is_no_tag():
    assert rules.belongs(deploy(version=SHA[:12], revision=SHA), ["1.4.3"], NOW)
    assert not rules.belongs(deploy(version="1.4.2"), ["1.4.3"], NOW)
    done = deploy(version=SHA[:12], status="succeeded", ended_at=NOW - 30)
    assert rules.belongs(done, ["1.4.3"], NOW)
    assert not rules.belongs(done, ["1.4.3"], NOW + 3600)


def test_what_was_told_an_hour_ago_is_another_deploy_of_the_same_version():
    assert rules.belongs(deploy(), ["1.4.3"], NOW)
    assert not rules.belongs(deploy(told_at=NOW - 4000), ["1.4.3"], NOW)


@given(st.permutations([("started", 0.0), ("failed", 10.0), ("succeeded", 20.0)]))
def test_in_whatever_order_statuses_arrive_the_last_end_counts(told):
    status, at = told[0]
    for new, when in told[1:]:
        if rules.counts(status, at, new, when):
            status, at = new, when
    assert status == "succeeded"


@given(st.sampled_from(list(Status)), st.floats(0, 1e9))
def test_the_same_again_moves_nothing(status, at):
    assert not rules.counts(status, at, status, at)


def test_a_failure_counts_whoever_tells_it_and_the_cluster_knows_best_otherwise():
    every = list(itertools.product(["kubernetes", "github"], list(Status)))
    for (a, one), (b, other) in itertools.product(every, every):
        found = rules.overall([(a, one), (b, other)])
        if Status.FAILED in (one, other):
            assert found is Status.FAILED
    assert rules.overall([("github", "succeeded"), ("kubernetes", "started")]) is Status.STARTED
    assert rules.overall([("github", "started"), ("kubernetes", "succeeded")]) is Status.SUCCEEDED
    assert rules.overall([("github", "started"), ("webhook", "succeeded")]) is Status.STARTED


def test_a_clock_that_is_ahead_is_not_believed_and_one_that_is_behind_is():
    assert rules.believed(NOW + 3600, NOW) == NOW
    assert rules.believed(NOW + 5, NOW) == NOW
    assert rules.believed(NOW - 3600, NOW) == NOW - 3600
    assert rules.believed(None, NOW) == NOW
