"""The first process of a cluster: starts its parts, watches them, and ends everything on time.

It reads the machine's clock itself: it must end the cluster also when the service that made it is dead.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from booking.adapters.base import ClusterSpec
from booking.adapters.local import notebook, parts, processes
from booking.adapters.local.containment import Containment
from booking.adapters.local.engine import Engine
from booking.adapters.local.memory import Budget, enforce
from booking.adapters.local.parts import Command, Part, Plan, Probe
from booking.adapters.local.workspace import Inside, Workspace, write_file

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.25
"""How long an extended or shortened deadline may go unnoticed."""
_MEMORY_SECONDS = 1.0
_MOST_TASKS = 4096
_ATTEMPTS = 3
_STARTUP_SECONDS = 60.0
"""A part that ends sooner probably lost its port to somebody else: the parts start again on other ports."""
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


@dataclass(frozen=True)
class Held:
    """What contains a cluster, and sentences about it for its owner."""

    by: Containment
    notes: tuple[str, ...]


class Keeper:
    """Keeps one cluster until its deadline."""

    def __init__(self, workspace: Workspace, inside: Inside, engine: Engine, held: Held) -> None:
        spec, deadline = workspace.spec(), workspace.deadline()
        if spec is None or deadline is None:
            raise ValueError("The workspace is half-made: it has no specification or no deadline.")
        self._workspace = workspace
        self._inside = inside
        self._engine = engine
        self._spec: ClusterSpec = spec
        self._deadline = deadline
        self._token = workspace.read("token") or ""
        self._parts: list[Part] = []
        self._told_to_end = False
        self._attempt = 0
        self._overhead_mib = 0
        self._launched_at = 0.0
        self._memory_due = 0.0
        self._state: dict[str, object] = {"notes": held.notes}
        self._most_tasks = _MOST_TASKS if held.by is Containment.USER_NAMESPACE else 0

    def run(self, grace: float) -> None:
        """Keep the cluster until it is to end, then end it: `grace` seconds politely, unless told otherwise."""
        self._report(phase="starting", detail="The notebook and the workers are being started.")
        notebook.write_welcome(self._spec, self._inside, self._engine.example)
        self._launch()
        while not self._is_over():
            self._wait()
            self._see_to_the_dead()
            self._see_to_memory()
        self._report(phase="stopping", detail="The cluster is ending.")
        stop = self._workspace.read_json("stop") or {}
        processes.end_children(float(stop.get("grace", grace)))

    def _is_over(self) -> bool:
        # A folder without its specification has been taken away: this cluster is not wanted any more.
        if self._told_to_end or self._workspace.read("spec.json") is None:
            return True
        deadline = self._workspace.deadline() or self._deadline
        if deadline != self._deadline:
            self._deadline = deadline
            self._tell_until()
        return deadline <= datetime.now(UTC) or self._workspace.read("stop") is not None

    def _wait(self) -> None:
        received = signal.sigtimedwait(_SIGNALS, _LOOK_SECONDS)
        if received is not None and received.si_signo != signal.SIGCHLD:
            self._told_to_end = True

    def _launch(self) -> None:
        self._attempt += 1
        self._launched_at = time.monotonic()
        plan = self._engine.plan(self._spec, self._inside)
        self._overhead_mib = plan.overhead_mib
        (port,) = parts.free_ports(1)
        self._tell_until()
        environment = self._environment(plan)
        commands: list[Command] = [
            *plan.commands,
            notebook.command(self._spec, self._inside, self._token, port),
        ]
        self._parts = [
            parts.start(
                command,
                environment,
                self._inside,
                log=self._workspace.logs / f"{command.name}.log",
                most_tasks=self._most_tasks,
            )
            for command in commands
        ]
        endpoint = notebook.endpoint(self._spec.reservation_id, port)
        self._report(
            phase="running",
            detail="The notebook and the workers were started.",
            parts={part.name: part.process.pid for part in self._parts},
            endpoints=[(each.name, each.url) for each in (endpoint, *plan.endpoints)],
            probes=[vars(probe) for probe in (Probe(f"{endpoint.url}api"), *plan.probes)],
        )

    def _environment(self, plan: Plan) -> dict[str, str]:
        known = parts.inherited_environment(os.environ)
        told = parts.describe(self._spec, self._inside) | {"BOOKING_UNTIL_FILE": str(self._until_file())}
        return known | told | dict(plan.environment)

    def _until_file(self) -> Path:
        return self._inside.conf / "until"

    def _tell_until(self) -> None:
        """A running program's environment cannot change, a file can: an extension is seen there."""
        write_file(self._until_file(), f"{parts.instant(self._deadline)}\n")

    def _see_to_the_dead(self) -> None:
        ended = processes.reap() or {}
        for part in self._parts:
            if part.process.pid in ended:
                part.status = part.process.returncode = ended[part.process.pid]
        dead = next((part for part in self._parts if part.status is not None), None)
        if dead is None or self._state["phase"] == "lost":
            return
        young = time.monotonic() - self._launched_at < _STARTUP_SECONDS
        if young and self._attempt < _ATTEMPTS:
            processes.end_children(0)
            self._launch()
            return
        self._report(
            phase="lost", detail=f"The {dead.name} ended by itself ({dead.status}). {self._last_word(dead)}"
        )

    def _last_word(self, part: Part) -> str:
        """The last line that a part wrote, without the token."""
        log = self._workspace.last_line(f"{part.name}.log")
        return log.replace(self._token, "(token)")

    def _see_to_memory(self) -> None:
        if time.monotonic() < self._memory_due:
            return
        self._memory_due = time.monotonic() + _MEMORY_SECONDS
        self._workspace.trim_logs()
        for budget in self._budgets():
            notice = enforce(budget)
            if notice:
                self._report(notice=notice)
                self._tell_user(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {notice}\n")

    def _tell_user(self, line: str) -> None:
        """Append to the user's own list of notices, if it is still a plain file that can be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            handle = os.open(self._inside.work / "NOTICES.txt", flags, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(line)
        except OSError as error:
            # The user may have made anything of it, or filled the disk; the cluster goes on.
            _log.warning("The user could not be told: %s", error)

    def _budgets(self) -> list[Budget]:
        """Who may use how much: the workers theirs; every other process of the user is the notebook's."""
        table = processes.table()
        pids = {part.name: part.process.pid for part in self._parts}
        trees = {name: processes.descendants(table, pid) for name, pid in pids.items()}
        workers = set().union(*(tree for name, tree in trees.items() if name.startswith("worker")))
        # The servers themselves are not the user's programs.
        user = processes.descendants(table, os.getpid()) - set(pids.values()) - workers
        user -= trees.get("scheduler", set())
        spec = self._spec
        booked = spec.worker_memory_mib * spec.worker_count
        return [
            Budget("The notebook", spec.notebook_memory_mib, spec.notebook_memory_mib, user),
            Budget("The workers", booked, booked + self._overhead_mib, workers),
        ]

    def _report(self, **changes: object) -> None:
        self._state |= changes
        self._workspace.write_json("state.json", self._state)
