"""A whole systemd booted in namespaces of its own, with the service installed as its README says.

The program is this tree with this Python, shown to the machine at /opt/bridge110; the units are the
shipped ones, with a shorter watchdog. `NESTED` is added only where the host's kernel refuses what
it names; `Booted.limits` says so then, in systemd's words.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from bridge.lab.bootroot import ensure_boot_root
from bridge.share import share
from bridge.tokens import TokenRecord, add_token, digest, new_token

T = TypeVar("T")

BOOT: Final = Path(__file__).with_name("boot.sh")
TREE: Final = Path(__file__).parents[2]
NAMESPACES: Final = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup")
FONTS: Final = Path("/usr/share/fonts/truetype/wqy")
"""The papers' typeface, of the package fonts-wqy-zenhei (bridge/lab/prepare.py installs it)."""
BOOT_S: Final = 60.0
"""Takes 1 s; the rest is for a loaded machine."""
SECRET: Final = "a-secret-of-the-nested-machine"
NESTED: Final = """\
# What a boot nested in namespaces cannot do on every host.
[Service]
PrivateUsers=no
LoadCredential=
Environment=CREDENTIALS_DIRECTORY=/run/bridge110-credentials
"""
NESTED_FILE: Final = "/etc/systemd/system/bridge110.service.d/nested-boot.conf"
QUICK: Final = """\
# The same watchdog in less of the tests' time.
[Service]
WatchdogSec=4
"""
MASKED: Final = (
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-logind.service",
    "systemd-update-utmp.service",
    "systemd-journal-flush.service",
    "systemd-tmpfiles-setup-dev.service",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
)
"""Units that would touch the host's kernel or wait for hardware."""
LOADER: Final = """\
#!/bin/sh
# This tree's Python with the libraries it was made for.
exec /opt/host/lib/{loader} --inhibit-cache --library-path /opt/host/python/lib:/opt/host/lib \\
    --argv0 /opt/bridge110/bin/python3 /opt/host/python/bin/{python} {arguments} "$@"
"""


class Booted:
    """One running machine. `pid` is that of its first process, as the host sees it."""

    def __init__(self, work: Path, starter: subprocess.Popen[bytes], pid: int, token: str) -> None:
        self.work = work
        self.pid = pid
        self.token = token
        self.limits = ""
        self._starter = starter

    def run(
        self, *command: str, timeout: float = 60.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """A command inside. Raises AssertionError with its words when it fails."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "-i", "-C", "--"]
        done = subprocess.run(
            [*inside, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""},
        )
        assert not check or done.returncode == 0, (
            command,
            done.stdout,
            done.stderr,
            self.journal(),
        )
        return done

    def host_python(self, *arguments: str) -> list[str]:
        """Command of the host's Python with nothing but the machine's network."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", sys.executable, *arguments]

    def show(self, *names: str, unit: str = "bridge110.service") -> dict[str, str]:
        """Properties of a unit."""
        wanted = [f"--property={name}" for name in names]
        lines = self.run("systemctl", "show", unit, *wanted).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def main_pid(self) -> int:
        """The daemon's process, by the machine's own numbers; 0 when there is none."""
        return int(self.show("MainPID")["MainPID"])

    @property
    def restarts(self) -> int:
        """How often systemd has started it again by itself."""
        return int(self.show("NRestarts")["NRestarts"])

    def journal(self, unit: str = "") -> str:
        """The machine's log, or one unit's."""
        about = ["-u", unit] if unit else []
        return self.run("journalctl", "--no-pager", "-o", "cat", *about, check=False).stdout

    def until(self, look: Callable[[], T], seconds: float = 30.0) -> T:
        """What `look` finds as soon as it is true. Raises AssertionError with the log."""
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"not within {seconds:g} s:\n{self.journal()[-4000:]}"
            time.sleep(0.05)
        return found

    def signal(self, name: str) -> None:
        """A signal to the daemon, from outside systemd."""
        self.run("sh", "-c", f"kill -{name} {self.main_pid}")

    def is_up(self) -> bool:
        """The daemon has told systemd that it is ready."""
        return self.show("ActiveState")["ActiveState"] == "active" and self.main_pid > 0

    def off(self) -> None:
        """Switch the machine off: its first process takes all others with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._starter.wait()


def why_not() -> str:
    """Why no machine can be booted here, in the kernel's own words; empty when it can be."""
    if os.geteuid() != 0:
        return "only root can make the namespaces of a machine"
    probe = (
        "mount --make-rprivate / && mount -t proc proc /proc && mount -t cgroup2 none /mnt && "
        "mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c && mount -t overlay "
        "-o lowerdir=/usr,upperdir=/mnt/b,workdir=/mnt/c none /mnt/a"
    )
    done = subprocess.run(
        ["unshare", *NAMESPACES, "--fork", "sh", "-c", probe],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stderr.strip()


@contextlib.contextmanager
def booted() -> Iterator[Booted]:
    """A machine with the service enabled and started; Asterisk is not there at all."""
    work = Path(tempfile.mkdtemp(prefix="bridge110-boot-"))
    group = _own_group(work.name)
    token = _install(work)
    output = (work / "output").open("wb")
    starter = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", "unshare", *NAMESPACES, "--fork",
         "--kill-child=KILL", "sh", str(BOOT), str(ensure_boot_root()), str(work)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: _enter(group),
        start_new_session=True,
    )  # fmt: skip
    try:
        machine = Booted(work, starter, _first_process(starter, work), token)
        try:
            machine.until(lambda: _is_running(machine), BOOT_S)
            _serve(machine)
            yield machine
        finally:
            machine.off()
    finally:
        starter.kill()
        starter.wait()
        output.close()
        _leave(group)
        shutil.rmtree(work, ignore_errors=True)


def _is_running(machine: Booted) -> bool:
    state = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
    return state in ("running", "degraded")


def _serve(machine: Booted) -> None:
    """The daemon runs; by the drop-in for nested boots where the host lets it in no other way."""
    machine.until(lambda: machine.is_up() or machine.restarts >= 2, BOOT_S)
    if machine.is_up():
        return
    words = [line for line in machine.journal("bridge110").splitlines() if "ailed" in line]
    machine.limits = "\n".join(words[:4])
    text = shlex.quote(NESTED)
    machine.run("sh", "-c", f"printf %s {text} >{NESTED_FILE} && systemctl daemon-reload")
    machine.run("systemctl", "restart", "bridge110")
    machine.until(machine.is_up, BOOT_S)


def _first_process(starter: subprocess.Popen[bytes], work: Path) -> int:
    """The process that becomes systemd: the one child of unshare (which setpriv has become)."""
    children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
    end = time.monotonic() + BOOT_S
    while time.monotonic() < end:
        if starter.poll() is not None:
            raise AssertionError(f"no boot: {(work / 'output').read_text(errors='replace')}")
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(children.read_text().split()[0])
            if Path(f"/proc/{pid}/exe").resolve().name == "systemd":
                return pid
        time.sleep(0.02)
    raise AssertionError(f"no systemd: {(work / 'output').read_text(errors='replace')}")


def _install(work: Path) -> str:
    """What the README tells to install, below `work/add`; the token of seat 8001."""
    add, units = work / "add", share("systemd")
    system, etc = add / "etc/systemd/system", add / "etc/bridge110"
    for place in (system / "sockets.target.wants", system / "multi-user.target.wants", etc):
        place.mkdir(parents=True)
    for name, target in (("socket", "sockets"), ("service", "multi-user")):
        shutil.copy(units / f"bridge110.{name}", system)
        (system / f"{target}.target.wants/bridge110.{name}").symlink_to(f"../bridge110.{name}")
    drop_ins = system / "bridge110.service.d"
    drop_ins.mkdir()
    (drop_ins / "quick-watchdog.conf").write_text(QUICK)
    for name in MASKED:
        (system / name).symlink_to("/dev/null")
    for kind in ("sysusers", "tmpfiles"):
        (add / f"etc/{kind}.d").mkdir()
        shutil.copy(units / f"bridge110.{kind}.conf", add / f"etc/{kind}.d/bridge110.conf")
    stand_in = "# Asterisk's own package makes its account\nu asterisk - - /var/lib/asterisk\n"
    (add / "etc/sysusers.d/asterisk.conf").write_text(stand_in)
    (add / "etc/tmpfiles.d/nested.conf").write_text(
        "d /var/lib/bridge110 0750 bridge110 bridge110 -\n"
        "d /run/bridge110-credentials 0700 bridge110 bridge110 -\n"
        f"f /run/bridge110-credentials/ami-secret 0400 bridge110 bridge110 - {SECRET}\n"
        "z /etc/bridge110/*.* 0640 root bridge110 -\n"
        "d /etc/asterisk 0750 asterisk asterisk -\n"
        "d /usr/share/asterisk/sounds 0755 root root -\n"
    )
    (add / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")  # no first boot: no presets
    toml = (share("config") / "bridge.toml").read_text(encoding="utf-8")
    (etc / "bridge.toml").write_text(toml.replace("ballast_mb = 64", "ballast_mb = 1"))
    shutil.copyfile(share("config") / "units.toml", etc / "units.toml")
    token = new_token()
    (etc / "credentials").mkdir(mode=0o700)
    (etc / "credentials/ami-secret").write_text(f"{SECRET}\n")
    (etc / "credentials/ami-secret").chmod(0o600)
    record = TokenRecord(name="nested", role="T", seat="8001", sha256=digest(token))
    add_token(etc / "tokens.jsonl", record)
    _program(work)
    return token


def _program(work: Path) -> None:
    """/opt/bridge110 as an installation has it, out of this tree and this Python."""
    triplet, version = sysconfig.get_config_var("MULTIARCH"), sysconfig.get_python_version()
    libraries = Path("/usr/lib") / str(triplet)
    loader = next(libraries.glob("ld-linux*.so.*")).name
    home = Path(sys.base_prefix)
    bind = {
        libraries: "/opt/host/lib",
        Path(sysconfig.get_paths()["purelib"]): f"/opt/bridge110/lib/python{version}/site-packages",
        FONTS: str(FONTS),
    }
    if home == Path("/usr"):
        bind[home / "bin"] = "/opt/host/python/bin"
        bind[home / f"lib/python{version}"] = f"/opt/host/python/lib/python{version}"
    else:
        bind[home] = "/opt/host/python"
    for part in ("bridge", "hardware", "config", "dialplans", "systemd"):
        bind[TREE / part] = f"/opt/bridge110/tree/{part}"
    lines = [f"{source} {target}\n" for source, target in bind.items()]
    (work / "bind").write_text("".join(lines))
    programs = work / "add/opt/bridge110/bin"
    programs.mkdir(parents=True)
    python = Path(sys.executable).resolve().name
    for name, arguments in (("python3", ""), ("bridge110", "-m bridge")):
        script = LOADER.format(loader=loader, python=python, arguments=arguments)
        (programs / name).write_text(
            script.replace("exec ", "export PYTHONPATH=/opt/bridge110/tree\nexec ", 1)
        )
        (programs / name).chmod(0o755)
    (work / "add/opt/bridge110/pyvenv.cfg").write_text("home = /opt/host/python/bin\n")


def _own_group(name: str) -> Path | None:
    """A control group for the machine, where this host lets us make one."""
    with contextlib.suppress(OSError, StopIteration):
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        place = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = next(line[3:] for line in lines if line.startswith("0::"))
        group = Path(place) / own.strip("/") / name
        group.mkdir()
        return group
    return None


def _enter(group: Path | None) -> None:
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def _leave(group: Path | None) -> None:
    if group is None:
        return
    inside = sorted(group.rglob("*/"), key=lambda p: len(p.parts), reverse=True)
    for place in [*inside, group]:
        if place.is_dir():
            with contextlib.suppress(OSError):
                place.rmdir()
