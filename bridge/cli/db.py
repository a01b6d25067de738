"""`bridge110 db`: prove, compare, copy and bring back the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.output import AsJson, CommandError, Config, emit, progress, settings_of
from bridge.flows.rows import replay
from bridge.settings.model import DEFAULT_CONFIG
from bridge.store import Head
from bridge.store import backup as copying
from bridge.store import rebuild as rebuilding
from bridge.store import verify as proving
from bridge.store.files import FilesFound, files_of, look_at
from bridge.tracks.archive import Archive, Wanted, copy_files, wanted

app = typer.Typer(help="存储的校验与备份 / prove and copy the store", no_args_is_help=True)

SHOWN_DIFFERENCES = 50
"""Told in words; --json holds all of them."""

StoreFile = Annotated[
    Path | None,
    typer.Option("--store", help="存储文件,缺省见配置 / the store; default: as configured"),
]


def _store(store: Path | None, config: Path) -> Path:
    return store if store is not None else settings_of(config).store.path


@app.command()
def verify(
    head: Annotated[
        list[str] | None,
        typer.Option(help="曾公布的链头 'site seq hash',可多次 / a published head; many allowed"),
    ] = None,
    store: StoreFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """校验日志链、存储文件及附件 / prove the journal's chain, the store, and files beside it."""
    try:
        published = [Head.parse(text) for text in head or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--head") from error
    path = _store(store, config)
    verdict = proving.verify(path, published, None if as_json else progress)
    fault = verdict.fault
    document: dict[str, Any] = {
        "store": str(path),
        "head": str(verdict.head),
        "fault": None if fault is None else {"seq": fault.seq, "what": fault.what},
    }
    whole = f"完好 / whole: {path}\n{verdict.head}"
    if fault is None:
        found = look_at(files_of(path), copying.named_files(path, at_rest=False))
        document["files"] = {
            "whole": found.whole,
            "missing": [*found.missing],
            "damaged": [*found.damaged],
        }
        whole += f"\n附件与文书 / files: {found.whole}"
    emit(as_json, document, whole if fault is None else f"损坏 / damaged: {path}: {fault}")
    if fault is None and (found.missing or found.damaged):
        raise CommandError(_lost(files_of(path), found))
    if fault is not None:
        raise CommandError(
            f"{path}: {fault}: 请停止守护进程并恢复备份 / stop the daemon and restore a backup"
        )


def _lost(directory: Path, found: FilesFound) -> str:
    names = ", ".join([*found.missing, *found.damaged][:SHOWN_DIFFERENCES])
    return (
        f"{directory}: {len(found.missing)} 个文件缺失,{len(found.damaged)} 个已损坏,请从备份"
        f"恢复 / files that the journal names are gone or damaged; bring them back: {names}"
    )


@app.command()
def rebuild(
    check: Annotated[
        bool, typer.Option("--check", help="只比较,不改动 / compare only, change nothing")
    ] = False,
    store: StoreFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """由日志重算状态并比较 / replay the journal and compare with the state tables."""
    if not check:
        raise typer.BadParameter("只支持比较 / only comparing is offered", param_hint="--check")
    path = _store(store, config)
    differences = rebuilding.check(path, replay)
    document = {
        "store": str(path),
        "differences": [
            {
                "table": one.table,
                "id": one.id,
                "field": one.field,
                "stored": one.stored,
                "replayed": one.replayed,
            }
            for one in differences
        ],
    }
    words = [str(one) for one in differences[:SHOWN_DIFFERENCES]]
    if len(differences) > SHOWN_DIFFERENCES:
        words.append(f"… {len(differences) - SHOWN_DIFFERENCES} 处未列出 / more: see --json")
    emit(as_json, document, "\n".join(words) or f"一致 / the same: {path}")
    if differences:
        raise CommandError(
            f"{path}: {len(differences)} 处与日志不一致,请先 db verify / differences from the "
            "journal; run db verify, keep the file"
        )


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="新文件 / a new file")],
    recordings: Annotated[
        bool,
        typer.Option(
            "--recordings/--no-recordings",
            help="连同录音(<文件>.recordings) / with recordings, beside the file",
        ),
    ] = False,
    store: StoreFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """运行中备份并校验副本 / copy while the daemon writes; the copy is proved."""
    path = _store(store, config)
    made = copying.backup(path, target, None if as_json else progress)
    source = settings_of(config).asterisk.recordings if recordings else None
    beside = _recordings_of(target)
    kept = _kept(made.path, files_of(path), _files_of(target))
    _told(made, _files(made.path, source, beside), kept, as_json, "已备份 / backed up")


@app.command()
def restore(
    copy: Annotated[Path, typer.Argument(help="备份文件 / the backup")],
    store: StoreFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """在空机器上恢复备份 / bring a backup back onto an empty machine.

    备份旁有录音时一并恢复 / recordings beside the backup are brought back too.
    """
    path = _store(store, config)
    made = copying.restore(copy, path)
    beside = _recordings_of(copy)
    source = beside if beside.is_dir() else None
    target = settings_of(config).asterisk.recordings if source is not None else beside
    kept = _kept(made.path, _files_of(copy), files_of(path))
    _told(made, _files(made.path, source, target), kept, as_json, "已恢复 / restored")


def _recordings_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".recordings")


def _files_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".files")


def _kept(database: Path, source: Path, target: Path) -> Archive:
    """Copy attachments and papers that the journal of `database` names."""
    names = dict.fromkeys(copying.named_files(database))
    named = [Wanted("", name, name.partition(".")[0]) for name in names]
    return copy_files(named, source, target) if named else Archive()


def _files(database: Path, source: Path | None, target: Path) -> Archive:
    """Copy the recordings that the journal of `database` names; without a source all are missing.
    A copy that is still being written elsewhere has none of the later ones."""
    named = wanted(copying.closed_recordings(database))
    if source is None:
        return Archive(missing=list(named))
    return copy_files(named, source, target)


def _told(made: copying.Backup, files: Archive, kept: Archive, as_json: bool, words: str) -> None:
    document = {
        "path": str(made.path),
        "head": str(made.head),
        "size": made.size,
        "sha256": made.sha256,
        "recordings": {
            "copied": len(files.copied),
            "missing": [_named(one) for one in files.missing],
            "damaged": [_named(one) for one in files.damaged],
        },
        "files": {
            "copied": len(kept.copied),
            "missing": [one.file for one in kept.missing],
            "damaged": [one.file for one in kept.damaged],
        },
    }
    lines = [f"{words}: {made.path} ({made.size} B)", str(made.head), made.sha256]
    lines.append(f"录音 / recordings: {len(files.copied)}")
    lines.append(f"附件与文书 / files: {len(kept.copied)}")
    for what, some in (
        ("缺失 / missing", [*files.missing, *kept.missing]),
        ("损坏 / damaged", [*files.damaged, *kept.damaged]),
    ):
        lines += [f"{what}: {one.file} ({one.call})" for one in some[:SHOWN_DIFFERENCES]]
        if len(some) > SHOWN_DIFFERENCES:
            lines.append(f"… {len(some) - SHOWN_DIFFERENCES} 个未列出 / more: see --json")
    emit(as_json, document, "\n".join(lines))


def _named(one: Wanted) -> dict[str, str]:
    return {"call": one.call, "file": one.file}
