"""What a guest is told at its first boot: checked, sealed, and the same by page and by REST."""

from __future__ import annotations

import io

import pycdlib
import pytest
import yaml

from ovcadmin.drivers.hypervisor.base import Lease
from ovcadmin.models import Machine
from ovcadmin.services import cloud_init, guest_addresses, guests, seals
from tests.functional.world import form

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq0HkWYRD0Yp2rVYsAxLYdzC0yXWZ0Uo2lC9Vv1uQpZ anna@desk"
SECRET = "correct horse battery"


@pytest.fixture
def web(world):
    pool = world.pool("Web")
    world.host()
    world.image()
    world.anna = world.user("anna", "User", pool)
    return pool


def order(world, **told):
    api = world.api(world.anna)
    image = api("GET", "/images").json["items"][0]["id"]
    return {"name": "Web 01", "image_id": image, "size": "tiny", "cloud_init": told}


def read(raw: bytes) -> dict[str, str]:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(raw))
    assert iso.pvd.volume_identifier.decode().strip() == "cidata"
    files = {}
    for child in iso.list_children(joliet_path="/"):
        name = child.file_identifier().decode("utf-16-be") if child.is_file() else ""
        if name:
            out = io.BytesIO()
            iso.get_file_from_iso_fp(out, joliet_path=f"/{name}")
            files[name] = out.getvalue().decode()
    return files


def test_the_seed_says_what_was_asked_for_and_the_database_holds_no_secret(world, web):
    api = world.api(world.anna)
    told = {
        "user": "anna", "password": SECRET, "ssh_keys": [KEY],
        "user_data": f"write_files:\n- path: /root/token\n  content: {SECRET}\nssh_pwauth: false\n",
        "network_config": "version: 2\nethernets: {eth0: {dhcp4: true}}\n",
    }  # fmt: skip
    answer = api("POST", f"/pools/{web.id}/machines", order(world, **told))
    assert answer.status_int == 202
    machine_id = answer.json["machine"]["id"]
    shown = api("GET", f"/machines/{machine_id}/guest").json["cloud_init"]
    assert shown["user"] == "anna"
    assert set(shown["holds"]) == {"password", "user_data", "network_config"}
    assert SECRET not in repr(world.fingerprint())
    assert "$6$" not in repr(world.fingerprint()), "the hash is sealed, too"
    with world.work() as work:
        machine = work.db.get_one(Machine, machine_id)
        raw = cloud_init.seed(work, machine.cloud_init, uuid=machine.uuid, name=machine.name)
    files = read(raw)
    assert yaml.safe_load(files["meta-data"]) == {
        "instance-id": machine.uuid, "local-hostname": "web-01",
    }  # fmt: skip
    assert files["user-data"].startswith("#cloud-config\n")
    config = yaml.safe_load(files["user-data"])
    default, anna = config["users"]
    assert default == "default"
    assert anna["ssh_authorized_keys"] == [KEY]
    assert anna["passwd"].startswith("$6$")
    assert SECRET not in anna["passwd"]
    assert config["ssh_pwauth"] is False, "their own words go first"
    assert files["network-config"] == told["network_config"]
    page = world.signed_in(world.anna).get(f"/machines/{machine_id}").text
    assert "user anna" in page
    assert SECRET not in page


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("hostname", "Web_01", "lower-case"),
        ("user", "0; rm", "lower-case"),
        ("ssh_keys", ["ssh-rsa not!base64"], "Line 1"),
        ("ssh_keys", ["ssh-rsa schlüssel"], "Line 1"),
        ("ssh_keys", [KEY, "ssh-rsa " + KEY.split()[1]], "Line 2"),
        ("password", SECRET, "user"),
        ("user_data", "a: [1", "line"),
        ("user_data", "- a\n- b", "mapping"),
        ("user_data", "!!python/object/apply:os.system [id]", "YAML"),
        ("user_data", "[" * 2000, "YAML"),
        ("network_config", "ethernets: {}", "version"),
    ],
)
def test_what_cannot_be_used_is_refused_next_to_its_field(world, web, field, value, says):
    answer = world.api(world.anna)(
        "POST", f"/pools/{web.id}/machines", order(world, **{field: value})
    )
    assert answer.status_int == 422
    told = {one["field"]: one["text"] for one in answer.json["fields"]}
    assert says in told[field]


def test_the_form_asks_for_it_and_takes_over_a_profile(world, web):
    olga = world.user("olga", "Administrator", web)
    boss = world.signed_in(olga)
    entry = form(boss.get(f"/profiles/new?pool={web.id}"))
    entry["name"], entry["size"], entry["user"], entry["ssh_keys"] = "Shop", "tiny", "shop", KEY
    entry["password"] = SECRET
    assert "Shop" in entry.submit().follow().text

    browser = world.signed_in(world.anna)
    page = browser.get(f"/machines/new?pool={web.id}")
    page = page.click("^Shop$")
    target = f"/machines/new?pool={web.id}"
    entry = form(page, target)
    assert (entry["user"].value, entry["ssh_keys"].value) == ("shop", KEY)
    entry["name"], entry["user_data"] = "shop07", "packages: nginx: x"
    refused = entry.submit(status=422)
    assert "This is no YAML: line 1" in refused.text
    entry = form(refused, target)
    entry["user_data"] = "packages: [nginx]"
    shown = entry.submit().follow()
    assert "user shop" in shown.text
    assert "1 SSH key" in shown.text

    api = world.api(world.anna)
    profile = api("GET", "/profiles").json["items"][0]
    made = api("POST", f"/profiles/{profile['id']}/machines", {}).json["machine"]
    guest = api("GET", f"/machines/{made['id']}/guest").json
    assert guest["cloud_init"]["holds"] == ["password"], "the one click takes what is sealed along"


def test_the_network_is_chosen_and_judged(world, web):
    browser = world.signed_in(world.anna)
    entry = form(browser.get(f"/machines/new?pool={web.id}"))
    assert [value for value, *_ in entry["network"].options] == [""]
    answer = world.api(world.anna)(
        "POST", f"/pools/{web.id}/machines", {**order(world), "network": "nowhere"}
    )
    assert answer.json["code"] == "placement.no_host"
    assert "nowhere" in answer.json["detail"]


def test_a_seed_sealed_with_another_key_is_refused_in_words(world, web):
    with world.work() as work:
        kept = cloud_init.keep(work, cloud_init.Wish(user_data="a: 1"))
        kept["sealed"] = kept["sealed"][:-8] + "AAAAAAA="
        with pytest.raises(Exception, match="another key"):
            cloud_init.seed(work, kept, uuid="u", name="n")
        assert seals.key_file(work.settings).exists()


def test_a_console_names_addresses_and_who_signs_in(world, web):
    api = world.api(world.anna)
    orders = [
        {"name": "both", "cloud_init": {"user": "anna", "password": SECRET, "ssh_keys": [KEY]}},
        {"name": "keys", "cloud_init": {"ssh_keys": [KEY]}},
        {"name": "none", "cloud_init": None},
    ]
    numbers = []
    for one in orders:
        asked = {**order(world), **one}
        if asked["cloud_init"] is None:
            del asked["cloud_init"]
        answer = api("POST", f"/pools/{web.id}/machines", asked)
        numbers.append(answer.json["machine"]["id"])
    host = world.host("leases")
    with world.work() as work:
        machine = work.db.get_one(Machine, numbers[0])
        machine.image.description = "Console account: demo, password demo.\nMore of it."
        machine.nics[0].address = "10.9.0.5"
        leases = [Lease(mac=machine.nics[0].mac, address="10.9.0.77", network="lan")]
        guest_addresses.seen(work, host.id, leases)
        said = {
            "if.count": 1, "if.0.name": "eth0", "if.0.addr.count": 3,
            "if.0.addr.0.addr": "10.9.0.5", "if.0.addr.1.addr": "fe80::1",
            "if.0.addr.2.addr": "2001:db8::5",
        }  # fmt: skip
        guests.answered(work, machine.id, said, work.now())
    browser = world.signed_in(world.anna)
    both, keys, none = (browser.get(f"/machines/{number}/console") for number in numbers)
    assert "10.9.0.5, 10.9.0.77, 2001:db8::5" in both.text
    assert "anna, with the password of its first boot or 1 SSH key" in both.text
    assert "Console account: demo, password demo." in both.text
    assert "More of it" not in both.text
    assert "with 1 SSH key: its first boot was given no password" in keys.text
    assert "Sign in as" not in none.text
