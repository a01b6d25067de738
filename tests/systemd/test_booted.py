"""The shipped units in a systemd that was really booted; Asterisk is dead all the time."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.booted import SECRET, Booted, booted, why_not

pytestmark = [pytest.mark.timeout(600)]

LOAD = Path(__file__).with_name("load.py")
PORT = 8110
RESTARTS = 3
WATCHDOG_S = 4.0
STATE = "/var/lib/bridge110"
ASK = """
import http.client, json, sys, uuid
method, path, token, body = sys.argv[1:]
c = http.client.HTTPConnection("127.0.0.1", 8110, timeout=20)
c.request(method, "/api/v1/" + path, body or None, {"Authorization": "Bearer " + token,
    "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())})
a = c.getresponse()
print(json.dumps([a.status, json.loads(a.read() or b"{}")]))
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Booted]:
    reason = why_not()
    if reason:
        pytest.skip(f"no machine can be booted here: {reason}")
    with booted() as made:
        yield made


def ask(machine: Booted, method: str, path: str, body: str = "") -> tuple[int, Mapping[str, Any]]:
    """A request of a desk on the machine."""
    done = subprocess.run(
        machine.host_python("-c", ASK, method, path, machine.token, body),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.stderr, machine.journal("bridge110"))
    status, document = json.loads(done.stdout)
    return status, document


def test_the_units_run_as_they_are_shipped(machine: Booted) -> None:
    """Credentials, own users, hardening: nothing is left out where the host's kernel allows it."""
    if machine.limits:
        pytest.skip(f"this host's kernel refuses: {machine.limits}")
    files = machine.run("ls", "/etc/systemd/system/bridge110.service.d").stdout.split()
    assert files == ["quick-watchdog.conf"]
    assert machine.restarts == 0
    log = machine.journal("bridge110") + machine.journal("bridge110.socket")
    words = ("mode is different", "Unknown", "gnoring")
    assert not [line for line in log.splitlines() if any(word in line for word in words)]


def test_the_daemon_says_what_is_wrong_instead_of_being_restarted(machine: Booted) -> None:
    status, health = ask(machine, "GET", "health")
    assert (status, health["status"]) == (200, "degraded")
    assert health["links"]["asterisk"]["state"] == "down"
    assert health["store"]["away"] == ""


def test_the_secret_is_nowhere_but_in_its_credential(machine: Booted) -> None:
    pid = machine.main_pid
    for place in (f"/proc/{pid}/environ", f"/proc/{pid}/cmdline"):
        assert SECRET not in machine.run("cat", place).stdout
    assert SECRET not in machine.journal()
    if not machine.limits:
        place = "/run/credentials/bridge110.service/ami-secret"
        assert machine.run("stat", "-c", "%U %a", place).stdout.split() == ["bridge110", "400"]


def test_the_process_has_no_rights_and_sees_next_to_nothing(machine: Booted) -> None:
    pid = str(machine.main_pid)
    lines = machine.run("cat", f"/proc/{pid}/status").stdout.splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert {int(status[name], 16) for name in ("CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split()

    def inside(script: str) -> str:
        """What even root gets to hear in the daemon's own view of the machine."""
        done = machine.run("nsenter", "-t", pid, "-m", "sh", "-c", script, check=False)
        return done.stdout + done.stderr

    for place in ("/etc", "/usr", "/opt/bridge110/bin", "/var/lib", "/var/log"):
        assert "Read-only file system" in inside(f"echo >{place}/written"), place
    assert inside("ls /root; ls /home") == ""
    assert inside(f"echo >{STATE}/written && rm {STATE}/written") == ""
    noexec = f"printf '#!/bin/sh\\n' >{STATE}/x; chmod +x {STATE}/x; {STATE}/x; rm {STATE}/x"
    assert "Permission denied" in inside(noexec)


def test_no_connection_is_refused_or_broken_in_restarts_under_load(machine: Booted) -> None:
    with subprocess.Popen(
        machine.host_python(str(LOAD), str(PORT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as load:
        before = machine.main_pid
        for _ in range(RESTARTS):
            machine.run("systemctl", "restart", "bridge110")
            time.sleep(0.2)
        words, _ = load.communicate("")
    found = json.loads(words)
    assert machine.main_pid not in (0, before)
    assert (found["refused"], found["broken"]) == (0, 0), found
    assert found["answered"] > 20
    assert found["slowest_s"] < 20


def test_a_hung_daemon_is_killed_and_is_serving_again(machine: Booted) -> None:
    before, restarts = machine.main_pid, machine.restarts
    machine.signal("STOP")
    machine.until(lambda: machine.restarts > restarts and machine.is_up(), 60)
    assert machine.main_pid != before
    assert f"Watchdog timeout (limit {WATCHDOG_S:g}s)!" in machine.journal("bridge110")
    assert ask(machine, "GET", "health")[0] == 200


def test_a_full_disk_is_shown_and_gone_without_a_restart(machine: Booted) -> None:
    """For more than twice the watchdog's time, Asterisk being dead all along."""
    before, restarts = machine.main_pid, machine.restarts
    agent = json.dumps({"agent": "王"})
    fill = f"dd if=/dev/zero of={STATE}/filler bs=64k 2>/dev/null; df --output=avail {STATE}"
    assert machine.run("sh", "-c", fill).stdout.split()[-1] == "0"
    full_at = time.monotonic()
    status, refusal = ask(machine, "PUT", "seats/8001/agent", agent)
    assert (status, refusal["code"]) == (503, "store-cannot-write"), refusal
    while time.monotonic() - full_at < 2 * WATCHDOG_S + 1:
        assert (machine.main_pid, machine.restarts) == (before, restarts)
        time.sleep(0.2)
    _, health = ask(machine, "GET", "health")
    assert health["store"]["warnings"] or health["store"]["away"]
    machine.run("rm", f"{STATE}/filler")
    machine.until(lambda: ask(machine, "PUT", "seats/8001/agent", agent)[0] == 202)
    assert (machine.main_pid, machine.restarts) == (before, restarts)


def test_a_killed_daemon_is_back_by_itself_and_a_stopped_one_stays_away(machine: Booted) -> None:
    before, restarts = machine.main_pid, machine.restarts
    machine.signal("KILL")
    machine.until(lambda: machine.restarts > restarts and machine.is_up())
    assert machine.main_pid != before
    machine.run("systemctl", "stop", "bridge110.socket", "bridge110.service")
    shown = machine.show("ActiveState", "Result", "ExecMainStatus")
    assert shown == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
