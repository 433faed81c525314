"""Profiles: what a new machine is made of, kept under a name, used by one click."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from ovcadmin.domain import names
from ovcadmin.errors import Conflict, Forbidden, InvalidInput, NameTaken, NotFound
from ovcadmin.models import Lineage, Machine, Pool, Profile
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on, visible
from ovcadmin.services import audit, cloud_init, images, kickstarts, machines, pools, sizes
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a new profile is to hold."""

    name: str
    image_id: int
    size: str
    network: str = ""
    description: str = ""
    start: bool = True
    cloud_init: cloud_init.Wish = cloud_init.NOTHING


def get(work: Work, profile_id: int) -> Profile:
    profile = work.db.get(Profile, profile_id)
    if profile is None:
        raise NotFound("There is no such profile.", profile_id=profile_id)
    return profile


def listing(work: Work) -> list[Profile]:
    """Return the profiles that serve a pool which the actor sees, by name."""
    statement = (
        select(Profile)
        .options(joinedload(Profile.pool), joinedload(Profile.image))
        .order_by(Profile.name_key, Profile.id)
    )
    if work.actor.user_id is not None:
        served = select(Lineage.ancestor_id).where(visible(work.actor.user_id, Lineage.pool_id))
        statement = statement.where(Profile.pool_id.in_(served))
    return list(work.db.scalars(statement).unique())


def serving(work: Work, pool: Pool) -> list[Profile]:
    """Return the profiles that serve a pool, by name."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    statement = select(Profile).where(Profile.pool_id.in_(chain)).order_by(Profile.name_key)
    return list(work.db.scalars(statement).unique())


def targets(work: Work, profile: Profile) -> list[Pool]:
    """Return the pools in which the actor may make a machine by this profile, in tree order."""
    below = set(
        work.db.scalars(select(Lineage.pool_id).where(Lineage.ancestor_id == profile.pool_id))
    )
    return [node.pool for node in pools.tree(work, Privilege.CREATE) if node.pool.id in below]


def create(work: Work, pool: Pool, wish: Wish) -> Profile:
    """Write a profile down.  Raises `InvalidInput` or `NameTaken`."""
    try:
        cleaned = names.clean(wish.name)
    except ValueError as error:
        raise InvalidInput("The profile needs a name.", fields={"name": str(error)}) from None
    image = images.start(work, pool, wish.image_id)
    kickstarts.ensure_alone(image, wish.cloud_init != cloud_init.NOTHING)
    size = sizes.get(work.settings, wish.size)
    network = wish.network.strip() or None
    if network is not None and (len(network) > 60 or not network.isprintable()):
        told = {"network": "Use the name of a network of the host, at most 60 characters."}
        raise InvalidInput("The profile is not saved.", fields=told)
    made = Profile(
        pool_id=pool.id,
        name=cleaned,
        name_key=names.key(cleaned),
        description=wish.description.strip()[:2000],
        image_id=image.id,
        size_name=size.name,
        network=network,
        start=wish.start,
        cloud_init=cloud_init.keep(work, wish.cloud_init),
        created_at=work.now(),
    )
    pool_name = pool.name
    work.db.add(made)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(
            f"There is already a profile {cleaned} in {pool_name}.", field="name"
        ) from None
    announce(work.db, "profile", made.id, pool.id)
    audit.record(
        work, "profile.create", "profile", made.id, made.name, pool_id=pool.id,
        after={"image": image.name, "size": size.name, "network": network},
    )  # fmt: skip
    return made


def delete(work: Work, profile: Profile) -> None:
    """Forget a profile; the machines that were made by it stay."""
    announce(work.db, "profile", profile.id, profile.pool_id)
    audit.record(
        work, "profile.delete", "profile", profile.id, profile.name, pool_id=profile.pool_id
    )
    work.db.delete(profile)


def use(work: Work, profile: Profile, pool: Pool, name: str = "") -> Machine:
    """Make a machine by the profile; without a name it gets the profile's with a number.

    Raises `Forbidden`, `Conflict`, and what `machines.create` raises.
    """
    user_id = work.actor.user_id
    if user_id is not None and Privilege.CREATE not in privileges_on(work.db, user_id, pool.id):
        raise Forbidden(
            f"It needs the privilege “{Privilege.CREATE}” on {pool.name}.",
            privilege=Privilege.CREATE.value,
        )
    serves = select(Lineage.pool_id).where(
        Lineage.pool_id == pool.id, Lineage.ancestor_id == profile.pool_id
    )
    if work.db.scalar(serves) is None:
        raise Conflict(f"{profile.name} does not serve {pool.name}.", profile_id=profile.id)
    order = machines.Order(
        name=name.strip() or _free_name(work, profile, pool),
        image=images.start(work, pool, profile.image_id),
        size=sizes.get(work.settings, profile.size_name),
        start=profile.start,
        network=profile.network,
        cloud_init=profile.cloud_init,
    )
    return machines.create(work, pool, order)


def _free_name(work: Work, profile: Profile, pool: Pool) -> str:
    taken = set(
        work.db.scalars(
            select(Machine.name_key).where(
                Machine.pool_id == pool.id,
                Machine.deleted_at.is_(None),
                Machine.binned_at.is_(None),
            )
        )
    )
    base = profile.name[:90]
    return next(name for number in count(1) if names.key(name := f"{base} {number}") not in taken)
