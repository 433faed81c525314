"""Privileges as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ovcadmin.security.privileges import Privilege

WORDS: dict[Privilege, tuple[str, str]] = {
    Privilege.VIEW: ("view", "See the pool and what is in it."),
    Privilege.CONTROL: ("control machines", "Power, console, own snapshots, ISO."),
    Privilege.CREATE: ("create machines", "Create and delete machines in the pool."),
    Privilege.MODIFY: (
        "modify",
        "Sub-pools, hosts, storage, images, networks, any machine, placement, migration.",
    ),
    Privilege.SET_QUOTA: ("set quota", "Set the quota of sub-pools."),
    Privilege.SEE_GRANTS: ("see grants", "See who holds which role, and the audit log."),
    Privilege.SET_GRANTS: ("set grants", "Give and revoke roles that hold no more than one's own."),
    Privilege.FETCH_IMAGES: (
        "fetch images",
        "Have the console fetch images from the addresses that its settings allow.",
    ),
    Privilege.EDIT_KNOWLEDGE: ("edit the knowledge base", "Counts where it is held on the root."),
    Privilege.VIEW_AS: (
        "view as somebody else",
        "See the console as another user does. Counts where it is held on the root.",
    ),
    Privilege.HOST_SHELL: (
        "type into hosts",
        "A shell on the hosts of the pool, where the console's settings switch that on.",
    ),
}


def privileges(held: Any) -> str:
    """Name the privileges of a role, or of a set of them, in their usual order."""
    found: Iterable[Any] = getattr(held, "privileges", held)
    names = {str(getattr(one, "privilege", one)) for one in found}
    return ", ".join(WORDS[one][0] for one in Privilege if one.value in names) or "nothing"
