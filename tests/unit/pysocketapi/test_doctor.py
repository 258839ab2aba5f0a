"""The doctor says something useful on any host, and changes nothing."""

import subprocess
import sys

import pytest

from pysocketapi import doctor


@pytest.mark.parametrize("check", doctor.CHECKS, ids=lambda check: check.__name__)
def test_each_check_gives_a_finding(check):
    finding = check()
    assert finding.mark in ("ok", "gap", "note") and finding.what and finding.found
    assert finding.mark != "gap" or finding.advice, "a gap without advice"


def test_absent_kernel_sctp_comes_with_advice(monkeypatch):
    monkeypatch.setattr(doctor, "probe_kernel", lambda: "it has no SCTP")
    finding = doctor.kernel_sctp()
    assert finding.mark == "gap" and "absent" in finding.found and finding.advice


def test_blocked_kernel_sctp(monkeypatch):
    monkeypatch.setattr(doctor, "probe_kernel", lambda: "this process is not allowed to use it")
    assert "blocked" in doctor.kernel_sctp().found
    monkeypatch.setattr(doctor, "probe_kernel", lambda: "it has no SCTP")
    monkeypatch.setattr(doctor, "_module_is_blocked", lambda: True)
    assert "blocked" in doctor.kernel_sctp().found


def test_present_kernel_sctp(monkeypatch):
    monkeypatch.setattr(doctor, "probe_kernel", lambda: "")
    assert doctor.kernel_sctp().mark == "ok"


def test_the_report_has_a_line_for_each_finding_and_each_advice():
    findings = [doctor.Finding("ok", "a", "b"), doctor.Finding("gap", "c", "d", "do this")]
    assert doctor.report(findings).splitlines() == ["ok    a: b", "gap   c: d", "      -> do this"]


def _run(*words):
    command = [sys.executable, "-m", "pysocketapi", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command():
    run = _run("doctor")
    assert run.returncode == 0 and "transport: auto takes" in run.stdout
    assert _run().returncode == 2
    assert "usage" in _run("doctor", "surplus").stderr
