"""MariaDB and RabbitMQ of the rig's own: only their programs are shared with the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.openstack.rig.layout import Layout
from tests.openstack.rig.processes import Process

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/rabbitmq/bin"
_QUICK = (
    # The data does not outlive the run, so that nothing needs to reach the disk.
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=256M",
    "--max-connections=1000",
    "--skip-name-resolve",
)
MISSING = "is missing: tools/setup.sh openstack"


def program(name: str) -> str:
    """Where the machine keeps it; Debian has some where only root looks."""
    if name == "rabbitmq-server" and Path("/usr/lib/rabbitmq/bin", name).exists():
        # The one on the PATH would become another user.
        return f"/usr/lib/rabbitmq/bin/{name}"
    found = shutil.which(name, path=_PATH)
    assert found, f"{name} {MISSING}"
    return found


def mariadb(layout: Layout) -> Process:
    """A server over new data, whose databases are there as soon as it listens."""
    data = layout.folder / "mariadb"
    user = ["--user=root"] if os.geteuid() == 0 else []
    with (layout.folder / "log" / "mariadb-install.log").open("wb") as log:
        subprocess.run(
            [program("mariadb-install-db"), "--no-defaults", *user, f"--datadir={data}", "--skip-test-db"],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    command = [program("mariadbd"), "--no-defaults", *user, f"--datadir={data}"]
    # A relative path stays within what the name of a socket may be long.
    command += ["--socket=socket", f"--port={layout.ports['mariadb']}", "--bind-address=127.0.0.1"]
    command += [f"--init-file={layout.folder / 'mariadb.sql'}", *_QUICK]
    return Process("mariadb", command, layout.folder, layout.variables(), layout.ports["mariadb"])


def epmd(layout: Layout) -> Process:
    """By which Erlang finds its nodes: RabbitMQ would otherwise start one that outlives it."""
    port = layout.ports["epmd"]
    command = [program("epmd"), "-address", "127.0.0.1", "-port", str(port)]
    return Process("epmd", command, layout.folder, layout.variables(), port)


def rabbitmq(layout: Layout) -> Process:
    """The broker by which the parts of Nova, Blazar and Magnum call each other."""
    folder = layout.folder
    (folder / "rabbit" / "plugins").write_text("[].")
    variables = {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(layout.ports["epmd"]),
        "RABBITMQ_NODENAME": "rig@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(layout.ports["broker"]),
        "RABBITMQ_DIST_PORT": str(layout.ports["distribution"]),
        "RABBITMQ_MNESIA_BASE": str(folder / "rabbit" / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbit" / "pid"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "rabbit" / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        # The script then becomes the broker, instead of watching it.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    port = layout.ports["broker"]
    return Process("rabbitmq", [program("rabbitmq-server")], folder, layout.variables() | variables, port)
