"""A real nginx in front of web processes, with the configuration that `docs/operations.md` shows."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.adapters.waiting import eventually
from tests.support.postgres import _other_user

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_AROUND = """
daemon off;
master_process on;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    log_format upstream '$status $request_method $upstream_addr';
    access_log {folder}/access.log upstream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{documented}
}}
"""


@dataclass(frozen=True)
class Front:
    """nginx, as long as it runs."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/"

    @property
    def certificate(self) -> Path:
        """By which clients know it."""
        return self.folder / "booking.pem"

    def upstreams(self) -> Counter[str]:
        """How many requests each web server was given."""
        return Counter(address for line in self._log() for address in line.split(maxsplit=2)[2].split(", "))

    def statuses(self) -> Counter[str]:
        """How often it has answered what."""
        return Counter(line.split()[0] for line in self._log())

    def _log(self) -> list[str]:
        return (self.folder / "access.log").read_text().splitlines()


def documented(servers: Sequence[str], port: int, folder: Path) -> str:
    """The configuration of the page with other addresses and files, and nothing else changed.

    :raises AssertionError: if the page does not have what is to be replaced.
    """
    text = "".join(re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    lines = re.findall(r"^ *server (\S+) (.*)\n", text, re.MULTILINE)
    assert len(lines) == 2
    (first, options), (second, _) = lines
    text = text.replace(f"    server {second} {options}\n", "")
    ours = "\n".join(f"    server {server} {options}" for server in servers)
    for before, after in (
        (f"    server {first} {options}", ours),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/ssl/booking.pem", f"{folder}/booking.pem"),
        ("/etc/ssl/booking.key", f"{folder}/booking.key"),
    ):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    return text


@contextmanager
def front(servers: Sequence[str]) -> Iterator[Front]:
    """nginx before these servers (`host:port`); unprivileged, in a folder of its own."""
    assert PROGRAM, "nginx is missing: tools/setup.sh nginx"
    other = _other_user()
    with tempfile.TemporaryDirectory(prefix="booking-nginx-") as name:
        made = Front(Path(name), _free_port())
        _certificate(made.folder)
        text = _AROUND.format(folder=name, documented=documented(servers, made.port, made.folder))
        (made.folder / "nginx.conf").write_text(text, encoding="utf-8")
        if other:
            for path in (made.folder, *made.folder.iterdir()):
                os.chown(path, other["user"], other["group"])
        words = [PROGRAM, "-p", name, "-c", f"{name}/nginx.conf", "-e", f"{name}/error.log"]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=name, **other)
        try:
            eventually(lambda: process.poll() is not None or _listens(made.port))
            assert process.poll() is None, (made.folder / "error.log").read_text()
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _certificate(folder: Path) -> None:
    """A certificate of 127.0.0.1 that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "booking")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "booking.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "booking.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client needs to speak to it."""
    return ssl.create_default_context(cafile=str(certificate))
