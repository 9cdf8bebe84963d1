"""The hosts of the fake cloud: Blazar, Nova and Placement tell of the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import NAMESPACE_DNS, uuid5


@dataclass
class Machine:
    """One host; a test changes what is wrong with it."""

    id: str
    name: str
    cores: int = 16
    memory_mib: int = 64 * 1024
    disk_gib: int = 1000
    is_up: bool = True
    is_enabled: bool = True
    disabled_reason: str | None = None
    is_reservable: bool = True
    properties: dict[str, str] = field(default_factory=dict)
    """What its operator told Blazar of it."""

    @property
    def uuid(self) -> str:
        return str(uuid5(NAMESPACE_DNS, self.name))


def machines(count: int) -> list[Machine]:
    return [Machine(str(i), f"node-{i:03}") for i in range(1, count + 1)]
