"""Where everything of one rig lies: its folder, its ports, its password, and the files written from these."""

from __future__ import annotations

import os
import secrets
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from tests.openstack.rig import ports

TREE = Path(__file__).resolve().parents[3]
ENVIRONMENT = TREE / ".venv" / "openstack"
CONFIG = Path(__file__).with_name("config")
INSIDE = Path(__file__).with_name("inside")
"""What runs in the other environment, where nothing of ours is installed."""

DATABASES = ("keystone", "placement", "nova_api", "nova_cell0", "nova_cell1", "glance", "blazar", "magnum")
LISTENING = (
    *("mariadb", "epmd", "broker", "distribution"),
    *("keystone", "placement", "nova", "neutron", "glance", "magnum", "blazar"),
    "asked",
)
_TARGETS = {
    "keystone.conf": "keystone/keystone.conf",
    "placement.conf": "placement/placement.conf",
    "glance-api.conf": "glance/glance-api.conf",
    "nova.conf": "nova/nova.conf",
    "blazar.conf": "blazar/blazar.conf",
    "blazar-policy.yaml": "blazar/policy.yaml",
    "magnum.conf": "magnum/magnum.conf",
    "rabbitmq.conf": "rabbitmq.conf",
    "mariadb.sql": "mariadb.sql",
    "clouds.yaml": "clouds.yaml",
}
_PASTE = ("nova/api-paste.ini", "magnum/api-paste.ini", "glance/glance-api-paste.ini")
_ENTRY_POINT = {
    "METADATA": "Metadata-Version: 2.1\nName: rig\nVersion: 1\n",
    "entry_points.txt": "[magnum.drivers]\nrig = magnum_driver:ServersDriver\n",
}
"""How Magnum finds `inside/magnum_driver.py`: as an installed distribution would announce it."""


@dataclass(frozen=True)
class Layout:
    """One rig, before anything of it runs."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: ports.draw(LISTENING))
    password: str = field(default_factory=lambda: secrets.token_hex(12))
    """The only one: of the database, the broker and every account."""

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def auth_url(self) -> str:
        return f"{self.url('keystone')}/v3"

    @property
    def clouds_file(self) -> Path:
        return self.folder / "clouds.yaml"

    def database(self, name: str) -> str:
        return f"mysql+pymysql://rig:{self.password}@127.0.0.1:{self.ports['mariadb']}/{name}?charset=utf8"

    def write(self) -> None:
        """Every file that must be there before the first process starts."""
        for name in ("log", "nova/locks", "blazar/locks", "magnum/locks", "site/rig-1.dist-info"):
            (self.folder / name).mkdir(parents=True)
        for name in ("keystone", "placement", "glance/images", "glance/staging", "glance/tasks", "rabbit"):
            (self.folder / name).mkdir(parents=True)
        for name in _TARGETS:
            self.render(name)
        for name in _PASTE:
            shutil.copyfile(ENVIRONMENT / "etc" / name, self.folder / name)
        for name, text in _ENTRY_POINT.items():
            (self.folder / "site" / "rig-1.dist-info" / name).write_text(text)
        # Else Nova takes the hosts of a process that starts again for others.
        (self.folder / "nova" / "compute_id").write_text(str(uuid.uuid4()))

    def render(self, name: str, enforcement: str = "") -> None:
        """Write one file from its template.

        :raises KeyError: if the template has a placeholder that nobody knows.
        """
        text = Template((CONFIG / name).read_text(encoding="utf-8")).substitute(
            {f"{database}_database": self.database(database) for database in DATABASES},
            **{name: str(port) for name, port in self.ports.items()},
            folder=self.folder,
            password=self.password,
            auth_url=self.auth_url,
            broker_url=f"rabbit://rig:{self.password}@127.0.0.1:{self.ports['broker']}/",
            credentials=self._credentials(),
            enforcement=enforcement,
        )
        (self.folder / _TARGETS[name]).write_text(text, encoding="utf-8")

    def _credentials(self) -> str:
        """What a section needs whose service logs in at Keystone; options that it does not know do no harm."""
        values = {
            "www_authenticate_uri": self.url("keystone"),
            "auth_url": self.auth_url,
            "auth_type": "password",
            "username": "openstack",
            "password": self.password,
            "project_name": "service",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "region_name": "RegionOne",
        }
        return "\n".join(f"{name} = {value}" for name, value in values.items())

    def variables(self) -> dict[str, str]:
        """The environment of every process: ours without its settings, and where they find their files."""
        known = {n: v for n, v in os.environ.items() if not n.startswith(("OS_", "PYTHON", "BOOKING_"))}
        return known | {
            # Erlang keeps its cookie there; nothing of the person who runs the tests is read or written.
            "HOME": str(self.folder / "rabbit"),
            "PYTHONPATH": f"{self.folder / 'site'}{os.pathsep}{INSIDE}",
            "PYTHONWARNINGS": "ignore",
            "OS_CLIENT_CONFIG_FILE": str(self.clouds_file),
            "OS_KEYSTONE_CONFIG_DIR": str(self.folder / "keystone"),
            "OS_PLACEMENT_CONFIG_DIR": str(self.folder / "placement"),
            "OS_NOVA_CONFIG_DIR": str(self.folder / "nova"),
            "OS_GLANCE_CONFIG_DIR": str(self.folder / "glance"),
            "OS_BLAZAR_CONFIG_DIR": str(self.folder / "blazar"),
        }
