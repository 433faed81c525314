"""A client that a well-kept generator makes of the contract does the main path."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ovcadmin import api
from ovcadmin.manage.commands import calls
from ovcadmin.models import Machine
from tests.functional.cli.conftest import key_of, served

GENERATOR = Path(sys.executable).with_name("openapi-python-client")
PACKAGE = "generated_ovc_client"
BYTES = "/content"
"""End of the addresses that take plain bytes, which the generator knows nothing of."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("client")
    (where / "config.yml").write_text("post_hooks: []\n")
    subprocess.run(
        [
            GENERATOR, "generate", "--path", api.CONTRACT, "--meta", "none",
            "--output-path", where / PACKAGE, "--config", where / "config.yml",
        ],
        capture_output=True, check=True, timeout=200,
    )  # fmt: skip
    return where


@pytest.fixture
def call(made, monkeypatch):
    """Find a call of the generated client by the name of its module."""
    monkeypatch.syspath_prepend(str(made))

    def find(name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.api.default.{name}")

    yield find
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def _snake(name: str) -> str:
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name)


def test_the_generator_understands_every_call(made):
    there = {path.stem for path in (made / PACKAGE / "api/default").glob("*.py")}
    missing = {name for name in calls() if _snake(name) not in there}
    lost = {name for name in missing if not calls()[name][0].endswith(BYTES)}
    assert lost == set()


@pytest.mark.requirement("KVM-18")
def test_the_main_path_by_a_generated_client(sqlite_world, call):
    world = sqlite_world
    host = world.host()
    image = world.image()
    models = importlib.import_module(f"{PACKAGE}.models")
    package = importlib.import_module(PACKAGE)
    with served(world.app) as url:
        token = key_of(world, world.admin())
        with package.AuthenticatedClient(base_url=f"{url}/api/v1", token=token) as client:
            root = world.root().id
            pool = call("create_pool").sync(root, client=client, body=models.PoolNew(name="Web"))
            limits = models.Limits(vcpus=8, memory=2**24)
            levels = call("set_quota").sync(pool.id, client=client, body=limits).levels
            assert levels[0].limits.vcpus == 8

            order = models.MachineNew(name="web01", image_id=image.id, size="tiny", start=True)
            asked = call("create_machine").sync(pool.id, client=client, body=order)
            assert asked.operation.state == "queued"
            listed = call("list_operations").sync(client=client, open_=True).items
            for row in sorted((one for one in listed if one.machine), key=lambda one: one.id):
                world.finish(row.id)
            done = call("get_operation").sync(asked.operation.id, client=client)
            assert (done.state, done.error) == ("done", None)
            with world.work() as work:
                work.db.get(Machine, asked.machine.id).host_id = host.id
            ticket = call("open_console").sync(asked.machine.id, client=client)
            assert ticket.url == "/live/console"

            action = importlib.import_module(
                f"{PACKAGE}.models.act_on_machine_action"
            ).ActOnMachineAction
            (machine,) = call("list_machines").sync(client=client, q="web").items
            assert machine.name == "web01"
            stop = call("act_on_machine").sync(machine.id, action("power_off"), client=client)
            world.finish(stop.operation.id)
            assert call("get_machine").sync(machine.id, client=client).state == "stopped"
            assert call("list_consumption").sync(client=client).items
            refused = call("get_pool").sync(999_999, client=client)
            assert refused.code == "object.not_found"
