"""Tables and keys: what each service needs once, before its first start."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cryptography.fernet import Fernet

from tests.openstack.rig.layout import ENVIRONMENT, INSIDE, Layout
from tests.openstack.rig.processes import Died, end_with_parent, tail


class Schemas:
    """Chains of commands; chains run side by side, the commands of one in order."""

    def __init__(self, layout: Layout, pool: ThreadPoolExecutor) -> None:
        self._layout = layout
        self._pool = pool
        self._chains: dict[str, Future[None]] = {}

    def start(self) -> None:
        """All of them, that of Keystone first: most waits for it."""
        folder = self._layout.folder
        self._keys()
        chains: dict[str, list[list[str]]] = {
            "keystone": self._keystone(),
            "nova": [["python", f"{INSIDE}/nova_tables.py", "--config-file", f"{folder}/nova/nova.conf"]],
            "placement": [
                ["placement-manage", "--config-file", f"{folder}/placement/placement.conf", "db", "sync"]
            ],
            "glance": [["glance-manage", "--config-file", f"{folder}/glance/glance-api.conf", "db_sync"]],
            "blazar": [
                ["blazar-db-manage", "--config-file", f"{folder}/blazar/blazar.conf", "upgrade", "head"]
            ],
            "magnum": [["magnum-db-manage", "--config-file", f"{folder}/magnum/magnum.conf", "upgrade"]],
        }
        for name, commands in chains.items():
            self._chains[name] = self._pool.submit(self._run, name, commands)

    def await_made(self, name: str) -> None:
        """Wait for one chain.

        :raises Died: if a command of it failed.
        """
        self._chains[name].result()

    def discover_hosts(self) -> None:
        """Tell Nova where its new hosts are; Blazar finds none of them before."""
        config = f"{self._layout.folder}/nova/nova.conf"
        self._run("nova", [["nova-manage", "--config-file", config, "cell_v2", "discover_hosts"]])

    def _keystone(self) -> list[list[str]]:
        command = ["keystone-manage", "--config-file", f"{self._layout.folder}/keystone/keystone.conf"]
        urls = [f"--bootstrap-{kind}-url={self._layout.auth_url}" for kind in ("admin", "public", "internal")]
        return [
            [*command, "db_sync"],
            [
                *[*command, "bootstrap", f"--bootstrap-password={self._layout.password}"],
                *["--bootstrap-region-id=RegionOne", "--bootstrap-service-name=keystone", *urls],
            ],
        ]

    def _keys(self) -> None:
        """What Keystone signs tokens with: a key to come, `0`, and the one in use."""
        for repository in ("fernet-keys", "credential-keys"):
            folder = self._layout.folder / "keystone" / repository
            folder.mkdir(mode=0o700)
            for name in ("0", "1"):
                (folder / name).write_bytes(Fernet.generate_key())

    def _run(self, name: str, commands: Sequence[Sequence[str]]) -> None:
        log = self._layout.folder / "log" / f"schema-{name}.log"
        for program, *arguments in commands:
            with log.open("ab") as output:
                done = subprocess.run(
                    [ENVIRONMENT / "bin" / program, *arguments],
                    check=False,
                    cwd=self._layout.folder,
                    env=self._layout.variables() | {"RIG_CELL0": self._layout.database("nova_cell0")},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # The thread that starts it waits for it, and so outlives it.
                    preexec_fn=end_with_parent,  # it takes no lock
                )
            if done.returncode:
                raise Died(f"{program} {' '.join(arguments)} failed:\n{tail(log)}")
