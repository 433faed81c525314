"""What every page has: its title, the copyright, no complaint of the browser; and how it fits."""

import re

import pytest

from tests.functional.world import PASSWORD

SCROLLS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.requirement("OVC-33", "OVC-34", "KVM-19")
def test_every_page_has_its_title_and_the_copyright_and_fits_into_360_pixels(furnished_site, page):
    site, sample = furnished_site
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{site.url}/signin")
    assert not page.evaluate(SCROLLS)
    site.sign_in(page)
    wide = []
    for address in sample.addresses():
        answer = page.goto(site.url + address)
        assert (address, answer.status) == (address, 200)
        assert re.fullmatch(r".+ · OpenvCloud", page.title()), address
        assert page.locator("footer.page").inner_text() == "© 2026 OpenvCloud", address
        if page.evaluate(SCROLLS):
            wide.append(address)
    assert wide == []


@pytest.mark.requirement("OVC-33", "OVC-34")
def test_pages_of_visitors_and_errors_have_them_too(empty_site, page, complaints):
    for address in ("/signin", "/help/errors/signin.failed", "/nowhere"):
        page.goto(empty_site.url + address)
        assert page.title().endswith(" · OpenvCloud"), address
        assert page.locator("footer.page").inner_text() == "© 2026 OpenvCloud", address
    assert len(complaints) == 1  # the 404
    complaints.clear()


@pytest.mark.requirement("KVM-19")
def test_menu_and_tree_are_sheets_on_a_small_screen(furnished_site, page):
    site, sample = furnished_site
    page.set_viewport_size({"width": 360, "height": 740})
    site.sign_in(page)
    menu = page.locator("#nav")
    assert not menu.is_visible()
    page.get_by_role("button", name="Menu").click()
    menu.get_by_role("link", name="Machines").click()
    page.wait_for_url("**/machines")
    page.get_by_role("button", name="Pools").click()
    page.locator("#tree").get_by_role("link", name="Web").click()
    page.wait_for_url(f"**/pools/{sample.pool.id}")


def test_keys_go_to_lists_search_and_help(furnished_site, page):
    site, _ = furnished_site
    site.sign_in(page)
    for key, path in (("m", "machines"), ("p", "pools"), ("h", "hosts"), ("o", "operations")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**/{path}")
    page.keyboard.press("/")
    page.keyboard.type("web0")
    page.keyboard.press("Enter")
    page.wait_for_url("**/machines?q=web0")
    assert page.locator("td.name").all_inner_texts() == ["web01", "web02"]
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keyboard").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Keyboard").is_visible()


def test_focus_can_be_seen_on_every_stop_of_the_tab_key(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    for _ in range(40):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            "(style => style.outlineStyle + style.outlineWidth)"
            "(getComputedStyle(document.activeElement))"
        )
        assert outline == "solid2px", page.evaluate("document.activeElement.outerHTML")


def test_dark_mode_follows_the_system_until_the_user_says_otherwise(empty_site, page):
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    empty_site.sign_in(page)
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.emulate_media(color_scheme="light")
    page.get_by_text("Administrator").first.click()
    page.get_by_role("button", name="Dark mode").click()
    page.wait_for_selector("html[data-theme=dark]")
    assert page.evaluate(ground) == dark
    page.goto(f"{empty_site.url}/machines")
    assert page.evaluate(ground) == dark


def test_the_drawer_remembers_its_height_and_whether_it_is_open(furnished_site, page):
    site, _ = furnished_site
    site.sign_in(page)
    drawer = page.locator("#drawer")
    page.get_by_role("separator", name="Height of the drawer").focus()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    height = drawer.bounding_box()["height"]
    page.goto(f"{site.url}/hosts")
    assert drawer.bounding_box()["height"] == height
    page.get_by_role("button", name="Show or hide the drawer").click()
    page.goto(f"{site.url}/machines")
    assert drawer.bounding_box()["height"] < 40


@pytest.mark.requirement("OVC-14", "OVC-28")
def test_the_sign_in_page_asks_for_name_and_password_only(empty_site, page):
    page.goto(f"{empty_site.url}/signin")
    asked = page.locator("input:not([type=hidden]), select, button, a").all()
    assert [one.get_attribute("name") or one.inner_text() for one in asked] == [
        "name",
        "password",
        "Sign in",
    ]


def test_everything_that_matters_works_without_script(furnished_site, browser):
    site, sample = furnished_site
    site.administrator()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/signin")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#tree").get_by_role("link", name="Research").click()
    page.get_by_role("link", name="Quota", exact=True).click()
    page.get_by_role("textbox", name="vCPUs").fill("3")
    page.get_by_role("button", name="Set the quota").click()
    page.get_by_text("The quota of Research is set.").wait_for()
    page.get_by_role("link", name="New machine").first.click()
    page.get_by_label("Name", exact=True).fill("without-script")
    page.get_by_label("large").check()
    page.get_by_role("button", name="Check only").click()
    page.get_by_text("It would not fit").wait_for()
    page.get_by_label("small").check()
    page.get_by_role("button", name="Create the machine").click()
    page.get_by_text("without-script is being created").wait_for()
    page.goto(f"{site.url}/machines/{sample.machines['web01'].id}")
    page.get_by_role("link", name="Power off").click()
    page.get_by_text("What the guest of web01 had not yet written").wait_for()
    page.get_by_role("button", name="Power off web01").click()
    page.get_by_text("Power off web01: accepted").wait_for()
    context.close()
