"""What an image is by its name, and whether its registry holds a signature for it.

A signature object in the registry proves that somebody who may push there attached one to exactly this digest. Who that
was, and whether the signature is any good, is for admission to verify (policy-controller, Kyverno) before a pod starts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError

from runbooks.outward import Way

_REFERENCE = re.compile(
    r"(?P<host>[^/@]*[.:][^/@]*/|localhost/)?(?P<path>[a-z0-9][a-z0-9._/-]*)(?P<tag>:[\w][\w.-]*)?(?P<digest>@sha256:[0-9a-f]{64})?"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_SIGNATURE = re.compile(r"sigstore|cosign|notary.*signature|notaryproject", re.IGNORECASE)
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Image:
    """An image by its name; ``digest`` is sha256:… or empty when the name leaves it open."""

    host: str
    path: str
    tag: str
    digest: str


def image(name: str) -> Image:
    """The parts of an image's name. Raises ValueError for what is none."""
    found = _REFERENCE.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is no name of an image")
    host = (found["host"] or "docker.io/").removesuffix("/")
    path = found["path"]
    if host in ("docker.io", "index.docker.io"):
        host, path = "registry-1.docker.io", path if "/" in path else f"library/{path}"
    return Image(host, path, (found["tag"] or ":latest")[1:], (found["digest"] or "@")[1:])


def signature(way: Way, what: Image, login: str) -> str:
    """In words where the registry holds a signature of an image with a digest; empty when it holds none.

    ``login``: "user:password", or empty for anybody. Raises ValueError when the registry does not tell.
    """
    with way.session() as session:
        desk = _Desk(way, session, what, login)
        tag = what.digest.replace(":", "-") + ".sig"
        if desk.read(f"manifests/{tag}") is not None:
            return f"the tag {tag}"
        # Newer signatures refer to their image; where a registry has no list of them, a tag stands in for it.
        for place in (f"referrers/{what.digest}", f"manifests/{what.digest.replace(':', '-')}"):
            for row in (desk.read(place) or {}).get("manifests") or ():
                kind = str(row.get("artifactType") or "") if isinstance(row, dict) else ""
                if _SIGNATURE.search(kind):
                    return f"a referrer of type {kind}"
    return ""


class _Desk:
    """Reads of one repository of a registry, with a token fetched when it asks for one."""

    def __init__(self, way: Way, session: requests.Session, what: Image, login: str) -> None:
        self._way, self._session, self._what, self._login = way, session, what, login
        near = urlsplit(f"//{what.host}").hostname in ("localhost", "127.0.0.1", "::1")
        self._root = f"{'http' if near else 'https'}://{what.host}"
        self._token = ""

    def read(self, place: str) -> dict[str, Any] | None:
        """A document of the repository, None when there is none. Raises ValueError when the registry does not tell."""
        url = f"{self._root}/v2/{self._what.path}/{place}"
        status, headers, body = self._ask(url, self._headers())
        if status == 401 and not self._token:
            self._token = self._fetched(headers.get("www-authenticate", ""))
            status, headers, body = self._ask(url, self._headers())
        if status == 404:
            return None
        if status != 200:
            advice = "; give registry_login: a login that may read" if status in (401, 403) else ""
            raise ValueError(f"the registry {self._what.host} answered {status} for {place}{advice}")
        return body

    def _headers(self) -> dict[str, str]:
        return {"Accept": _MANIFESTS, **({"Authorization": self._token} if self._token else {})}

    def _fetched(self, challenge: str) -> str:
        """What the registry asks to be shown: the login, or a token that is given for it."""
        basic = HTTPBasicAuth(*self._login.split(":", 1)) if ":" in self._login else None
        if challenge.lower().startswith("basic"):
            blank = requests.Request("GET", self._root).prepare()
            return str(basic(blank).headers["Authorization"]) if basic else ""
        asked = dict(_CHALLENGE.findall(challenge))
        realm = asked.get("realm", "")
        if not realm.startswith(("https://", f"{self._root}/")):
            raise ValueError(
                f"the registry {self._what.host} sends us for a token to {realm or 'nowhere'}, which is not https"
            )
        parameters = {"service": asked.get("service", ""), "scope": f"repository:{self._what.path}:pull"}
        status, _, body = self._ask(realm, {}, params=parameters, auth=basic)
        token = str(body.get("token") or body.get("access_token") or "")
        if status != 200 or not token:
            raise ValueError(
                f"the registry {self._what.host} gives no token ({status}); give registry_login: a login that may read"
            )
        return f"Bearer {token}"

    def _ask(self, url: str, headers: dict[str, str], **more: Any) -> tuple[int, Any, dict[str, Any]]:
        try:
            with self._session.get(
                url, headers=headers, timeout=self._way.left, stream=True, allow_redirects=False, **more
            ) as answer:
                body = answer.raw.read(MAX_BODY, decode_content=True)
                status = answer.status_code
                said = answer.headers
        except (requests.exceptions.RequestException, HTTPError, OSError) as problem:
            why = "did not answer in time" if self._way.over else f"cannot be asked: {problem}"
            raise ValueError(f"the registry {self._what.host} {why}") from problem
        return status, said, _json(body)


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
