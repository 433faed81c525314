"""The whole authorization matrix: every address x every role x every place, and nobody.

What is expected is worked out, not written down: from the role's privileges, from the place of
the grant, and from what each route and view declares.  Who may not see an object gets the very
answer of one that does not exist; who sees it and may not do it gets 403; nothing changes.  Who
may is let through, in a transaction that is never committed, so that all can share one cloud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import transaction
from pyramid.request import Request
from pyramid.security import NO_PERMISSION_REQUIRED

from ovcadmin import people_apart, refused
from ovcadmin.domain.states import Action
from ovcadmin.manage import parity
from ovcadmin.manage.commands import callers, calls
from ovcadmin.models import HelpCase, Loan, Note, Profile, QuotaRequest, Recording, Snapshot, User
from ovcadmin.security.policy import PARENT, SIGNED_IN
from ovcadmin.security.privileges import SHIPPED_ROLES, Privilege
from ovcadmin.services import grants, knowledge_edits, logical_groups, machines, pools
from ovcadmin.services import roles as role_service
from ovcadmin.views.calls import BASE
from tests.functional import addresses
from tests.functional.addresses import UNKNOWN, UNSAFE, Address
from tests.functional.test_grants import group
from tests.functional.world import ROLES, World

SECRET = "Zanzibar"
"""Part of every name in the sibling pool: it may be in no answer."""
PLACES = ("own", "sub", "sibling", "unknown")
BESIDE = {"role", "user", "group"}
"""Objects that stand beside the pool tree: seen by whoever sees grants anywhere."""
POOLED = {
    "pool", "machine", "host", "image", "storage_pool", "operation", "grant", "logical_group",
    "loan", "note", "quota_request", "case", "snapshot", "profile", "cluster", "recording",
    "kickstart",
}  # fmt: skip
STAFFED = {"note", "case"}
"""Seen by whoever sees the grants of the pool."""
DECIDED_ABOVE = {"pool_from_above", "quota_request"}
"""Contexts whose privileges are those held on the pool above."""
FOR_THEIR_OWNER = {
    *("quota_request_withdraw", "quota_request_seen"),
    *("api.quota_request_withdraw", "api.quota_request_seen"),
}
"""Seen by whoever decides, done by whoever asked."""
OPEN = {NO_PERMISSION_REQUIRED, "", None}
QUERIES = {"pool_grant_new": "?who=user-{admin}"}
"""What an address cannot do without."""
Held = frozenset[Privilege]
CALLS, COMMANDS = calls(), callers()
"""Of the REST API and of `ovc`, by operationId."""
NOBODY = "nobody"
"""A user to whom no grant reaches."""
WHOLE = "User"
"""Also asks for everything in the pool below; others do where what they hold above it counts."""
HOLDS = {**SHIPPED_ROLES, NOBODY: frozenset()}


class Cloud:
    """One of everything in a pool, in one below it and in one beside it; a user for each role."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.admin()
        self.objects = {"own": self._side("Own")}
        self.objects["sub"] = self._side("Sub", self.objects["own"]["pool"])
        self.objects["sibling"] = self._side(SECRET)
        self.beside = self._beside()
        with world.work(self.admin) as work:  # an article needs versions to have one shown
            article = knowledge_edits.desk(work, *addresses.ARTICLE)
            knowledge_edits.publish(work, article, article.text, version=0)
        own = self.objects["own"]["pool"]
        self.users = {
            (role, where): world.user(f"{where}{number}", role, own if where == "pool" else None)
            for number, role in enumerate(ROLES)
            for where in ("pool", "root")
        }
        self.users |= dict.fromkeys([(NOBODY, "pool"), (NOBODY, "root")], world.user("nobody"))
        self.browsers = {key: world.signed_in(user) for key, user in self.users.items()}
        self.apis = {key: world.api(user) for key, user in self.users.items()}
        self.asked = list(addresses.every(world.app))

    def _side(self, name: str, parent: object = None) -> dict[str, int]:
        world = self.world
        pool = world.pool(name, parent)
        host = world.host(f"{name}-host", pool)
        image = world.image(f"{name}-image", pool)
        machine = world.machine(f"{name}-machine", pool, image=image, host=host)
        holder = world.user(f"holder{pool.id}")
        with world.work(self.admin) as work:
            started = machines.act(work, machines.get(work, machine.id), Action.START)
            role = role_service.listing(work)[0]
            grant = grants.give(work, pool, work.db.get(User, holder.id), role)
            group = logical_groups.create(work, pool, name=f"{name}-group")
            wish = QuotaRequest(
                pool_id=pool.id, for_pool_id=pool.id, user_id=self.admin.id, amounts={"vcpus": 1}
            )
            loan = Loan(
                lender_id=pools.root(work).id,
                borrower_id=pool.id,
                resource="vcpus",
                amount=1,
                lent=1,
                until=work.now() + timedelta(days=1),
            )
            note = Note(kind="machine", object_id=machine.id, text="x", author_id=self.admin.id)
            case = HelpCase(
                kind="machine", object_id=machine.id, opened_by_id=self.admin.id,
                owner_id=self.admin.id, text="It does not start.",
            )  # fmt: skip
            work.db.add_all([wish, loan, note, case])
            work.db.flush()
        return {
            "pool": pool,
            "machine": machine.id,
            "host": host.id,
            "image": image.id,
            "storage_pool": world.store(host).id,
            "cluster": world.cluster(name, pool).id,
            "operation": started.id,
            "grant": grant.id,
            "logical_group": group.id,
            "quota_request": wish.id,
            "loan": loan.id,
            "note": note.id,
            "case": case.id,
            "kickstart": addresses.kickstart(world, f"{name}-kickstart", pool).id,
            **self._life(name, pool.id, machine.id, image.id),
        }

    def _life(self, name: str, pool_id: int, machine_id: int, image_id: int) -> dict[str, int]:
        snapshot = Snapshot(machine_id=machine_id, name=f"{name}-snapshot")
        profile = Profile(
            name=f"{name}-profile", name_key=name, pool_id=pool_id, image_id=image_id,
            size_name="tiny",
        )  # fmt: skip
        with self.world.work() as work:
            shared = Recording(
                pool_id=pool_id, machine_id=machine_id, title=f"{name}-recording", kind="serial",
                user_id=self.admin.id, console_id=0, columns=80, rows=24, ended_at=work.now(),
                expires_at=work.now() + timedelta(days=1), shared_at=work.now(),
            )  # fmt: skip
            work.db.add_all([snapshot, profile, shared])
            work.db.flush()
            return {"snapshot": snapshot.id, "profile": profile.id, "recording": shared.id}

    def _beside(self) -> dict[str, int]:
        with self.world.work() as work:
            role = role_service.listing(work)[0]
        return {"role": role.id, "user": self.admin.id, "group": group(self.world, "dev").id}

    def id_of(self, kind: str, place: str) -> int:
        if place == "unknown":
            return UNKNOWN
        if kind in BESIDE:
            return self.beside[kind]
        if not kind:
            return UNKNOWN
        found = self.objects[place][kind]
        return found.id if kind == "pool" else found

    def ask(self, who: tuple[str, str] | None, address: Address, place: str, *, dry: bool, body=()):
        """Send the request as that user would; `dry`: whatever it does is rolled back."""
        path = address.to(self.id_of(address.kind, place))
        path += QUERIES.get(address.route, "").format(admin=self.admin.id)
        more = {"params": dict(body)} if body else {}
        if dry:
            manager = transaction.TransactionManager(explicit=True)
            manager.begin().doom()
            more["extra_environ"] = {"tm.active": True, "tm.manager": manager}
        try:
            return self._send(who, address, path, more)
        finally:
            if dry:
                manager.abort()

    def _send(self, who, address: Address, path: str, more: dict[str, object]):
        if address.api:
            api = self.apis[who] if who else self.world.api(None)
            call = getattr(api.app, address.method.lower())
            headers = {**api.headers, "If-Match": "*"}
            if address.method in ("POST", "PUT", "PATCH") or "params" in more:
                call = getattr(api.app, f"{address.method.lower()}_json")
                more = {"params": {}, **more}
            return call(path, headers=headers, expect_errors=True, **more)
        browser = self.browsers[who] if who else self.world.anonymous()
        if "extra_environ" not in more and who:
            # A refusal is expected: as a problem, which takes no page to be drawn.
            more = {"headers": {"Accept": "application/json"}}
        if address.method == "GET":
            return browser.fetch(path, **more)
        return browser.send(path, **more)


@pytest.fixture(autouse=True)
def nothing_is_noted(monkeypatch):
    """A refusal is noted in a transaction of its own, which would wait for a dry one around it."""
    monkeypatch.setattr(refused, "write_down", lambda _request: None)
    # Users are deleted in transactions of their own as well, which no dry one undoes.
    monkeypatch.setattr(people_apart, "remove", lambda _request, _user_id: None)


@pytest.fixture(scope="module")
def cloud(worlds, tmp_path_factory) -> Cloud:
    directory = tmp_path_factory.mktemp("matrix")
    world = World(f"sqlite:///{directory}/ovcadmin.db", directory)
    yield Cloud(world)
    world.close()


def _held(role: str, where: str, place: str) -> tuple[Held, Held]:
    """What the role gives on the object's pool and on the pool above, granted on pool or root."""
    all_of, nothing = HOLDS[role], frozenset()
    if where == "root":
        return all_of, all_of
    return {
        "own": (all_of, nothing),
        "sub": (all_of, all_of),
    }.get(place, (nothing, nothing))


def expected(address: Address, role: str, where: str, place: str) -> int:
    """404, 403, or 200 for "let through"."""
    held, above = _held(role, where, place)
    on_root = HOLDS[role] if where == "root" else frozenset()
    beside = on_root | (HOLDS[role] & {Privilege.SEE_GRANTS})
    seen, context = True, HOLDS[role]
    if address.kind in BESIDE:
        seen, context = Privilege.SEE_GRANTS in beside, beside
    elif address.kind:
        assert address.kind in POOLED, f"{address.route}: {address.kind} is not in the matrix"
        seen = Privilege.VIEW in held
        context = above if address.factory in DECIDED_ABOVE else held
        if address.kind in STAFFED:
            seen = Privilege.SEE_GRANTS in held
        if address.kind == "quota_request":
            seen, context = Privilege.SET_QUOTA in above, above | {Privilege.VIEW}
    elif address.factory == "at_root":
        seen, context = Privilege.VIEW in on_root, on_root
    elif address.factory == "beside_the_pools":
        context = beside
    if not seen or (address.kind and place == "unknown"):
        return 404
    return 200 if _allows(address.needs, context, above) else 403


def _allows(needs: str, context: Held, above: Held) -> bool:
    if needs in OPEN or needs == SIGNED_IN:
        return True
    if needs.startswith(PARENT):
        return needs.removeprefix(PARENT) in above
    return needs in context


def _lets_through(address: Address, status: int) -> bool:
    if address.route in FOR_THEIR_OWNER:
        return status < 500
    if not address.kind:
        # What it is about stands in a form that was not filled in, or names what is not there.
        return status < 500 and status not in (401, 403)
    return status not in (401, 403, 404) and status < 500


def _depends_on_the_root(address: Address) -> bool:
    """Whether a grant on the root gives more here than one on the object's own pool."""
    return (
        address.kind in BESIDE
        or address.factory in DECIDED_ABOVE | {"at_root", "beside_the_pools"}
        or address.needs.startswith(PARENT)
    )


def _comparable(response) -> str:
    """The answer without what is new in each: ids of requests, the id that was asked for."""
    text = re.sub(r"[0-9a-f]{32}", "REQUEST", response.text)
    text = re.sub(r'(csrf[_-]token"? (content|value)=)"[^"]*"', r"\1", text)
    return re.sub(r"\b[0-9]{1,6}\b", "N", text)


def _cases(cloud: Cloud, role: str, where: str) -> Iterator[tuple[Address, str, int]]:
    for address in cloud.asked:
        if where == "root" and not _depends_on_the_root(address):
            continue
        for place in _places(address, role, where) if address.kind else ("own",):
            yield address, place, expected(address, role, where, place)


def _places(address: Address, role: str, where: str) -> tuple[str, ...]:
    """Where the object stands: every place that may be answered in another way."""
    if where == "root":
        return ("own", "unknown")
    if role == NOBODY:  # to whom all places are the same
        return ("sibling", "unknown")
    if role != WHOLE and not _depends_on_the_root(address):
        return tuple(place for place in PLACES if place != "sub")
    return PLACES


@pytest.mark.timeout(600)
@pytest.mark.requirement("OVT-37", "OVT-35")
@pytest.mark.parametrize("role", [*ROLES, NOBODY])
@pytest.mark.parametrize("where", ["pool", "root"])
def test_fault_11_and_12_every_address_answers_as_the_privileges_say(cloud, role, where):
    who, wrong, refused = (role, where), [], []
    for address, place, right in _cases(cloud, role, where):
        if right != 200:
            refused.append((address, place, right))
            continue
        answer = cloud.ask(who, address, place, dry=True)
        if not _lets_through(address, answer.status_int):
            wrong.append((address.name, place, "let through", answer.status))
        if SECRET in answer.text and where == "pool":
            wrong.append((address.name, place, "tells of the sibling", answer.status))
    before = cloud.world.fingerprint()
    hidden: dict[Address, str] = {}
    for address, place, right in refused:
        answer = cloud.ask(who, address, place, dry=False)
        if answer.status_int != right:
            wrong.append((address.name, place, right, answer.status))
        if right == 404 and place in ("sibling", "unknown"):
            # First the sibling's, then the unknown one: no difference may be seen.
            told = hidden.setdefault(address, _comparable(answer))
            if told != _comparable(answer) or SECRET in answer.text:
                wrong.append((address.name, place, "as if it did not exist", answer.status))
    assert wrong == []
    assert cloud.world.fingerprint() == before
    assert len(cloud.asked) > 100


@pytest.mark.timeout(600)
@pytest.mark.requirement("OVC-28")
def test_fault_11_who_is_not_signed_in_is_asked_to_whatever_exists(cloud):
    before = cloud.world.fingerprint()
    for address in cloud.asked:
        if address.permission in OPEN or address.route == "sign_out":
            continue
        for place in ("own", "unknown") if address.kind else ("unknown",):
            answer = cloud.ask(None, address, place, dry=False)
            assert answer.status_int == (401 if address.api else 303), address.name
            if not address.api:
                assert "/signin" in answer.headers["Location"]
    assert cloud.world.fingerprint() == before
    for address in cloud.asked:  # what is open to him makes no user either
        if address.permission in OPEN:
            cloud.ask(None, address, "unknown", dry=False)
    assert cloud.world.fingerprint()["user_account"] == before["user_account"]


def test_every_way_to_change_something_is_in_the_matrix(cloud):
    unasked = {
        one.route
        for one in addresses.every(cloud.world.app)
        if one.method in UNSAFE and one.kind and one.kind not in BESIDE | POOLED
    }
    assert unasked == set()


@pytest.mark.requirement("NEW-09")
def test_every_form_shows_its_command_and_its_call(cloud):
    mute, seen = set(), set()
    for address in cloud.asked:
        if address.api or address.method != "GET" or parity.FRAGMENT in address.path:
            continue
        page = cloud.ask(("Super Admin", "root"), address, "own", dry=True)
        if page.status_int != 200 or page.content_type != "text/html":
            continue
        told = [line.get_text() for line in page.html.select(".equal pre, .equal code")]
        for form in page.html.select("main form[method=post]"):
            route = _route(cloud, form.get("action") or page.request.path)
            seen.add(route)
            if route not in parity.PEOPLE_ONLY and not _tells(told, route):
                mute.add((address.path, route))
    assert (mute, len(seen) > 60) == (set(), True)


def _route(cloud: Cloud, path: str) -> str:
    return cloud.world.app.routes_mapper(Request.blank(path, method="POST"))["route"].name


def _tells(told: list[str], route: str) -> bool:
    """Whether one of the calls that do the same stands there, and one of its commands."""

    def shown(call: str) -> str:
        return re.sub(r"\{\w+\}", "[^/ ]+", call.replace(" ", f" {BASE}")) + r"(\n|$)"

    return any(
        any(re.search(shown(CALLS[name][0]), line) for line in told)
        and any(line.startswith(word) for word in COMMANDS[name] for line in told)
        for name in parity.SAME[route]
    )
