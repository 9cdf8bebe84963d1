"""The page of `make trust`, and what is kept beside it."""

from __future__ import annotations

from tests.trust.page import Report, page
from tests.trust.proof import Finding, Scale
from tests.trust.proofs import PROOFS


def report(name: str, finding: Finding) -> Report:
    return Report(name, Scale.SHORT, 7, "abc", "2030-01-07 09:00", 12.4, finding)


def test_a_figure_beyond_its_bar_is_a_fault_that_the_page_shows() -> None:
    finding = Finding()
    finding.zero("oversold hours", 3)
    assert not finding.ok
    shown = page([report("race", finding)])
    assert "| **FAULT** | shortened | 7 | `abc` |" in shown
    assert "| oversold hours | **3** | 0 |" in shown


def test_a_proof_without_a_fault_is_as_promised() -> None:
    finding = Finding()
    finding.zero("oversold hours", 0)
    finding.remarks.append("Shortened.")
    shown = page([report("race", finding)])
    assert "as promised" in shown
    assert "FAULT" not in shown
    assert shown.index("| oversold hours | 0 | 0 |") < shown.index("Shortened.")


def test_a_report_comes_back_from_plain_values() -> None:
    finding = Finding(faults=["a fault"])
    finding.show("seeds", 40, "at least 30")
    before = report("simulator", finding)
    assert Report.of_dict(before.as_dict()) == before


def test_every_proof_can_be_found_and_says_what_it_promises() -> None:
    for entry in PROOFS.values():
        assert entry.promise.endswith(".")
        assert callable(entry.prove)
