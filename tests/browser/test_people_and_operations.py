"""Home, operations, and one's own profile."""

import pytest

from ovcadmin.services import operations
from tests.functional.world import PASSWORD


def test_home_tells_what_needs_attention_and_what_is_going_on(furnished_site, page):
    site, _ = furnished_site
    site.sign_in(page)
    attention = page.get_by_role("region", name="What needs attention").locator("li")
    told = attention.all_inner_texts()
    assert any("does not answer" in one and "kvm-b" in one for one in told)
    assert any("unknown" in one and "1 machine" in one for one in told)
    assert any("full" in one and "Running machines: 4 used, of 4" in one for one in told)
    assert any("failed" in one and "input/output error" in one for one in told)
    going_on = page.get_by_role("region", name="What is going on")
    going_on.get_by_text("running · 62 %").wait_for()
    attention.get_by_role("link", name="kvm-b").click()
    page.get_by_role("heading", name="kvm-b").wait_for()
    page.get_by_text("no answer within 8 s").wait_for()


@pytest.mark.requirement("PEER-09")
def test_the_drawer_follows_operations_and_leads_to_their_log(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/consumption")
    row = page.locator("#drawer tr", has_text="Suspend web02")
    row.get_by_text("running · 62 %").wait_for()
    site.world.finish(sample.running.id)
    row.get_by_text("done").wait_for()
    assert page.url == f"{site.url}/consumption"
    page.locator("#drawer tr", has_text="Delete build-01").get_by_role("link").click()
    page.get_by_role("heading", name="Delete build-01").wait_for()
    page.get_by_text("QEMU said: input/output error.").wait_for()
    page.get_by_role("link", name="storage.failed").wait_for()


@pytest.mark.requirement("PEER-09")
def test_a_failed_operation_is_tried_again_and_a_waiting_one_cancelled(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/operations/{sample.failed.id}")
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("is queued again").wait_for()
    page.get_by_role("button", name="Cancel it").click()
    page.locator(".title .badge", has_text="cancelled").wait_for()
    with site.world.work() as work:
        assert operations.listing(work, operations.Filter())[0].state == "cancelled"


def test_the_password_is_changed_with_three_fields(empty_site, page, complaints):
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/profile")
    form = page.locator("#password")
    fields = [label.inner_text() for label in form.locator("label").all()]
    assert fields == ["Present password", "New password", "New password again"]

    def change(old, new, again):
        for label, text in zip(fields, (old, new, again), strict=True):
            form.get_by_label(label, exact=True).fill(text)
        form.get_by_role("button", name="Change the password").click()

    change("wrong", "a new password", "a new password")
    page.get_by_text("This is not your present password.").wait_for()
    change(PASSWORD, "a new password", "another one here")
    page.get_by_text("The two entries differ.").wait_for()
    complaints.clear()  # the 422s
    change(PASSWORD, "a new password", "a new password")
    page.get_by_text("Your password is changed").wait_for()


def test_a_token_is_shown_once_works_and_is_revoked(empty_site, page):
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/profile")
    page.locator("#tokens").get_by_label("Name", exact=True).fill("backup script")
    page.get_by_role("button", name="Create a token").click()
    key = page.locator(".key code").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    answer = page.request.get(f"{empty_site.url}/api/v1/session", headers=headers)
    assert answer.json()["door"] == "token"
    page.goto(f"{empty_site.url}/profile")
    assert key not in page.content()
    page.locator("tr", has_text="backup script").get_by_role("button", name="Revoke").click()
    page.get_by_text("You have no token.").wait_for()
    answer = page.request.get(f"{empty_site.url}/api/v1/session", headers=headers)
    assert answer.status == 401


def test_a_session_elsewhere_is_ended(empty_site, page, browser):
    empty_site.sign_in(page)
    other = browser.new_context().new_page()
    empty_site.sign_in(other)
    page.goto(f"{empty_site.url}/profile")
    page.locator("tr", has_not_text="this one").get_by_role("button", name="End it").click()
    page.get_by_text("The session is ended.").wait_for()
    other.goto(f"{empty_site.url}/machines")
    assert "/signin" in other.url
    other.context.close()
