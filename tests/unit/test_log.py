"""Every process writes the same lines, and a secret stands in none."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from ovcadmin import log


@pytest.fixture
def logger() -> Iterator[structlog.stdlib.BoundLogger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log.configure("info")
    yield structlog.stdlib.get_logger("test")
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_an_event_is_one_line_of_words(logger, capsys) -> None:
    with log.bound(operation=7):
        logger.info("disk.cloned", volume="a b", size=5)
    time, level, *rest = said(capsys).split()
    assert time.endswith("Z")
    assert (level, rest[0]) == ("info", "disk.cloned")
    assert set(rest[1:]) >= {'volume="a', 'b"', "size=5", "operation=7"}


def test_a_library_ends_in_the_same_chain(logger, capsys) -> None:
    logging.getLogger("waitress").warning("Task queue depth is %d", 3)
    assert '"Task queue depth is 3" logger=waitress' in said(capsys)


@pytest.mark.parametrize(
    "name", ["password", "api_token", "csrf_token", "cookie", "key", "key_hash", "Authorization"]
)
def test_a_value_with_the_name_of_a_secret_is_hidden(logger, capsys, name: str) -> None:
    logger.info("event", **{name: "hunter2"})
    assert "hunter2" not in said(capsys)


def test_a_password_inside_an_address_is_hidden_also_in_a_traceback(logger, capsys) -> None:
    address = "postgresql://anna:hunter2@db/x"
    try:
        int(address)
    except ValueError:
        logger.exception("failed", address=address)
    text = said(capsys)
    assert "hunter2" not in text
    assert "postgresql://anna:[hidden]@db/x" in text


@pytest.mark.parametrize("evil", ["two\nlines", "\x1b[2J", "a\r\nb", "\u202etxt"])
def test_a_value_can_break_neither_the_line_nor_the_terminal(logger, capsys, evil: str) -> None:
    logger.info("event", name=evil)
    text = said(capsys)
    assert text.count("\n") == 1
    assert text.strip().isprintable()
