"""What people can set or type stands in the documentation."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from ovcadmin import api
from ovcadmin.config import PREFIX, Settings
from ovcadmin.manage import reference

ROOT = Path(__file__).parents[2]
REST = ROOT / "docs/rest.md"
CONFIGURATION = ROOT / "docs/configuration.md"


@pytest.mark.parametrize("spec", fields(Settings), ids=lambda spec: spec.name)
def test_a_setting_is_documented(spec):
    assert f"`{PREFIX}{spec.name}`" in CONFIGURATION.read_text()


def test_the_reference_of_settings_is_what_the_program_writes():
    assert CONFIGURATION.read_text() == reference.settings_page()


def test_every_call_in_the_guide_to_the_api_is_in_the_contract():
    paths = yaml.safe_load(api.CONTRACT.read_text())["paths"]
    told = re.findall(r"# (GET|POST|PUT|PATCH|DELETE) (/\S+)", REST.read_text())
    assert len(told) > 5
    assert [call for call in told if call[0].lower() not in paths.get(call[1], {})] == []


def test_every_operation_of_the_contract_says_what_it_does():
    paths = yaml.safe_load(api.CONTRACT.read_text())["paths"]
    for path, item in paths.items():
        for method in {"get", "post", "put", "patch", "delete"} & item.keys():
            assert item[method]["summary"], path
            assert item[method]["operationId"], path
            assert "default" in item[method]["responses"], path


def test_every_list_of_the_contract_comes_in_pages_with_chosen_fields():
    paths = yaml.safe_load(api.CONTRACT.read_text())["paths"]
    prefix = "#/components/parameters/"
    for path, item in paths.items():
        named = {one.get("$ref", "") for one in item.get("get", {}).get("parameters", ())}
        if f"{prefix}Cursor" in named:
            told = 'add `- {$ref: "#/components/parameters/Fields"}` to its parameters'
            assert named >= {f"{prefix}Limit", f"{prefix}Fields"}, f"{path}: {told}"
