"""Every error code has an article, and a status that is no accident."""

from __future__ import annotations

import pytest

from ovcadmin import errors
from ovcadmin.answers import STATUS, status_of
from ovcadmin.services import knowledge

NEVER_SHOWN = {"operation.lease_lost", "operation.cancelled", "operation.worker_lost", "internal"}
"""Errors of workers, which end in an operation's row and not in an answer; and our own defects."""


@pytest.mark.parametrize("code", sorted(errors.codes()))
def test_an_error_code_has_an_article(code):
    article = knowledge.error_article(code)
    assert article.title
    assert article.text.body.partition("\n\n")[0][:1].isupper()  # what it means stands first
    assert [heading.title for heading in article.rendered.contents] == [
        "Likely causes",
        "What to do",
    ]


def test_every_article_is_about_an_error_code():
    assert {path.stem for path in knowledge.ERRORS.glob("*.md")} == set(errors.codes())


def test_only_defects_are_the_server_s_fault():
    def every(kind):
        yield kind
        for sub in kind.__subclasses__():
            yield from every(sub)

    for kind in every(errors.DomainError):
        accident = status_of(kind("text")) == 500
        assert accident is (kind.code in NEVER_SHOWN or kind is errors.SettingInvalid), kind


def test_a_general_status_never_hides_a_special_one():
    for place, (kind, _) in enumerate(STATUS):
        assert not any(issubclass(later, kind) for later, _ in STATUS[place + 1 :]), kind
