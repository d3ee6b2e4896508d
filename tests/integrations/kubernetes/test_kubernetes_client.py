"""The bot's client against the stand-in: what it gives, how long it waits, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import yaml

from bot.errors import GiveUp, Retry
from bot.integrations.kubernetes import KubernetesSettings, ObjectRef
from bot.integrations.kubernetes.client import KubernetesClient
from bot.standin import serve

MTLS = ObjectRef("security.istio.io/v1beta1", "peerauthentications", "mesh-mtls", "prod")
GATEWAY = ObjectRef("apps/v1", "deployments", "gateway", "prod")


def mode(name):
    return {"kind": "PeerAuthentication", "spec": {"mtls": {"mode": name}}}


def test_ping_gives_the_version_in_one_call(bot_client, calls):
    assert bot_client.ping() == "v1.36.2"
    assert [call.path for call in calls.calls] == ["/version"]


def test_get_is_one_call_for_built_in_and_custom_kinds(bot_client, calls):
    bot_client.apply(MTLS, mode("STRICT"))
    calls.calls.clear()
    assert bot_client.get(GATEWAY)["spec"]["replicas"] == 2
    assert bot_client.get(MTLS)["spec"] == {"mtls": {"mode": "STRICT"}}
    assert bot_client.get(ObjectRef("v1", "namespaces", "prod"))["kind"] == "Namespace"
    assert [call.path for call in calls.calls] == [
        "/apis/apps/v1/namespaces/prod/deployments/gateway",
        "/apis/security.istio.io/v1beta1/namespaces/prod/peerauthentications/mesh-mtls",
        "/api/v1/namespaces/prod",
    ]


def test_what_does_not_exist_is_none(bot_client):
    assert bot_client.get(MTLS) is None
    assert bot_client.get(ObjectRef("v1", "configmaps", "x", "nowhere")) is None


def test_a_kind_that_is_not_installed_is_no_none(bot_client):
    with pytest.raises(GiveUp, match="install its kind"):
        bot_client.get(ObjectRef("example.org/v1", "flags", "x", "prod"))


def test_apply_creates_then_changes_and_gives_the_object_each_time(bot_client, calls):
    first = bot_client.apply(MTLS, mode("PERMISSIVE"))
    assert first["spec"] == {"mtls": {"mode": "PERMISSIVE"}}
    assert first["metadata"]["generation"] == 1
    second = bot_client.apply(MTLS, mode("STRICT"))
    assert second["spec"] == {"mtls": {"mode": "STRICT"}}
    assert second["metadata"]["generation"] == 2
    assert [(m["manager"], m["operation"]) for m in second["metadata"]["managedFields"]] == [
        ("release-captain", "Apply")
    ]
    assert [call.method for call in calls.calls] == ["PATCH", "PATCH"]


def test_applying_the_same_again_changes_nothing(bot_client):
    first = bot_client.apply(MTLS, mode("STRICT"))
    assert bot_client.apply(MTLS, mode("STRICT")) == first


def test_another_managers_field_is_a_conflict_unless_forced(bot_client, cluster):
    cluster.put(
        {"apiVersion": MTLS.api_version, "metadata": {"name": "mesh-mtls", "namespace": "prod"}, **mode("UNSET")}
    )
    with pytest.raises(GiveUp, match=r'conflict with "seed" using .*: .spec.mtls.mode; agree with that manager'):
        bot_client.apply(MTLS, mode("STRICT"))
    assert bot_client.get(MTLS)["spec"]["mtls"]["mode"] == "UNSET"
    assert bot_client.apply(MTLS, mode("STRICT"), force=True)["spec"]["mtls"]["mode"] == "STRICT"


def test_a_stale_version_is_refused_and_the_next_try_reads_again(bot_client):
    first = bot_client.apply(MTLS, mode("STRICT"))
    bot_client.apply(MTLS, mode("DISABLE"))
    stale = {**mode("UNSET"), "metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}}
    with pytest.raises(Retry, match="did not happen: .*has been modified") as caught:
        bot_client.apply(MTLS, stale)
    assert not caught.value.unknown
    assert bot_client.get(MTLS)["spec"]["mtls"]["mode"] == "DISABLE"


def test_an_object_named_by_its_uid_is_not_made_anew(bot_client):
    body = {"kind": "ConfigMap", "metadata": {"uid": "0b5c"}, "data": {"a": "1"}}
    with pytest.raises(Retry, match="uid mismatch"):
        bot_client.apply(ObjectRef("v1", "configmaps", "gone", "prod"), body)
    assert bot_client.get(ObjectRef("v1", "configmaps", "gone", "prod")) is None


def test_two_parts_of_one_object_do_not_take_away_each_others_keys(bot_client):
    ref = ObjectRef("v1", "configmaps", "flags", "prod")
    bot_client.apply(ref, {"kind": "ConfigMap", "data": {"a": "1"}}, part="a")
    bot_client.apply(ref, {"kind": "ConfigMap", "data": {"b": "2"}}, part="b")
    assert bot_client.apply(ref, {"kind": "ConfigMap"}, part="a")["data"] == {"b": "2"}
    assert [m["manager"] for m in bot_client.get(ref)["metadata"]["managedFields"]] == ["release-captain-b"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (mode("STRICTT"), "Unsupported value"),
        ({"kind": "PeerAuthentication", "spec": {"mtlz": {}}}, "field not declared in schema"),
    ],
)
def test_what_the_schema_refuses_is_said(bot_client, body, said):
    with pytest.raises(GiveUp, match=said):
        bot_client.apply(MTLS, body)
    assert bot_client.get(MTLS) is None


def test_a_namespace_that_is_missing_is_said(bot_client):
    with pytest.raises(GiveUp, match='namespaces "nowhere" not found.*create its namespace'):
        bot_client.apply(ObjectRef(MTLS.api_version, MTLS.plural, "x", "nowhere"), mode("STRICT"))


def kubeconfig(tmp_path, url, token):
    cluster = {"name": "c", "cluster": {"server": url}}
    user = {"name": "u", "user": {"token": token}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({"clusters": [cluster], "users": [user], "contexts": [context]}))
    return KubernetesSettings(kubeconfig=str(file), context="x", timeout=2)


def test_a_kubeconfigs_token_is_used_and_what_it_may_not_is_said(cluster, tmp_path, url):
    cluster.add_token("t", "bot")
    made = KubernetesClient(kubeconfig(tmp_path, url, "t"))
    assert made.ping() == "v1.36.2"
    with pytest.raises(GiveUp, match='User "bot" cannot get resource.*grant the bot'):
        made.get(GATEWAY)
    made.close()


def test_an_unknown_token_is_said(cluster, tmp_path, url):
    made = KubernetesClient(kubeconfig(tmp_path, url, "nobody's"))
    with pytest.raises(GiveUp, match=r"\(401\).*renew the token"):
        made.ping()
    made.close()


@pytest.mark.parametrize(
    "settings",
    [
        KubernetesSettings(kubeconfig="/nowhere/kubeconfig"),
        KubernetesSettings(),
    ],
)
def test_without_a_way_to_connect_it_says_what_to_set(settings):
    with pytest.raises(GiveUp, match=r"set kubernetes\.url or kubernetes\.kubeconfig"):
        KubernetesClient(settings)


def test_a_server_that_hangs_leaves_the_outcome_unknown_in_time(cluster, url):
    made = KubernetesClient(KubernetesSettings(url=url, timeout=0.4))
    cluster.faults.breaks("hang")
    began = time.monotonic()
    with pytest.raises(Retry) as caught:
        made.apply(MTLS, mode("STRICT"))
    took = time.monotonic() - began
    cluster.faults.mend()
    made.close()
    assert caught.value.unknown
    assert 0.3 < took < 2


def test_a_read_that_hangs_has_changed_nothing(cluster, url):
    made = KubernetesClient(KubernetesSettings(url=url, timeout=0.3))
    cluster.faults.breaks("hang")
    with pytest.raises(Retry) as caught:
        made.get(MTLS)
    cluster.faults.mend()
    made.close()
    assert not caught.value.unknown


def test_a_connection_lost_after_the_apply_is_unknown_and_was_applied_once(bot_client, cluster, calls):
    cluster.faults.breaks("reset", times=1)
    with pytest.raises(Retry) as caught:
        bot_client.apply(MTLS, mode("STRICT"))
    assert caught.value.unknown
    assert [call.fault for call in calls.calls] == ["reset"]
    assert bot_client.get(MTLS)["spec"]["mtls"]["mode"] == "STRICT"


@pytest.mark.parametrize(
    ("fault", "after", "unknown"), [("429", 7.0, False), ("503", None, False), ("500", None, True)]
)
def test_a_server_that_is_busy_or_broken_is_asked_once(bot_client, cluster, calls, fault, after, unknown):
    cluster.faults.breaks(fault, retry_after=7)
    with pytest.raises(Retry) as caught:
        bot_client.apply(MTLS, mode("STRICT"))
    assert (caught.value.after, caught.value.unknown) == (after, unknown)
    assert len(calls.calls) == 1


def test_an_answer_that_drips_is_given_up_in_time():
    async def drip(scope, receive, send):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.1)

    served = serve(drip)
    made = KubernetesClient(KubernetesSettings(url=served.url, timeout=0.4))
    began = time.monotonic()
    with pytest.raises(Retry) as caught:
        made.apply(MTLS, mode("STRICT"))
    assert time.monotonic() - began < 2
    assert caught.value.unknown
    made.close()
    served.stop()


def test_nobody_there_has_not_acted():
    made = KubernetesClient(KubernetesSettings(url="http://127.0.0.1:9", timeout=1))
    with pytest.raises(Retry, match="cannot be reached|did not answer") as caught:
        made.apply(MTLS, mode("STRICT"))
    made.close()
    assert not caught.value.unknown


def test_many_threads_share_one_client(bot_client):
    found, wrongs = [], []

    def work(i):
        ref = ObjectRef("v1", "configmaps", f"flag-{i}", "prod")
        try:
            bot_client.apply(ref, {"kind": "ConfigMap", "data": {"i": str(i)}})
            found.append((i, bot_client.get(ref)["data"]["i"]))
        except Exception as wrong:  # noqa: BLE001 - told by the main thread
            wrongs.append(wrong)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not wrongs
    assert sorted(found) == [(i, str(i)) for i in range(16)]
