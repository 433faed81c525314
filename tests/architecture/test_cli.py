"""`ovc` has a command for every call of the API, and says of itself what is true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from ovcadmin import api
from ovcadmin.cli import machines, operations, pools
from ovcadmin.cli.command import OvcCommand
from ovcadmin.cli.failures import Exit
from ovcadmin.cli.main import COMMANDS, INTERRUPTED, root
from ovcadmin.manage import faces
from ovcadmin.manage.commands import callers, calls, commands, commands_page
from ovcadmin.manage.man import man_page

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/ovc.md"
MODULES_OF_HELP = 75
"""So many modules `ovc --help` loads at most beyond those of any interpreter; mostly click."""
OWN = [(path, one) for path, one in commands().items() if isinstance(one, OvcCommand)]


@pytest.mark.requirement("KVM-18", "PEER-26")
def test_every_call_of_the_api_has_a_command():
    missing = {call for name, (call, _) in calls().items() if name not in callers()}
    assert missing == set(), "declare a command with calls=[operationId] in ovcadmin/cli"


def test_every_call_that_a_command_names_is_in_the_contract():
    assert callers().keys() - calls().keys() == set()


def test_the_reference_is_what_the_program_writes():
    text = (ROOT / "docs/ovc-commands.md").read_text()
    assert text == commands_page(), "ovcadmin docs commands docs/ovc-commands.md"


def test_what_pages_tell_of_ovc_is_what_the_program_writes():
    text = (ROOT / "ovcadmin/views/faces.json").read_text()
    assert text == faces.page(), "ovcadmin docs faces ovcadmin/views/faces.json"


def test_the_manual_page_is_what_the_program_writes():
    assert (ROOT / "docs/ovc.1").read_text() == man_page(), "ovcadmin docs man docs/ovc.1"


def test_the_root_tells_of_each_command_what_it_tells_itself():
    ctx = click.Context(root)
    for name, (_, text) in COMMANDS.items():
        command = root.get_command(ctx, name)
        assert command is not None
        assert command.get_short_help_str(200).startswith(text.removesuffix("."))


@pytest.mark.parametrize("path, command", OWN, ids=[path for path, _ in OWN])
def test_every_command_has_examples_that_can_be_typed(path, command):
    assert command.help
    assert command.examples
    for line in command.examples:
        words = shlex.split(line.partition(" | ")[2] or line.partition(" > ")[0])
        assert words[: len(path.split())] == path.split()
        command.make_context(path, words[len(path.split()) :])


def test_the_guide_names_every_exit_code():
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE.read_text(), re.MULTILINE)}
    assert told == {*map(int, Exit), INTERRUPTED}


def _loaded_by(code: str) -> set[str]:
    """The modules that an interpreter holds after the code."""
    told = f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stderr.split())


def test_help_loads_nothing_that_takes_time():
    """Modules are counted, not milliseconds: those depend on what else the machine does."""
    code = "from ovcadmin.cli.main import root; root(['--help'], standalone_mode=False)"
    loaded = _loaded_by(code)
    assert len(loaded - _loaded_by("pass")) <= MODULES_OF_HELP
    assert loaded & {"urllib3", "rich", "yaml", "wsproto", "csv", "ovcadmin.cli.client"} == set()


def test_the_client_holds_nothing_of_the_server():
    names = {path.stem for path in (ROOT / "ovcadmin/cli").glob("*.py")} - {"__init__"}
    loaded = _loaded_by(f"import {', '.join(f'ovcadmin.cli.{name}' for name in sorted(names))}")
    ours = {name for name in loaded if name.startswith("ovcadmin")}
    assert {name for name in ours if not name.startswith("ovcadmin.cli")} == {"ovcadmin"}
    assert loaded & {"sqlalchemy", "pyramid", "gevent", "libvirt"} == set()


def test_choices_are_those_of_the_contract():
    contract = yaml.safe_load(api.CONTRACT.read_text())
    parameters = {
        one["name"]: one["schema"]
        for one in contract["paths"]["/machines"]["get"]["parameters"]
        if "name" in one
    }
    assert list(machines.STATES) == parameters["state"]["enum"]
    assert sorted(machines.SORTS) == sorted(parameters["sort"]["enum"])
    schemas = contract["components"]["schemas"]
    assert list(operations.STATES) == schemas["OperationState"]["enum"]
    assert list(pools.RESOURCES) == list(schemas["Limits"]["properties"])
    action = contract["paths"]["/machines/{id}/actions/{action}"]["parameters"][1]
    typed = {name.replace("poweroff", "power_off") for name in machines.machines.commands}
    assert set(action["schema"]["enum"]) <= typed
