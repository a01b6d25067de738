"""A real Asterisk with this project's configuration, run for a laboratory or a test.

Everything it reads and writes is below one run directory; it listens on 127.0.0.1 alone and dies
with the process that started it, unless told to outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.lab.packages import find_program
from bridge.lab.ports import HOST
from bridge.lab.progress import SetupError
from bridge.lab.root import AsteriskRoot
from bridge.lab.rundir import RunDir, write_configuration
from bridge.lab.site import LabSite

BOOT_SECONDS: Final = 20.0
"""An explicit module list boots in 0.4 s; the rest is for a loaded machine."""
STOP_SECONDS: Final = 5.0
"""How long an Asterisk may take to end when asked, before it is killed."""
POLL_SECONDS: Final = 0.02


@dataclass(slots=True)
class Switch:
    """One Asterisk. All waiting methods may be called from any event loop."""

    root: AsteriskRoot
    site: LabSite
    run: RunDir
    outlive: bool = False
    """Whether it goes on when this process dies; else the kernel ends it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """More of the environment, for tests that stand between it and the system's library."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def prepare(self) -> None:
        """Write the configuration into the run directory; recordings and databases there stay.

        Raises SetupError when the directory's name is too long for Asterisk's control socket.
        """
        write_configuration(self.run, self.site, self.root)

    async def start(self) -> None:
        """Start Asterisk and wait until it is fully booted.

        Raises SetupError, with the last lines it wrote, when it ends or does not boot in time.
        """
        if self.running:
            raise RuntimeError("this Asterisk runs already")
        self._launch()
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                while not await self._booted():
                    if not self.running:
                        raise SetupError(f"Asterisk ended while booting:\n{self._last_words()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as late:
            self._signal(signal.SIGKILL)
            raise SetupError(
                f"Asterisk did not boot in {BOOT_SECONDS:.0f} s:\n{self._last_words()}"
            ) from late

    def _launch(self) -> None:
        command = self.root.command("asterisk", "-f", "-C", str(self.run.etc / "asterisk.conf"))
        if not self.outlive and (setpriv := find_program("setpriv")) is not None:
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        # Getvar ENV() is open to the daemon's account: no secret of ours may be in there.
        kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        with self.run.output_file.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.run.path,
                env=kept | {"LC_ALL": "C.UTF-8", "HOME": str(self.run.path), **self.environment},
                start_new_session=True,
            )

    async def _booted(self) -> bool:
        """Logs on to AMI and waits for FullyBooted; False while nobody answers."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self.site.ports.ami)
        except OSError:
            return False
        try:
            secret = self.site.ami_secret
            login = f"Action: Login\r\nUsername: bridge110\r\nSecret: {secret}\r\n\r\n"
            writer.write(login.encode("ascii"))
            async for line in reader:
                if line.startswith(b"Event: FullyBooted"):
                    return True
                if line.startswith(b"Message: Authentication failed"):
                    raise SetupError(
                        f"another Asterisk answers on {HOST}:{self.site.ports.ami}, or the account "
                        f"[bridge110] in {self.run.etc / 'manager.conf'} does not let us in"
                    )
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return False

    @property
    def running(self) -> bool:
        """Whether the process is there (it may be frozen)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when it was never started."""
        if self._process is None:
            raise RuntimeError("this Asterisk was not started")
        return self._process.pid

    async def wait_ended(self) -> int:
        """Wait, without limit, until the process has ended; its exit status, negative by signal."""
        while self._process is not None and self._process.poll() is None:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)  # a child is reaped by asking, on any loop
        return 0 if self._process is None else self._process.returncode

    async def stop(self) -> None:
        """End Asterisk, its calls with it; by force when it does not within STOP_SECONDS."""
        self.thaw()
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.wait_ended()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Kill Asterisk as a fault would (SIGKILL) and wait until it is gone."""
        self._signal(signal.SIGKILL)
        await self.wait_ended()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again on the same run directory and ports."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): sockets stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    async def console(self, command: str, timeout: float = 10.0) -> str:
        """What Asterisk's own console answers, for tests that must not trust our AMI side.

        Raises SetupError when it does not answer in `timeout` seconds.
        """
        conf = str(self.run.etc / "asterisk.conf")
        asking = await asyncio.create_subprocess_exec(
            *self.root.command("asterisk", "-C", conf, "-rx", command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(timeout):
                answer, _ = await asking.communicate()
        except TimeoutError as late:
            asking.kill()
            await asking.wait()
            raise SetupError(f"Asterisk's console: no answer to {command!r}") from late
        return answer.decode("utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        """Only ever to our own child, and only while it has not been waited for."""
        if self._process is not None:
            self._process.send_signal(number)

    def _last_words(self) -> str:
        words: deque[str] = deque(maxlen=15)
        for file in (self.run.output_file, self.run.log_file):
            if file.is_file():
                words.extend(file.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        return "\n".join(f"    {line}" for line in words)
