"""What an engine (Dask, Spark) must tell the provisioner and the guardian."""

from __future__ import annotations

from typing import Protocol

from booking.adapters.base import ClusterSpec, ProvisionerError
from booking.adapters.local.parts import Plan
from booking.adapters.local.workspace import Inside


class Engine(Protocol):
    """The computing side of a cluster; the notebook is the same for all."""

    name: str
    example: str
    """Code for the first notebook that uses the cluster."""

    def check(self, spec: ClusterSpec) -> None:
        """See, in the service, that this cluster can be made on this machine.

        :raises ProvisionerError: naming what is missing or too small.
        """

    def prepare(self, inside: Inside) -> None:
        """Make, in the service, the keys and secrets of one cluster."""

    def plan(self, spec: ClusterSpec, inside: Inside) -> Plan:
        """Draw free ports, in the guardian, write the settings, and say what to start."""


def find_engine(name: str) -> Engine:
    """The engine of that name.

    :raises ProvisionerError: if there is none.
    """
    if name == "dask":
        from booking.adapters.local.dask_engine import DaskEngine

        return DaskEngine()
    if name == "spark":
        from booking.adapters.local.spark_engine import SparkEngine

        return SparkEngine()
    raise ProvisionerError(f"There is no engine {name!r}; known are dask and spark.", transient=False)
