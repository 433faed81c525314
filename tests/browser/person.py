"""What a person does in the pages of a running cloud."""

import re

from playwright.sync_api import TimeoutError as TooLate

from tests.browser.site import free_name

SECONDS = 90_000
"""How long a real guest may take, in milliseconds."""


def badge(page):
    return page.locator("main .title .badge")


def wait_for_state(page, word):
    """The page itself follows: nothing here loads it again."""
    badge(page).filter(has_text=re.compile(rf"^\s*{word}\s*$")).wait_for(timeout=SECONDS)


def wait_for_prompt(page, frame="#console"):
    """Until the guest's shell asks for a command; returns the rows of its console.

    A console shows what comes after it was opened: who came after the prompt presses Enter.
    """
    rows = page.locator(f"{frame} .xterm-rows")
    asking = rows.filter(has_text=re.compile(r"[#$]\s*$"))
    for _ in range(SECONDS // 5_000):
        try:
            asking.wait_for(timeout=5_000)
        except TooLate:
            page.locator(f"{frame} .xterm-helper-textarea").press("Enter", timeout=90_000)
        else:
            break
    asking.wait_for()
    return rows


def make_pool(page, cloud, name=None):
    """Make a pool under the root; return its name."""
    name = name or free_name("web")
    page.goto(f"{cloud.url}/pools")
    page.get_by_role("link", name="New pool").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create the pool").click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    return name


def set_quota(page, **limits):
    page.get_by_role("link", name="Quota", exact=True).click()
    for label, text in limits.items():
        page.get_by_role("textbox", name=label.replace("_", " ")).fill(text)
    page.get_by_role("button", name="Set the quota").click()
    page.get_by_text("is set.").wait_for()


def make_machine(page, name=None, *, size="tiny", start=True):
    """From the pool's page to the machine's; return its name."""
    name = name or free_name("vm")
    page.locator(".toolbar").get_by_role("link", name="New machine").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label(size).check()
    if not start:
        page.get_by_label("Start it").uncheck()
    page.get_by_role("button", name="Create the machine").click()
    accepted = page.get_by_text(f"{name} is being created")
    refused = page.locator(".refusal, .wrong")
    accepted.or_(refused).first.wait_for()
    assert accepted.count() == 1, refused.all_inner_texts()
    return name


def domain_of(cloud, page):
    """The domain's name on the host, from the machine's page."""
    return (
        page.locator("dt", has_text="Domain").locator("xpath=following-sibling::dd[1]").inner_text()
    )


def open_pool(page, pool):
    page.locator("#tree").get_by_role("link", name=pool, exact=True).click()
    page.get_by_role("heading", name=pool, exact=True).wait_for()


def open_machine(page, name):
    page.locator("main").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
