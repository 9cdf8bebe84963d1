"""What goes wrong with OpenStack, in the words of the port: the message tells more than the code.

Blazar says *Not enough hosts available* with a 500, and its client says 500 (`error.code`) whatever it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from blazarclient.exception import BlazarClientException
from keystoneauth1 import exceptions as keystone
from openstack.exceptions import ConfigException
from requests import RequestException

from booking.adapters.base import Misconfigured, NotEnough, ProvisionerError, Unreachable

_LONGEST = 300
_SECRETIVE = re.compile(r"[A-Za-z0-9_\-+/=]{64,}")
"""Longer than any id: a token, or what somebody took for one."""
_WANTING = (
    "not enough hosts available",
    "doesn't allow to reduce/replace reserved instance slots",
)
"""The second is what an active lease answers that cannot keep its slots for the longer time."""
_BUSY = ("invalid lease status", "while it is in vm_state building", "while it is in task_state")
_UNSUITED = ("resource type is not supported", "conflicting reservation types", "blazardbnotfound")
"""Our settings ask for what this Blazar was not set up for: a plugin, or a property of hosts."""
_SETTINGS = (
    ConfigException,
    keystone.CatalogException,
    keystone.AuthPluginException,
    keystone.MissingAuthPlugin,
)
_REFUSED = (401, 403)
_INVALID = range(400, 500)
_LATER = (408, 425, 429)


class NotThere(ProvisionerError):
    """404: there is no such thing; whoever meets it knows what that means."""


class Busy(ProvisionerError):
    """It is in the middle of something else, and can be asked again in a moment."""


class Unsure(Unreachable):
    """No answer, or one that tells nothing: it may have been done or not. Look before doing it again."""


@contextmanager
def speaking(cloud: str, doing: str) -> Iterator[None]:
    """Translate what the client libraries raise inside.

    The original is not chained: it may hold the request, and that holds the token.

    :raises NotEnough, Misconfigured, NotThere, Unsure, ProvisionerError: as :func:`translated` says.
    """
    try:
        yield
    except (BlazarClientException, keystone.ClientException, ConfigException, RequestException) as error:
        found = translated(error, cloud, doing)
    except (AttributeError, KeyError, LookupError, TypeError, ValueError):
        found = Unsure(f"The cloud {cloud!r} answered what cannot be read while {doing}.")
    else:
        return
    raise found from None


def translated(error: Exception, cloud: str, doing: str) -> ProvisionerError:
    """The error of the port that means the same; it tells what Blazar said, and no token or password."""
    said = scrubbed(f"{error} {_body(error)}")
    if known := _by_message(said, cloud, doing):
        return known
    if isinstance(error, _SETTINGS) and not isinstance(error, keystone.ConnectFailure):
        return Misconfigured(f"The cloud {cloud!r} is not set up for this service: {type(error).__name__}.")
    return _by_code(_code(error), said, cloud, doing)


def scrubbed(text: str) -> str:
    """One short line without what may be a secret."""
    return _SECRETIVE.sub("…", " ".join(text.split()).removeprefix("ERROR: "))[:_LONGEST]


def _by_message(said: str, cloud: str, doing: str) -> ProvisionerError | None:
    lowered = said.lower()
    if any(words in lowered for words in _WANTING):
        return NotEnough(f"The cloud {cloud!r} has not enough hosts at that time.")
    if "quota exceeded" in lowered:
        return NotEnough(f"The quota of the project in the cloud {cloud!r} is used up: {said}")
    if any(words in lowered for words in _BUSY):
        return Busy(f"The cloud {cloud!r} is still at work on it, and refused while {doing}.")
    if any(words in lowered for words in _UNSUITED):
        return Misconfigured(f"The cloud {cloud!r} is not set up for what is asked of it: {said}")
    return None


def _by_code(code: int, said: str, cloud: str, doing: str) -> ProvisionerError:
    if code in _REFUSED:
        return Misconfigured(f"The cloud {cloud!r} does not let this service in ({code}) while {doing}.")
    if code == 404:
        return NotThere(f"The cloud {cloud!r} has no such thing while {doing}.")
    if code in _INVALID and code not in _LATER:
        return ProvisionerError(f"The cloud {cloud!r} refused while {doing}: {said}", transient=False)
    # A read that timed out is a ConnectTimeout for keystoneauth: not even that one means that nothing was sent.
    return Unsure(f"The cloud {cloud!r} did not answer, or failed ({code or 'no answer'}), while {doing}.")


def _body(error: Exception) -> str:
    """What the service wrote under its own word for the error, which keystoneauth does not read: Nova's `forbidden`."""
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else {}
        told = [part["message"] for part in body.values() if isinstance(part, dict) and "message" in part]
    except (AttributeError, TypeError, ValueError):
        return ""
    return str(told[0]) if told and str(told[0]) not in str(error) else ""


def _code(error: Exception) -> int:
    """The status of the answer; 0 if there was none."""
    if isinstance(error, BlazarClientException):
        return int(error.kwargs.get("code") or 0)
    if isinstance(error, keystone.HttpError):
        return int(error.http_status or 0)
    return 0
