"""`python -m tests.trust`: run every proof and write the page that shows what they found.

One after another, each in a process of its own, so that a proof that dies is a fault on the page and not
the end of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.trust.page import Report, commit, finding_of, keep, kept
from tests.trust.proof import Finding, Scale
from tests.trust.proofs import PROOFS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("--scale", type=Scale, choices=list(Scale), default=Scale.SHORT)
    parser.add_argument("--only", nargs="+", metavar="PROOF", choices=list(PROOFS), default=list(PROOFS))
    parser.add_argument("--seed", type=int, default=0, help="the seed of everything that is drawn")
    parser.add_argument("--page", type=Path, default=Path("trust.md"), help="where the page goes")
    parser.add_argument(
        "--add", action="store_true", help="to what the page says of other proofs, from the file beside it"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        finding = PROOFS[options.only[0]].prove(options.scale, options.seed)
        options.child.write_text(json.dumps(asdict(finding)))
        return 0
    reports = kept(options.page) if options.add else {}
    for name in options.only:
        print(f"{name} ...", end=" ", flush=True)
        report = reports[name] = _run(name, options.scale, options.seed)
        print(f"{'ok' if report.finding.ok else 'FAULT'} ({report.seconds:.0f} s)", flush=True)
        for fault in [*report.finding.faults, *_missed(report.finding)]:
            print(f"  {fault}", flush=True)
        keep(options.page, reports)
    print(f"the page: {options.page}")
    return 0 if all(reports[name].finding.ok for name in options.only) else 1


def _missed(finding: Finding) -> list[str]:
    return [f"{f.name}: {f.value}, must be {f.bar}" for f in finding.figures if not f.ok]


def _run(name: str, scale: Scale, seed: int) -> Report:
    """One proof in a session of its own, which ends with it whatever it started."""
    began, at, on = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}", commit()
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "finding.json"
        words = ["--scale", scale, "--only", name, "--seed", str(seed), "--child", str(answer)]
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.trust", *words],
            stdout=sys.stderr,
            start_new_session=True,
        )
        try:
            code = child.wait(PROOFS[name].patience[scale])
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
        if answer.exists():
            finding = finding_of(json.loads(answer.read_text()))
        else:
            how = "did not end in time" if code is None else f"ended with {code} and said nothing"
            finding = Finding(faults=[f"the proof {how}"])
    return Report(name, scale, seed, on, at, time.monotonic() - began, finding)


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


if __name__ == "__main__":
    sys.exit(main())
