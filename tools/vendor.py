"""Fetch the browser libraries that `vendor.lock` names, check them, and lay them under `web/static/vendor/`.

The lock holds the integrity of each package as its registry publishes it; a package that differs is
refused before a file of it is written. Run `make vendor` after editing a version and its integrity;
the hashes of the files are written by this tool, and re-checked offline by `tests/test_house.py`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "web" / "static" / "vendor"
LOCK = VENDOR / "vendor.lock"


def integrity(algorithm: str, data: bytes) -> str:
    """The hash of `data` as browsers and npm write it, such as `sha384-...`."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def fetch(name: str, version: str, folder: Path) -> bytes:
    """The package as npm delivers it.

    :raises subprocess.CalledProcessError: if npm cannot bring it.
    """
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return (folder / done.stdout.split()[-1]).read_bytes()


def lay(package: dict[str, Any]) -> None:
    """Fetch one package, check it, write its files and note their hashes in `package`."""
    name, version = package["name"], package["version"]
    with tempfile.TemporaryDirectory() as temporary:
        tarball = fetch(name, version, Path(temporary))
        if (found := integrity("sha512", tarball)) != package["integrity"]:
            sys.exit(f"{name} {version}: npm delivered {found}, the lock names {package['integrity']}")
        archive = Path(temporary) / "package.tgz"
        archive.write_bytes(tarball)
        target = VENDOR / package["folder"]
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            for file, entry in package["files"].items():
                member = tar.extractfile(f"package/{entry['source']}")
                if member is None:
                    sys.exit(f"{name} {version} holds no {entry['source']}")
                data = member.read()
                (target / file).write_bytes(data)
                entry["sha384"] = integrity("sha384", data)


def main() -> None:
    """Bring the whole of `web/static/vendor/` to what the lock says."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    for package in lock["packages"]:
        lay(package)
        print(f"{package['name']} {package['version']}: {', '.join(sorted(package['files']))}")
    LOCK.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
