"""The privileges, and the roles that are shipped.

A privilege is held on a pool and reaches its whole subtree.  Deny does not exist; what no grant
gives is not allowed.
"""

from __future__ import annotations

from enum import StrEnum


class Privilege(StrEnum):
    VIEW = "view"
    """See the pool and what is in it."""
    CONTROL = "control"
    """Power, console, own snapshots, ISO of machines."""
    CREATE = "create"
    """Create and delete machines in the pool."""
    MODIFY = "modify"
    """Sub-pools, hosts, storage, images, networks, any machine, placement, migration."""
    SET_QUOTA = "set_quota"
    """Set the quota of sub-pools: held on the parent."""
    SEE_GRANTS = "see_grants"
    SET_GRANTS = "set_grants"
    FETCH_IMAGES = "fetch_images"
    """Have the console fetch images from addresses of the web."""
    EDIT_KNOWLEDGE = "edit_knowledge"
    VIEW_AS = "view_as"
    HOST_SHELL = "host_shell"
    """Type into hosts themselves."""


SUPER_ADMIN = "Super Admin"

DESCRIPTIONS = {
    SUPER_ADMIN: "Everything, and who else may do what.",
    "Administrator": "Runs a pool: what is in it, what serves it, and how much its parts may use.",
    "User": "Makes machines and works with them.",
    "Monitor": "Looks and changes nothing.",
    "Help Desk": "Looks, writes the knowledge base, and sees what a caller sees.",
}
"""What the shipped roles are for."""

SHIPPED_ROLES: dict[str, frozenset[Privilege]] = {
    SUPER_ADMIN: frozenset(Privilege),
    "Administrator": frozenset(
        {
            Privilege.VIEW,
            Privilege.CONTROL,
            Privilege.CREATE,
            Privilege.MODIFY,
            Privilege.SET_QUOTA,
            Privilege.SEE_GRANTS,
        }
    ),
    "User": frozenset({Privilege.VIEW, Privilege.CONTROL, Privilege.CREATE}),
    "Monitor": frozenset({Privilege.VIEW}),
    "Help Desk": frozenset(
        {Privilege.VIEW, Privilege.SEE_GRANTS, Privilege.EDIT_KNOWLEDGE, Privilege.VIEW_AS}
    ),
}
