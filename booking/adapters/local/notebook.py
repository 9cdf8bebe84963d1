"""The notebook server of a cluster: JupyterLab on the loopback address, entered by a token."""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import quote, urlsplit

from booking.adapters.base import ClusterSpec, Endpoint
from booking.adapters.local.parts import Command
from booking.adapters.local.workspace import Inside, write_file

WELCOME = "Welcome.ipynb"


def base_url(reservation_id: str) -> str:
    return f"/booking/{reservation_id}/"


def endpoint(reservation_id: str, port: int) -> Endpoint:
    return Endpoint("notebook", f"http://127.0.0.1:{port}{base_url(reservation_id)}")


def command(spec: ClusterSpec, inside: Inside, token: str, port: int) -> Command:
    """Write the server's settings and say how to start it."""
    settings = inside.conf / "jupyter_config.json"
    write_file(settings, json.dumps(_settings(spec, inside, token, port)))
    folders = {
        f"JUPYTER_{kind.upper()}_DIR": str(inside.jupyter / kind) for kind in ("config", "data", "runtime")
    }
    return Command(
        "notebook",
        (sys.executable, "-P", "-m", "jupyterlab", f"--config={settings}"),
        environment=folders | {"OMP_NUM_THREADS": str(spec.notebook_cores)},
        cores=spec.notebook_cores,
        data_mib=spec.notebook_memory_mib,
    )


def _settings(spec: ClusterSpec, inside: Inside, token: str, port: int) -> dict[str, object]:
    return {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "base_url": base_url(spec.reservation_id),
            "root_dir": str(inside.work),
            "open_browser": False,
            "allow_root": os.geteuid() == 0,
            "allow_remote_access": False,
            "terminals_enabled": False,
            "quit_button": False,
            "jpserver_extensions": {"jupyter_lsp": False},
        },
        "IdentityProvider": {"token": token},
        "LabApp": {
            "default_url": f"/lab/tree/{WELCOME}",
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",
        },
    }


def write_welcome(spec: ClusterSpec, inside: Inside, example: str) -> None:
    """Put a first notebook into the user's folder: what was booked, and `example`, which uses the cluster."""
    cells = [_markdown(_greeting(spec)), _code(example)]
    if spec.notebook_url:
        cells += [_markdown(_wish(spec.notebook_url)), _code(_FETCH)]
    document = {
        "cells": [cell | {"id": f"welcome-{number}"} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    write_file(inside.work / WELCOME, json.dumps(document, indent=1))


def _greeting(spec: ClusterSpec) -> str:
    return f"""# Your cluster

Package **{spec.package}**, booked until {spec.ends_at:%d %B %Y, %H:%M} UTC.

| | cores | memory |
|---|---|---|
| this notebook | {spec.notebook_cores} | {spec.notebook_memory_mib} MiB |
| {spec.worker_count} × worker | {spec.worker_cores} | {spec.worker_memory_mib} MiB |

**Everything in this folder is destroyed when the booking ends.** Save what you want to keep elsewhere.
The environment variables that begin with `BOOKING_` tell programs the same."""


def _wish(url: str) -> str:
    parts = urlsplit(url)
    safe = quote(url, safe=":/?#@!$&'*+,;=%~-._")
    # Only a plain web address becomes a link; whatever else was typed is shown as text.
    shown = f"[{safe}]({safe})" if parts.scheme in ("http", "https") and parts.hostname else f"`{safe}`"
    return f"""## What you wanted to open

{shown}

The service does not fetch addresses by itself. The next cell fetches this one, with your rights."""


_FETCH = """\
import os, subprocess, urllib.parse, urllib.request

url = os.environ["BOOKING_NOTEBOOK_URL"]
if url.endswith(".ipynb"):
    name = os.path.basename(urllib.parse.urlsplit(url).path)
    urllib.request.urlretrieve(url, name)
else:
    subprocess.run(["git", "clone", "--depth=1", "--", url], check=True)"""


def _markdown(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, object]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text}
