"""Asking a directory again about the users who are in: those with living sessions or tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select

from ovcadmin.drivers.directory.base import Directory, Group, Person
from ovcadmin.errors import DirectoryPartial
from ovcadmin.models import Session, Token, User
from ovcadmin.services import directory_people, realms
from ovcadmin.services.realms import Contact
from ovcadmin.services.rolls import Roll
from ovcadmin.services.super_admins import Keeper
from ovcadmin.work import Work

MANY = 10
"""Of so many or more, most are not gone at once."""
EVERY = timedelta(seconds=20)
"""How old the last answer about somebody may be."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """A user who is in."""

    user_id: int
    key: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the directory said about a user."""

    user: Live
    person: Person | None
    """None: the directory does not know him any more."""
    groups: Sequence[Group] = ()


def due(work: Work) -> list[tuple[Contact, list[Live]]]:
    """Return the users that are to be asked about, realm by realm."""
    found = []
    for realm in realms.directories(work):
        users = list(_live(work, realm.id))
        if users:
            found.append((realms.contact(work, realm), users))
    return found


def _live(work: Work, realm_id: int) -> Iterator[Live]:
    now = work.now()
    idle = now - timedelta(minutes=work.settings.session_idle_minutes)
    sessions = select(Session.user_id).where(
        Session.revoked_at.is_(None), Session.expires_at > now, Session.seen_at > idle
    )
    tokens = select(Token.user_id).where(
        Token.revoked_at.is_(None), or_(Token.expires_at.is_(None), Token.expires_at > now)
    )
    rows = work.db.execute(
        select(User.id, User.directory_key).where(
            User.realm_id == realm_id,
            User.directory_key.is_not(None),
            User.disabled_at.is_(None),
            or_(User.checked_at.is_(None), User.checked_at <= now - EVERY),
            or_(User.id.in_(sessions), User.id.in_(tokens)),
        )
    )
    return (Live(user_id=user_id, key=str(key)) for user_id, key in rows)


def ask(directory: Directory, user: Live) -> Answer:
    """Ask about one user; in no transaction."""
    person = directory.person_by_key(user.key)
    groups = directory.groups_of(person) if person is not None and not person.disabled else ()
    return Answer(user=user, person=person, groups=groups)


def ask_all(directory: Directory, kind: str, users: Sequence[Live]) -> list[Answer]:
    """Ask about many users at once: by the whole list; in no transaction."""
    wanted = {user.key: user for user in users}
    answers = []
    with Roll(directory, kind) as roll:
        groups = {group.key: group for group in roll.groups}
        for batch in roll.batches(500):
            for person in batch:
                if user := wanted.pop(person.key, None):
                    held = [groups[key] for key in roll.groups_of(person)]
                    answers.append(Answer(user=user, person=person, groups=held))
    return answers + [Answer(user=user, person=None) for user in wanted.values()]


def believed(directory: Directory, answers: Sequence[Answer]) -> Sequence[Answer]:
    """Return the answers, if it can be true that those are gone who seem to be.

    Raises `DirectoryPartial` when the directory shows nobody at all any more, or seems to have
    lost most of many: then a base or a right was changed, and people are still there.
    """
    gone = sum(answer.person is None for answer in answers)
    if gone and next(directory.people(), None) is None:
        raise DirectoryPartial("The directory shows nobody at all; nothing was changed.")
    if len(answers) >= MANY and gone > len(answers) // 2:
        raise DirectoryPartial(
            f"The directory seems to have lost {gone} of {len(answers)} users at once; nothing "
            "was changed."
        )
    return answers


def settle(work: Work, realm_id: int, answer: Answer) -> None:
    """Write an answer down: words, groups, and whether he is out.

    The last Super Admin stays one and is out all the same; a synchronisation tells of it.
    """
    user = work.db.get(User, answer.user.user_id)
    if user is None:
        return
    if answer.person is not None:
        directory_people.take_in(work, realm_id, answer.person, answer.groups)
    elif user.disabled_at is None:
        kept = Keeper().person(work, [user.id]) is not None
        directory_people.shut_out(work, user) if kept else directory_people.put_out(work, [user])
