"""A console under test: the WSGI application on a real database, and what a test puts into it.

`World` makes users, pools, machines and so on by the services, as their own doors would; what
only a worker or a host could have written (a host that answered, an operation that ended) is told
by the same services that they call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Table, inspect, text
from webtest import Form, TestApp, TestResponse

import ovcadmin
import ovcadmin.operations
from ovcadmin.config import Settings
from ovcadmin.domain import names
from ovcadmin.domain.resources import Limits
from ovcadmin.domain.states import State
from ovcadmin.drivers.hypervisor.base import HostFacts, VirtType
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.engine.store import end
from ovcadmin.models import (
    Base,
    Host,
    Image,
    Machine,
    Operation,
    OperationState,
    Pool,
    StorageCluster,
    StoragePool,
    User,
)
from ovcadmin.models.database import Database
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import (
    attempts,
    clusters,
    hosts,
    images,
    library,
    machine_states,
    machines,
    people,
    pool_limits,
    pools,
    quotas,
    realms,
    seals,
    sessions,
    setup,
    sizes,
    storage,
    tokens,
)
from ovcadmin.work import SYSTEM, Actor, Work
from tests.rig.base import TEMPLATES
from tests.rig.database import make_tables

PASSWORD = "correct horse battery"
ROLES = ("Super Admin", "Administrator", "User", "Monitor", "Help Desk")


@cache
def password_hash() -> str:
    """The one password of all users in tests, hashed as lightly as argon2 lets it be.

    What the product hashes itself costs what it should (tests of users look at that).
    """
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class Browser(TestApp):
    """Somebody's browser: cookies, forms, and the console's own address."""

    def fetch(self, url: str, **more: object) -> TestResponse:
        """Get a page whatever its status."""
        return self.get(url, expect_errors=True, **more)

    def send(self, url: str, fields: object = "", **more: object) -> TestResponse:
        """Post a form whatever the answer, with the session's CSRF token."""
        token = {"X-CSRF-Token": self.csrf_token} if self.csrf_token else {}
        headers = {**token, **more.pop("headers", {})}
        return self.post(url, fields, headers=headers, expect_errors=True, **more)

    csrf_token = ""


def form(page: TestResponse, action: str = "") -> Form:
    """The form of a page that goes to `action`; to the page itself when not given."""
    own = page.request.path_qs
    posts = [one for one in page.forms.values() if one.method.upper() == "POST"]
    found = [one for one in posts if (one.action or own) == (action or own)]
    assert len(found) == 1, f"{len(found)} forms to {action or own}"
    return found[0]


class Api:
    """A client of the REST API with a token (or without one)."""

    def __init__(self, app: object, key: str | None) -> None:
        self.app = TestApp(app)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        call = getattr(self.app, f"{method.lower()}{'_json' if body is not None else ''}")
        arguments = {"params": body} if body is not None else {}
        url = f"/api/v1{path}"
        return call(url, headers={**self.headers, **named}, expect_errors=True, **arguments)


class World:
    """One database with the console on it.  `reset` empties it between tests."""

    def __init__(self, url: str, directory: Path) -> None:
        self.raw = {
            "ovc.database_url": url,
            "ovc.data_dir": str(directory),
            "ovc.template_dir": str(TEMPLATES),
            "ovc.log_level": "warning",
            "pyramid.validate_responses": "true",
        }
        self.settings = Settings.from_mapping(
            {name: value for name, value in self.raw.items() if name.startswith("ovc.")}
        )
        seals.ensure_key(self.settings)
        make_tables(url)
        self.database = Database(url)
        self._apps: list[Any] = []
        self.first_rows = self._first_run()

    @cached_property
    def app(self) -> Any:
        """The application in this process; a test with a web process needs none."""
        return self.app_with()

    def app_with(self, **settings: str) -> Any:
        """The application with other settings, on the same database."""
        changed = {**self.raw, **{f"ovc.{name}": text for name, text in settings.items()}}
        self._apps.append(ovcadmin.main({}, **changed))
        return self._apps[-1]

    def close(self) -> None:
        self.database.dispose()
        for app in self._apps:
            app.registry["database"].dispose()

    # --- the database ----------------------------------------------------------------------------

    def _first_run(self) -> dict[Table, list[dict[str, object]]]:
        """Make what the first run makes, and return it as rows."""
        with self.work() as work:
            setup.initialise(work)
        with self.database.read.connect() as connection:
            return {
                table: [dict(row._mapping) for row in connection.execute(table.select())]
                for table in Base.metadata.sorted_tables
            }

    def reset(self) -> None:
        """Bring the database back to the state after the first run."""
        for path in library.directory(self.settings).iterdir():
            path.unlink()
        off, on = ("PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys=ON")
        if not self.database.is_sqlite:
            off, on = (f"SET session_replication_role={role}" for role in ("replica", "origin"))
        raw = self.database.write.raw_connection()
        cursor = raw.cursor()
        cursor.execute(off)
        for table in self.first_rows:
            cursor.execute(f'DELETE FROM "{table.name}"')
        cursor.execute(on)
        raw.commit()
        raw.close()
        with self.database.write.begin() as connection:
            for table, rows in self.first_rows.items():
                if rows:
                    connection.execute(table.insert(), rows)

    @contextmanager
    def work(self, user: User | None = None) -> Iterator[Work]:
        """One transaction, as the console itself or as a user."""
        actor = SYSTEM
        if user is not None:
            actor = Actor(user_id=user.id, name=f"{user.name}@internal", door="page")
        with self.database.writing() as session:
            yield Work(db=session, actor=actor, settings=self.settings)

    def fingerprint(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table but those that note a visit: to prove that nothing changed.

        That something was refused is no change either.
        """
        visits = {"session", "token", "sign_in_failure"}
        with self.database.read.connect() as connection:
            return {
                table: sorted(
                    repr(row)
                    for row in connection.execute(text(f'SELECT * FROM "{table}"'))
                    if getattr(row, "action", "") != attempts.REFUSED
                )
                for table in inspect(connection).get_table_names()
                if table not in visits
            }

    # --- people ----------------------------------------------------------------------------------

    def user(self, name: str, role: str | None = None, pool: Pool | None = None) -> User:
        """Make a user; with a role, granted on `pool` (the root when not given)."""
        with self.work() as work:
            realm = realms.listing(work)[0]
            made = User(
                realm_id=realm.id,
                name=name,
                name_key=names.key(name),
                password_hash=password_hash(),
                created_at=work.now(),
            )
            work.db.add(made)
            work.db.flush()
            if role is not None:
                setup.grant(work, made, role, pool or pools.root(work))
        return made

    def grant(self, user: User, role: str, pool: Pool) -> None:
        with self.work() as work:
            setup.grant(work, user, role, pool)

    def admin(self) -> User:
        with self.work() as work:
            found = people.find(work, setup.ADMINISTRATOR)
            assert found is not None
            return found

    def anonymous(self, **environ: str) -> Browser:
        return Browser(self.app, extra_environ={"REMOTE_ADDR": "192.0.2.7", **environ})

    def signed_in(self, user: User) -> Browser:
        """A browser with a session, as sign-in leaves it."""
        browser = self.anonymous()
        with self.work() as work:
            key = sessions.begin(work, user)
            browser.csrf_token = sessions.by_key(work, key).csrf_token
        browser.set_cookie(SESSION_COOKIE, key)
        return browser

    def api(self, user: User | None) -> Api:
        """A client with a fresh token of the user."""
        if user is None:
            return Api(self.app, None)
        with self.work() as work:
            _, key = tokens.create(work, user.id, name="test", days=1)
        return Api(self.app, key)

    # --- the cloud -------------------------------------------------------------------------------

    def root(self) -> Pool:
        with self.work() as work:
            return pools.root(work)

    def pool(self, name: str, parent: Pool | None = None, **limits: int) -> Pool:
        with self.work() as work:
            made = pools.create(
                work, pools.get(work, parent.id) if parent else pools.root(work), name=name
            )
            if limits:
                pool_limits.set_limits(work, made, Limits(**limits))
        return made

    def host(self, name: str = "kvm-a", pool: Pool | None = None) -> Host:
        """A host that answered, with plenty of room and a storage pool of its own."""
        with self.work() as work:
            where = pools.get(work, pool.id) if pool else pools.root(work)
            made = hosts.enroll(work, where, name=name, uri=f"test:///{name}")
            hosts.answered(work, made.id, FACTS)
            target = storage.Target(driver="libvirt-dir", target="ovc", path="/volumes")
            store = storage.attach(work, where, made, name=f"{name}-local", where=target)
            storage.observed(
                work, store.id, StoragePoolFacts(capacity=10**15, available=10**15, active=True)
            )
        return made

    def store(self, host: Host) -> StoragePool:
        with self.work() as work:
            return hosts.storage_pools(work, host)[0]

    def cluster(self, name: str, pool: Pool) -> StorageCluster:
        """An OpenvStorage cluster that nobody has asked yet."""
        draft = clusters.Draft(
            name=f"{name}-cluster", addresses="10.0.0.1", client_id="client", secret="secret"
        )
        with self.work() as work:
            return clusters.create(work, pools.get(work, pool.id), draft)

    def image(self, name: str = "Starter", pool: Pool | None = None) -> Image:
        """An image with a copy in every storage pool of its pool; of the root, in all."""
        with self.work() as work:
            where = pools.get(work, pool.id) if pool else pools.root(work)
            raw = images.Raw(path="/starter.raw", size=10**7, checksum="0" * 64)
            made = images.register(work, where, name=name, raw=raw)
            for store in storage.listing(work):
                if pool is None or store.pool_id == pool.id:
                    images.spread(work, made, store)
            work.db.flush()
            work.db.refresh(made, ["volumes"])
            for volume in made.volumes:
                volume.key = f"/volumes/{volume.name}"
        return made

    def machine(
        self,
        name: str,
        pool: Pool,
        *,
        owner: User | None = None,
        image: Image | None = None,
        host: Host | None = None,
        state: State = State.STOPPED,
        size: str = "tiny",
    ) -> Machine:
        """A machine whose create operation was done, in the state that is asked for."""
        with self.work(owner or self.admin()) as work:
            where = pools.get(work, pool.id)
            base = image or images.offered(work, where)[0]
            order = machines.Order(name=name, image=base, size=sizes.get(self.settings, size))
            made = machines.create(work, where, order)
        with self.work() as work:
            made = work.db.get(Machine, made.id)
            self._done(work, work.db.get(Operation, made.tail_id))
            made.host_id = host.id if host else hosts.watched(work)[0].id
            made.state, made.state_since = state.value, work.now() - timedelta(minutes=3)
            if state in (State.RUNNING, State.SUSPENDED):
                quotas.hold_running(work, made)
            work.db.flush()
            work.db.refresh(made, ["pool"])  # it is read after the session
        return made

    def finish(self, operation_id: int) -> None:
        """The worker did it."""
        with self.work() as work:
            self._done(work, work.db.get(Operation, operation_id))

    def _done(self, work: Work, operation: Operation) -> None:
        machine_states.succeeded(work, operation)
        end(work.db, operation, OperationState.DONE, work.now())


FACTS = HostFacts(
    hostname="kvm-a",
    uuid="00000000-0000-0000-0000-000000000001",
    arch="x86_64",
    cpu_model="EPYC",
    cpus=64,
    memory=512 * 2**20,
    libvirt_version="9.0.0",
    qemu_version="7.2.0",
    virt_type=VirtType.QEMU,
    virt_note="",
    session=False,
)
