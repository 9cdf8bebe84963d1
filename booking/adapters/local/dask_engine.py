"""Dask: a scheduler and its workers, spoken to only with the key pair of this very cluster."""

from __future__ import annotations

import importlib.util
import json
import sys

from booking.adapters.base import ClusterSpec, Endpoint, ProvisionerError
from booking.adapters.local.parts import SOURCE, Command, Plan, Probe, free_ports
from booking.adapters.local.workspace import Inside, write_file

_JOIN_SECONDS = 90
_NANNY_MIB = 128
_SCHEDULER_DATA_MIB = 2048
"""Users may run code in the scheduler: it must not eat the machine."""


class DaskEngine:
    """One scheduler, and one process that keeps `worker_count` workers alive."""

    name = "dask"
    example = """\
from distributed import Client

client = Client()  # the cluster of this booking; no address is needed
client.submit(sum, range(1000)).result()"""

    def check(self, spec: ClusterSpec) -> None:
        missing = [name for name in ("distributed", "cryptography") if importlib.util.find_spec(name) is None]
        if missing:
            raise ProvisionerError(f"Python packages are missing: {', '.join(missing)}.", transient=False)

    def prepare(self, inside: Inside) -> None:
        from booking.adapters.local.keys import make_key_pair

        certificate, key = make_key_pair()
        write_file(inside.conf / "cluster.pem", certificate)
        write_file(inside.conf / "cluster.key", key)

    def plan(self, spec: ClusterSpec, inside: Inside) -> Plan:
        port, health = free_ports(2)
        address = f"tls://127.0.0.1:{port}"
        settings = inside.conf / "dask.yaml"
        # Every JSON text is YAML too.
        write_file(settings, json.dumps(_settings(address, inside)))
        commands = [_scheduler(address, health, spec.worker_count)]
        if spec.worker_count:
            commands.append(_workers(spec, inside, address))
        return Plan(
            commands=tuple(commands),
            environment={
                "BOOKING_SCHEDULER": address,
                "DASK_CONFIG": str(settings),
                "DASK_SCHEDULER_ADDRESS": address,
            },
            endpoints=(Endpoint("scheduler", address),),
            probes=(Probe(f"http://127.0.0.1:{health}/health"),),
            overhead_mib=_NANNY_MIB,
        )


def _settings(address: str, inside: Inside) -> dict[str, object]:
    pair = {"cert": str(inside.conf / "cluster.pem"), "key": str(inside.conf / "cluster.key")}
    tls = {"ca-file": pair["cert"], "scheduler": pair, "worker": pair, "client": pair}
    return {
        "scheduler-address": address,
        "temporary-directory": str(inside.spool),
        "distributed": {
            "comm": {"require-encryption": True, "tls": tls},
            # The pages of Dask ask for no password, so that only the one that says "ready" is served.
            "scheduler": {"http": {"routes": ["booking.adapters.local.dask_health"]}},
            "worker": {"http": {"routes": []}},
            "version": 2,
        },
    }


def _scheduler(address: str, health: int, workers: int) -> Command:
    return Command(
        "scheduler",
        (
            *(sys.executable, "-P", "-m", "distributed.cli.dask_scheduler"),
            *("--host", address, "--no-show", "--dashboard-address", f"127.0.0.1:{health}"),
        ),
        environment={"PYTHONPATH": str(SOURCE), "BOOKING_EXPECTED_WORKERS": str(workers)},
        data_mib=_SCHEDULER_DATA_MIB,
    )


def _workers(spec: ClusterSpec, inside: Inside, address: str) -> Command:
    return Command(
        "workers",
        (
            *(sys.executable, "-m", "distributed.cli.dask_worker", address),
            *("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"),
            *("--nworkers", str(spec.worker_count), "--nthreads", str(spec.worker_cores)),
            *("--memory-limit", f"{spec.worker_memory_mib}MiB"),
            *("--local-directory", str(inside.spool), "--death-timeout", str(_JOIN_SECONDS)),
        ),
        cores=spec.worker_cores * spec.worker_count,
    )
