"""The house style as a browser computes it."""

import re
from pathlib import Path

import pytest

from tests.rig.base import ROOT

BRAND = "rgb(52, 94, 121)"  # #345E79
CSS = sorted((ROOT / "static/css").glob("*.css"))
COMPUTED = "([selector, name]) => getComputedStyle(document.querySelector(selector))[name]"

COLOUR = re.compile(r"(?<!url\()#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", re.IGNORECASE)
WEAK = (Path(__file__).parent / "contrast.js").read_text()


@pytest.mark.requirement("OVC-35")
def test_title_menu_bar_and_table_head_have_the_brand_colour(furnished_site, page):
    site, _ = furnished_site
    page.emulate_media(color_scheme="light")
    site.sign_in(page)
    page.goto(f"{site.url}/machines")
    assert page.evaluate(COMPUTED, ["h1", "color"]) == BRAND
    assert page.evaluate(COMPUTED, ["header.menu", "backgroundColor"]) == BRAND
    assert page.evaluate(COMPUTED, ["table.list th", "backgroundColor"]) == BRAND


@pytest.mark.requirement("OVC-35", "OVC-36")
def test_colours_stand_in_one_file_and_the_brand_in_one_variable():
    theme = (ROOT / "static/css/theme.css").read_text()
    assert re.findall(r"(--[a-z-]+): *#345E79", theme, re.IGNORECASE) == ["--brand"]
    for path in CSS:
        if path.name != "theme.css":
            assert COLOUR.findall(path.read_text()) == [], path


@pytest.mark.requirement("OVC-31", "OVC-32")
def test_the_sign_in_page_stands_before_our_mountains(empty_site, page):
    page.goto(f"{empty_site.url}/signin")
    image = page.evaluate(COMPUTED, ["body", "backgroundImage"])
    address = re.search(r'url\("(.+)"\)', image).group(1)
    assert re.search(r"/static/[0-9a-f]+/img/mountains\.svg$", address)
    painted = page.request.get(address)
    assert painted.headers["content-type"].startswith("image/svg+xml")
    assert "#345E79" in painted.text()


def test_text_stands_out_from_its_ground(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    weak = {}
    for address in sample.addresses():
        page.goto(site.url + address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if found := page.evaluate(WEAK):
                weak[address, scheme] = found
    assert weak == {}


def test_a_state_is_told_by_word_and_shape(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    shown = {}
    for row in page.locator("table.machines tbody tr").all():
        badge = row.locator(".badge")
        shape = badge.locator("use").get_attribute("href").rpartition("#")[2]
        shown[row.locator("td.name").inner_text()] = (badge.inner_text().split("\\n")[0], shape)
    assert shown["web01"] == ("running", "circle")
    assert shown["db-main"] == ("suspended", "bars")
    assert shown["mail"] == ("saved", "tray")
    assert shown["web02"] == ("suspending · 62 %", "ring")
    word, shape = shown["win-print"]
    assert re.match(r"unknown\s*since \d\d:\d\d", word)
    assert shape == "diamond"


def test_a_quota_bar_can_be_read_without_seeing_it(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    quota = page.get_by_role("region", name="Quota")
    spoken = [bar.get_attribute("aria-label") for bar in quota.get_by_role("img").all()[:6]]
    assert spoken[0] == "vCPUs: 7 used, of 12"
    assert spoken[3] == "Running machines: 4 used, of 4"
    assert quota.locator(".bar.full .label").first.inner_text() == "Running machines"
