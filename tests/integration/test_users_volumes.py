"""Each user's guest has a volume of its own in the storage of his pool, on a real libvirtd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from ovcadmin.services import pools
from tests.functional.world import World
from tests.integration.test_crash_copies import POOL, Site
from tests.rig import LibvirtHost


@pytest.fixture
def site(tmp_path: Path, libvirt_host: LibvirtHost) -> Iterator[Site]:
    world = World(f"sqlite:///{tmp_path}/ovcadmin.db", tmp_path)
    yield Site(world, libvirt_host)
    world.close()


@pytest.mark.requirement("OVT-42")
def test_each_user_makes_a_guest_and_its_volume_stands_in_its_definition(site: Site) -> None:
    admin, sources = site.world.api(site.admin), set()
    (store,) = admin("GET", "/storage-pools").json["items"]
    for name in ("anna", "ben"):
        with site.world.work(site.admin) as work:
            team = pools.create(work, pools.root(work), name=f"Team {name}")
        api = site.world.api(site.world.user(name, "User", team))
        image = api("GET", "/images").json["items"][0]["id"]
        order = {"name": f"{name}'s guest", "image_id": image, "size": "tiny"}
        asked = api("POST", f"/pools/{team.id}/machines", order)
        assert asked.status_int == 202, asked.json
        site.calm()
        (machine,) = api("GET", "/machines").json["items"]
        assert (machine["name"], machine["state"]) == (order["name"], "stopped")
        volumes = admin("GET", f"/storage-pools/{store['id']}/volumes").json["items"]
        (own,) = [one for one in volumes if (one["machine"] or {}).get("id") == machine["id"]]
        assert machine["pool"]["name"] == team.name
        definition = etree.fromstring(site.virsh("dumpxml", machine["uuid"]))
        (source,) = definition.findall("devices/disk[@device='disk']/source")
        assert source.get("file") == site.virsh("vol-path", own["name"], "--pool", POOL)
        sources.add(source.get("file"))
    assert len(sources) == 2
    assert site.on_host() == site.in_books()
