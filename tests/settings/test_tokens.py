"""The tokens file: only hashes, one record a line, refused with its line when it is spoilt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.tokens import TokenRecord, TokensError, add_token, digest, new_token, read_tokens

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)


def record(name: str = "one", word: str = "w") -> TokenRecord:
    return TokenRecord(
        name=name, role="T", seat="8001", sha256=digest(word), expires=NOW + timedelta(days=1)
    )


def test_records_come_back_in_order_and_the_token_is_not_in_the_file(tmp_path: Path) -> None:
    file, word = tmp_path / "tokens.jsonl", new_token()
    assert read_tokens(file) == []
    add_token(file, record("one", word))
    add_token(file, record("张三"))
    assert read_tokens(file) == [record("one", word), record("张三")]
    assert word not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o007 == 0


def test_token_ends_with_its_time() -> None:
    assert record().valid_at(NOW)
    assert not record().valid_at(NOW + timedelta(days=1))


def test_name_is_taken_once(tmp_path: Path) -> None:
    add_token(tmp_path / "t", record())
    with pytest.raises(TokensError, match="name is taken"):
        add_token(tmp_path / "t", record())
    assert len(read_tokens(tmp_path / "t")) == 1


@pytest.mark.parametrize(
    "line", ["{}", "no json", '{"name":"x","role":"Z","sha256":"' + "0" * 64 + '"}', "[]"]
)
def test_spoilt_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "t"
    add_token(file, record())
    with file.open("a", encoding="utf-8") as out:
        out.write(line + "\n")
    with pytest.raises(TokensError, match=f"^{file}:2: "):
        read_tokens(file)


def test_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t"
    add_token(file, record())
    file.chmod(0o644)
    with pytest.raises(TokensError, match="chmod o-rwx"):
        read_tokens(file)


def test_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="cannot be written"):
        add_token(tmp_path / "none" / "t", record())


def test_tokens_are_never_the_same() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert min(len(word) for word in made) >= 43
