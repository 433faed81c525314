"""Changing people where they are kept: a writable directory first, the console's rows after it.

Shared by pages and REST.  Each function makes short transactions of its own: none is open while a
directory is asked, so the request's context must not have opened one either (security/apart).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.errors import InvalidInput
from ovcadmin.services import passwords, people, realms, sign_ins, users


def get(request: Any, user_id: int) -> Any:
    with request.work_apart(write=False) as work:
        return users.get(work, user_id)


def create(request: Any, *, realm: str, **given: str) -> Any:
    """Make a user in a realm that can be written.

    `given` are name, password, display_name and email.  Raises `InvalidInput`.
    """
    with request.work_apart(write=False) as work:
        found = next((one for one in users.writable_realms(work) if one.name == realm), None)
        if found is None:
            text = "There is no such realm in which users can be made."
            raise InvalidInput("The user was not made.", fields={"realm": text})
        contact = None if found.is_internal else realms.contact(work, found)
    person = users.create_outside(contact, request.directories, **given) if contact else None
    with request.work_apart(write=True) as work:
        if contact is None or person is None:
            return users.create(work, **given)
        return users.took_in(work, contact, person, "user.create")


def edit(request: Any, user_id: int, *, display_name: str, email: str) -> None:
    given = {"display_name": display_name, "email": email}
    _change(
        request,
        user_id,
        "user.edit",
        lambda directory, key: directory.edit_person(key, **given),
        lambda work, row: users.edit(work, row, **given),
    )


def set_password(request: Any, user_id: int, new: str) -> None:
    """Set somebody's password; all his sessions end."""
    _change(
        request,
        user_id,
        "user.password",
        lambda directory, key: directory.set_password(key, new),
        lambda work, row: people.reset_password(work, row, new),
    )


def set_disabled(request: Any, user: Any, *, disabled: bool) -> None:
    """Disable or enable a user: in the directory where that can be written, else here."""
    if not users.changeable(user) or user.disabled_by == people.ADMINISTRATOR:
        with request.work_apart(write=True) as work:
            users.set_disabled(work, users.get(work, user.id), disabled=disabled)
        return
    if disabled:
        with request.work_apart(write=True) as work:
            users.ensure_removable(work, users.get(work, user.id))
    _change(
        request,
        user.id,
        "user.disable" if disabled else "user.enable",
        lambda directory, key: directory.set_disabled(key, disabled=disabled),
        lambda work, row: users.set_disabled(work, row, disabled=disabled),
    )


def remove(request: Any, user_id: int) -> None:
    """Delete a user, and his entry in a directory that can be written."""
    with request.work_apart(write=True) as work:
        users.ensure_removable(work, users.get(work, user_id))
        where = users.target(work, user_id)
    users.change_outside(
        where, request.directories, lambda directory, key: directory.delete_person(key)
    )
    with request.work_apart(write=True) as work:
        users.remove(work, users.get(work, user_id))


def change_own_password(request: Any, *, old: str, new: str, again: str) -> None:
    """Change the reader's own password; a wrong old one counts as a failed sign-in."""
    with request.work_apart(write=False) as work:
        mine = passwords.look_up(work, request.identity.user_id)
    try:
        passwords.prove_and_change(mine, request.directories, old=old, new=new, again=again)
    except InvalidInput as error:
        if "old" in error.fields:
            with request.work_apart(write=True) as work:
                sign_ins.refuse(work, mine.account, error)
        raise
    with request.work_apart(write=True) as work:
        passwords.changed(work, mine, new)


def _change(
    request: Any,
    user_id: int,
    action: str,
    outside: Callable[[Any, str], Any],
    here: Callable[[Any, Any], None],
) -> None:
    """Change a user where he is kept: in his directory, or here."""
    with request.work_apart(write=False) as work:
        where = users.target(work, user_id)
    person = users.change_outside(where, request.directories, outside)
    with request.work_apart(write=True) as work:
        if where.contact is None:
            here(work, users.get(work, user_id))
        else:
            users.changed_outside(work, where, person, action)
