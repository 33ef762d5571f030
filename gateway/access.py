"""Who may do what: API keys with a role each."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Mapping

from fastapi import Depends, Request

from gateway.problems import ProblemError
from recsys.errors import ConfigError
from streams.settings import Settings

GRANTS: Mapping[str, frozenset[str]] = {
    "shop": frozenset({"write"}),
    "reader": frozenset({"read"}),
    "admin": frozenset({"write", "read", "admin"}),
}
"""What each role of FRESHET_API_KEYS may do."""


class Keys:
    """The keys of the settings, as hashes, compared in constant time.

    Raises ConfigError when there are none and the gateway would listen beyond this machine.
    """

    def __init__(self, settings: Settings) -> None:
        self._roles = {_digest(key): role for role, _, key in (pair.partition(":") for pair in settings.api_keys)}
        if not self._roles and not _is_loopback(settings.host):
            raise ConfigError(
                f"FRESHET_HOST is {settings.host}, which others can reach, and FRESHET_API_KEYS is empty: "
                f"set keys (role:key, comma-separated), or listen on 127.0.0.1."
            )

    def check(self, request: Request, right: str) -> None:
        """Raise a 401 or 403 problem unless the request's key grants this right."""
        if not self._roles:
            return
        given = request.headers.get("x-api-key") or _bearer(request.headers.get("authorization", ""))
        if not given:
            raise ProblemError(401, "key-missing", "Send an API key as X-API-Key or as Authorization: Bearer.")
        digest = _digest(given)
        granted: frozenset[str] | None = None
        for known, role in self._roles.items():
            if hmac.compare_digest(known, digest):
                granted = GRANTS[role]
        if granted is None:
            raise ProblemError(401, "key-unknown", "This API key is not known here.")
        if right not in granted:
            raise ProblemError(403, "key-insufficient", f"This API key may not {right}.")


def may(right: str) -> Callable[[Request], None]:
    """A dependency that lets through who may `read`, `write` or `admin`."""

    def check(request: Request) -> None:
        request.app.state.gateway.keys.check(request, right)

    return check


READ, WRITE, ADMIN = (Depends(may(right)) for right in ("read", "write", "admin"))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
