"""Spark standalone: a master and its workers, which only the secret of this very cluster opens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import os
import secrets
import shutil
from pathlib import Path

from booking.adapters.base import ClusterSpec, Endpoint, ProvisionerError
from booking.adapters.local.parts import Command, Plan, Probe, free_ports
from booking.adapters.local.workspace import Inside, write_file

_LEAST_WORKER_MIB = 768
_LEAST_NOTEBOOK_MIB = 1024
_LEAST_HEAP_MIB = 456
"""Below this a JVM of Spark refuses to start."""
_HEAP_SHARE = 0.6
_JVM_OVERHEAD_MIB = 384
"""What the JVM of an executor needs besides its heap."""
_JAVA_OPTIONS = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
_HEADER = b'{"alg":"HS256","typ":"JWT"}'
_FILTER = "org.apache.spark.ui.JWSFilter"


class SparkEngine:
    """One master, and `worker_count` workers of one executor each."""

    name = "spark"
    example = """\
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()  # the cluster of this booking; no address is needed
spark.sparkContext.parallelize(range(1000)).sum()"""

    def check(self, spec: ClusterSpec) -> None:
        missing = []
        if _spark_home() is None:
            missing.append("the Python package pyspark (install booking[spark])")
        if _java() is None:
            missing.append("Java 17 or later (java on the PATH, or JAVA_HOME)")
        if missing:
            raise ProvisionerError(f"Spark needs {' and '.join(missing)}.", transient=False)
        if spec.notebook_memory_mib < _LEAST_NOTEBOOK_MIB:
            message = f"Spark needs {_LEAST_NOTEBOOK_MIB} MiB for the notebook, the package has"
            raise ProvisionerError(f"{message} {spec.notebook_memory_mib}.", transient=False)
        # Spark would never refuse it, but wait for ever.
        if spec.worker_count and spec.worker_memory_mib < _LEAST_WORKER_MIB:
            message = f"Spark needs {_LEAST_WORKER_MIB} MiB for each worker, the package has"
            raise ProvisionerError(f"{message} {spec.worker_memory_mib}.", transient=False)

    def prepare(self, inside: Inside) -> None:
        write_file(inside.conf / "spark.secret", secrets.token_urlsafe(32))

    def plan(self, spec: ClusterSpec, inside: Inside) -> Plan:
        port, pages, *worker_pages = free_ports(2 + spec.worker_count)
        address = f"spark://127.0.0.1:{port}"
        secret = (inside.conf / "spark.secret").read_text()
        folder = inside.conf / "spark"
        folder.mkdir(mode=0o700, exist_ok=True)
        settings = _settings(spec, inside, address, secret)
        lines = (f"{key} {value}\n" for key, value in settings.items())
        write_file(folder / "spark-defaults.conf", "".join(lines))
        home = _spark_home() or Path()
        starter = _Starter(home, folder / "spark-defaults.conf")
        workers = (
            starter.worker(spec, inside, address, number, page) for number, page in enumerate(worker_pages, 1)
        )
        return Plan(
            commands=(starter.master(port, pages), *workers),
            environment={
                "BOOKING_SCHEDULER": address,
                "SPARK_CONF_DIR": str(folder),
                "SPARK_HOME": str(home),
                "SPARK_LOCAL_DIRS": str(inside.spool),
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            endpoints=(Endpoint("scheduler", address),),
            probes=(_probe(pages, secret, spec.worker_count),),
            overhead_mib=_JVM_OVERHEAD_MIB * spec.worker_count,
        )


class _Starter:
    """Says how the daemons of Spark are started; their program replaces itself by Java."""

    def __init__(self, home: Path, properties: Path) -> None:
        self._program = str(home / "bin" / "spark-class")
        self._properties = ("--properties-file", str(properties))
        self._environment = {"SPARK_DAEMON_MEMORY": "192m", "SPARK_DAEMON_JAVA_OPTS": _JAVA_OPTIONS}

    def master(self, port: int, pages: int) -> Command:
        where = ("--host", "127.0.0.1", "--port", str(port), "--webui-port", str(pages))
        program = (self._program, "org.apache.spark.deploy.master.Master")
        return Command("scheduler", (*program, *where, *self._properties), environment=self._environment)

    def worker(self, spec: ClusterSpec, inside: Inside, address: str, number: int, pages: int) -> Command:
        heap, _ = _shares(spec)
        size = ("--cores", str(spec.worker_cores), "--memory", f"{heap}m")
        where = ("--host", "127.0.0.1", "--webui-port", str(pages))
        folder = ("--work-dir", str(inside.spool / f"worker-{number}"))
        program = (self._program, "org.apache.spark.deploy.worker.Worker")
        return Command(
            f"worker-{number}",
            (*program, *where, *size, *folder, *self._properties, address),
            environment=self._environment,
            cores=spec.worker_cores,
        )


def _settings(spec: ClusterSpec, inside: Inside, address: str, secret: str) -> dict[str, str]:
    heap, python = _shares(spec)
    java = f"{_JAVA_OPTIONS} -Djava.io.tmpdir={inside.tmp}"
    return {
        "spark.master": address,
        "spark.authenticate": "true",
        "spark.authenticate.secret": secret,
        # This door of the master asks for no secret.
        "spark.master.rest.enabled": "false",
        # Its pages answer only requests signed by the key; nobody else on this machine reads them.
        "spark.ui.filters": _FILTER,
        f"spark.{_FILTER}.param.secretKey": _page_key(secret),
        "spark.ui.enabled": "false",
        "spark.ui.killEnabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": f"{max(_LEAST_HEAP_MIB, spec.notebook_memory_mib // 2)}m",
        "spark.driver.extraJavaOptions": java,
        "spark.executor.memory": f"{heap}m",
        "spark.executor.pyspark.memory": f"{python}m",
        "spark.executor.extraJavaOptions": java,
        "spark.sql.warehouse.dir": str(inside.work / "spark-warehouse"),
    }


def _shares(spec: ClusterSpec) -> tuple[int, int]:
    """The heap and the Python part of a worker's memory: Spark counts the first only, we book the sum."""
    heap = max(_LEAST_HEAP_MIB, int(spec.worker_memory_mib * _HEAP_SHARE))
    return heap, max(1, spec.worker_memory_mib - heap)


def _probe(pages: int, secret: str, workers: int) -> Probe:
    """The master's own count of its workers, asked with a signed request."""
    signed = f"{_encode(_HEADER)}.{_encode(b'{}')}"
    key = base64.urlsafe_b64decode(_page_key(secret))
    signature = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return Probe(
        f"http://127.0.0.1:{pages}/json/",
        authorization=f"Bearer {signed}.{_encode(signature)}",
        contains=f'"aliveworkers":{workers},',
    )


def _page_key(secret: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(b"pages " + secret.encode()).digest()).decode()


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _spark_home() -> Path | None:
    found = importlib.util.find_spec("pyspark")
    return None if found is None or found.origin is None else Path(found.origin).parent


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else None)
