"""What the running Asterisk says of itself over AMI: version, rights of our account, dialplan.

Rights are tried, not read: each action here is of a kind that fails for another reason where the
right is there (a channel that does not exist), so nothing happens to any call.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bridge.asterisk.errors import ActionError, ActionRejected
from bridge.asterisk.link_state import AmiSettings, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.cli.check_result import Found, bad, good, judged, unseen
from bridge.settings.model import Settings

OLDEST_ASTERISK: Final = (22, 10, 1)
LOGIN_S: Final = 6.0
HEARD_S: Final = 4.0
"""Within which FullyBooted and a canary of ours must have come."""
DENIED: Final = "Permission denied"
NOBODY: Final = "PJSIP/bridge110-check-00000000"

_NEEDED: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "originate": ("Originate", {"Async": "true"}),
    "call": (
        "Redirect",
        {"Channel": NOBODY, "Context": "bridge110-check", "Exten": "s", "Priority": "1"},
    ),
    "agent": ("QueuePause", {"Interface": "PJSIP/bridge110-check", "Paused": "true"}),
    "reporting": ("CoreSettings", {}),
    "user": ("UserEvent", {"UserEvent": "Bridge110Check"}),
}
_FORBIDDEN: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "system": ("ModuleCheck", {"Module": "app_queue"}),
    "command": ("Command", {"Command": "core show uptime"}),
    "config": ("GetConfig", {"Filename": "bridge110-check-none.conf"}),
}


async def live(settings: Settings, secret: str, contexts: Iterable[str]) -> list[Found]:
    """Look at the running Asterisk. Never raises for what Asterisk does or says."""
    account = AmiSettings(
        host=settings.ami.host,
        port=settings.ami.port,
        username=settings.ami.username,
        secret=secret,
        tls=settings.ami.tls,
        ca_file=settings.ami.ca_file,
        server_hostname=settings.ami.server_hostname,
    )
    where = f"{account.host}:{account.port}"
    try:
        async with _linked(account) as (link, heard):
            if not link.state.usable:
                return [bad("AMI", f"{where}: {link.state.words}", _mend(link.state))]
            found = [good("AMI", where), await _version(link), await _rights(link)]
            found.append(await _heard(link, heard))
            found.append(await _contexts(link, sorted(contexts)))
            return found
    except (ActionError, ValueError) as error:
        return [bad("AMI", f"{where}: {error}", "稍后再试 / correct [ami], or try again")]


@asynccontextmanager
async def _linked(account: AmiSettings) -> AsyncIterator[tuple[AmiLink, set[str]]]:
    """A link that is up, or has said why not; the names of the events it hears."""
    heard: set[str] = set()
    judged_now = asyncio.Event()
    tried = {LinkState.DOWN, LinkState.UP, LinkState.BAD_SECRET, LinkState.BAD_CERTIFICATE}
    link = AmiLink(
        account,
        rng=random.Random(),  # noqa: S311 - spreads retries, keeps no secret
        on_event=lambda event: heard.add(event.get("Event")),
        on_state=lambda state, _: judged_now.set() if state in tried else None,
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(link.run(stop), name="check-link")
        try:
            async with asyncio.timeout(LOGIN_S):
                await judged_now.wait()
        except TimeoutError:
            pass
        try:
            yield link, heard
        finally:
            stop.set()


def _mend(state: LinkState) -> str:
    if state is LinkState.BAD_SECRET:
        return "口令与 manager_account.conf 不一致 / the secret differs from manager_account.conf"
    if state is LinkState.BAD_CERTIFICATE:
        return "检查 ami.ca_file 与 ami.server_hostname / check these keys"
    return "启动 Asterisk,检查 ami.host、ami.port / start Asterisk, check these keys"


async def _version(link: AmiLink) -> Found:
    try:
        said = (await link.call("CoreSettings")).get("AsteriskVersion")
    except ActionError as error:
        return unseen("Asterisk version", str(error))
    wanted = ".".join(map(str, OLDEST_ASTERISK))
    return judged(
        "Asterisk version",
        None if (version_of(said) or (0,)) >= OLDEST_ASTERISK else said or "?",
        said,
        f"升级到 {wanted} 或更新(安全修正) / upgrade to {wanted} or later (security mends)",
    )


def version_of(text: str) -> tuple[int, ...] | None:
    """`22.10.1~dfsg` as (22, 10, 1); None for a text without a version."""
    found = re.search(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text)
    return None if found is None else tuple(int(part or 0) for part in found.groups())


async def _rights(link: AmiLink) -> Found:
    """Exactly the rights of the sheet: what is missing stops us, what is too much opens a shell."""
    missing = [right for right in _NEEDED if not await _allowed(link, *_NEEDED[right])]
    if missing:
        return bad(
            "AMI rights",
            f"缺少 / missing: {', '.join(missing)}",
            "manager.conf: write = call,originate,reporting,agent,user",
        )
    extra = [right for right in _FORBIDDEN if await _allowed(link, *_FORBIDDEN[right])]
    if extra:
        return bad(
            "AMI rights",
            f"过宽,可执行系统命令 / too wide, opens a shell: {', '.join(extra)}",
            "manager.conf: write = call,originate,reporting,agent,user",
        )
    return good("AMI rights", ", ".join(_NEEDED))


async def _allowed(link: AmiLink, action: str, headers: Mapping[str, str]) -> bool:
    try:
        await link.call(action, headers)
    except ActionRejected as error:
        return error.message.get("Message") != DENIED
    return True


async def _heard(link: AmiLink, heard: set[str]) -> Found:
    """Reading `system` shows FullyBooted, reading `user` our own canary."""
    try:
        async with asyncio.timeout(HEARD_S):
            while link.lag_s is None or "FullyBooted" not in heard:  # noqa: ASYNC110 - bounded
                await asyncio.sleep(0.05)
    except TimeoutError:
        silent = "FullyBooted" if "FullyBooted" not in heard else "UserEvent"
        return bad(
            "AMI events",
            f"没有收到 {silent} / {silent} was not heard",
            "manager.conf: read = call,reporting,security,user,agent,system",
        )
    return good("AMI events", f"{1000 * (link.lag_s or 0):.0f} ms")


async def _contexts(link: AmiLink, contexts: list[str]) -> Found:
    """The plan as it runs, which may be older than the files."""
    missing = []
    for context in contexts:
        try:
            await link.collect("ShowDialPlan", {"Context": context})
        except ActionRejected as error:
            if error.message.get("Message") == DENIED:
                return unseen("dialplan running", f"ShowDialPlan: {DENIED}")
            missing.append(context)
    return judged(
        "dialplan running",
        f"缺少上下文 / contexts are missing: {', '.join(missing[:6])}" if missing else None,
        f"{len(contexts)} 个上下文 / contexts",
        "asterisk -rx 'dialplan reload' (文件正确时 / when the files are right)",
    )
