"""What is seen of a cluster from outside: its files, its guardian, and whether it answers."""

from __future__ import annotations

import http.client
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from booking.adapters.base import ClusterState, Endpoint, Observed
from booking.adapters.local import processes
from booking.adapters.local.parts import Probe
from booking.adapters.local.processes import Identity
from booking.adapters.local.workspace import Workspace

_ANSWER_SECONDS = 0.8
_ANSWER_BYTES = 1024 * 1024
_UNANSWERED = timedelta(seconds=60)
"""A cluster that was ready and has not answered for so long is lost; sooner it is only slow."""
_MODULE = "booking.adapters.local.guardian"


def guardians(workspace: Workspace) -> list[Identity]:
    """The living processes that guard this cluster, as its file says or, without it, as their arguments say."""
    known = workspace.guardian()
    if known is not None:
        return [known] if known.is_alive() else []
    candidates = (processes.identify(pid) for pid in processes.with_arguments(_MODULE, str(workspace.folder)))
    return [candidate for candidate in candidates if candidate is not None and candidate.is_alive()]


def look(workspace: Workspace, now: datetime) -> Observed:
    """One look; it takes less than two seconds."""
    if not workspace.exists():
        return Observed(ClusterState.ABSENT)
    state = workspace.read_json("state.json") or {}
    ends_at = workspace.deadline()
    if not guardians(workspace):
        if not workspace.exists():
            return Observed(ClusterState.ABSENT)
        return Observed(ClusterState.LOST, _epitaph(workspace, state), ends_at=ends_at)
    over = ends_at is None or ends_at <= now or state.get("phase") == "stopping"
    if over or workspace.read("spec.json") is None or workspace.read("stop") is not None:
        return Observed(ClusterState.STOPPING, "The cluster is ending.", ends_at=ends_at)
    if state.get("phase") == "lost":
        return Observed(ClusterState.LOST, str(state.get("detail", "")), ends_at=ends_at)
    if state.get("phase") != "running":
        return Observed(ClusterState.STARTING, "The cluster is being started.", ends_at=ends_at)
    try:
        return _ask(workspace, state, ends_at, now)
    except (KeyError, TypeError, ValueError):
        # Without namespaces a user can write there.
        return Observed(ClusterState.LOST, "The cluster's own records are damaged.", ends_at=ends_at)


def _epitaph(workspace: Workspace, state: dict[str, Any]) -> str:
    known = workspace.guardian()
    if known is None:
        return "The cluster was only half made."
    if known.boot != processes.boot_id():
        return "The machine was restarted; nothing of the cluster runs any more."
    if state.get("phase") == "lost":
        return str(state.get("detail", ""))
    return "The guardian of this cluster was ended; the cluster does not work any more."


def _ask(workspace: Workspace, state: dict[str, Any], ends_at: datetime | None, now: datetime) -> Observed:
    """Whether a running cluster answers; what is written for the next look is when it stopped to."""
    endpoints = tuple(Endpoint(name, url) for name, url in state["endpoints"])
    silent = [probe.url for probe in (Probe(**each) for each in state["probes"]) if not _answers(probe)]
    answered = workspace.read_json("answered.json")
    try:
        if not silent:
            if answered is None or answered["silent_since"] is not None:
                workspace.write_json("answered.json", {"silent_since": None})
            return Observed(ClusterState.READY, _readiness(state), endpoints, ends_at)
        if answered is None:
            return Observed(ClusterState.STARTING, _waiting_for(silent), ends_at=ends_at)
        since = answered["silent_since"] or now.isoformat()
        workspace.write_json("answered.json", {"silent_since": since})
    except FileNotFoundError:
        return Observed(ClusterState.STOPPING, "The cluster is ending.", ends_at=ends_at)
    if now - datetime.fromisoformat(since) > _UNANSWERED:
        detail = "The cluster has not answered for a minute."
        return Observed(ClusterState.LOST, detail, ends_at=ends_at)
    return Observed(ClusterState.READY, "The cluster is slow to answer.", endpoints, ends_at)


def _readiness(state: dict[str, Any]) -> str:
    return " ".join(
        [*([state["notice"]] if "notice" in state else []), "The cluster is ready.", *state["notes"]]
    )


def _waiting_for(silent: list[str]) -> str:
    notebook = any("/booking/" in url for url in silent)
    return f"Waiting for the {'notebook' if notebook else 'workers'} to answer."


def _answers(probe: Probe) -> bool:
    """Whether an address of this machine answers as it should; any other address is not asked at all."""
    parts = urlsplit(probe.url)
    if parts.hostname != "127.0.0.1" or parts.port is None:
        return False
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_ANSWER_SECONDS)
    headers = {"Authorization": probe.authorization} if probe.authorization else {}
    try:
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        text = answer.read(_ANSWER_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == http.client.OK and probe.contains in "".join(text.split())
