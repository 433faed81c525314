"""No page has what keeps people with other senses or hands out, as axe finds it."""

from __future__ import annotations

import pytest

from ovcadmin.services import help_cases, knowledge_search, notes
from ovcadmin.services.help_cases import Draft
from tests.rig.base import ROOT

AXE = ROOT / "var/rig/axe.min.js"
"""Put there by script/bootstrap, at the version of package.json."""
RUN = """async exclude => {
    const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
    const only = { runOnly: { type: "tag", values: rules }, resultTypes: ["violations"] };
    const found = await axe.run({ exclude }, only);
    return found.violations.map(
        one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.target.join(" ")).join(" | ")}`
    );
}"""
FRAME = ["header.menu", "#tree", "#drawer", "#keys"]
"""What stands around every page, three quarters of it: looked at with the pages of `FRAMED`."""
FRAMED = ("/", "/machines", "/knowledge", "/operations")
ARTICLES = [
    "/knowledge",
    "/knowledge/tutorials",
    "/knowledge?q=quota",
    "/knowledge/administration/networks",
    "/knowledge/new",
    "/knowledge/care",
    "/knowledge/pictures",
    "/knowledge/tutorials/console/edit",
    "/tutorials",
    "/tutorials/tutorials/first-linux-machine",
    "/do/machine.start",
    "/go/machine.console",
    "/getting-started",
    "/help/errors/quota.exceeded",
    "/help",
    "/api",
    "/cases",
    "/help-desk?q=web",
]


def _desk(site, sample) -> list[str]:
    machine = sample.machines["web01"]
    with site.world.work(site.administrator()) as work:
        knowledge_search.refresh(work)
        row, _ = notes.subject(work, "machine", machine.id)
        notes.write(work, "machine", row, "Moves on Friday", for_users=True)
        case = help_cases.hand_over(
            work, Draft(kind="machine", row=row, owner=row.owner, text="It does not start.")
        )
        return [
            f"/help-desk/machines/{machine.id}?person={row.owner_id}",
            f"/help-desk/people/{row.owner_id}",
            f"/machines/{machine.id}/notes",
            f"/machines/{machine.id}/hand-over",
            f"/cases/{case.id}",
        ]


@pytest.mark.timeout(600)
def test_axe_finds_no_violation(furnished_site, page):
    """No rule is left out, and every page is looked at in both schemes and sizes by one visit."""
    site, sample = furnished_site
    site.sign_in(page)
    axe = AXE.read_text()
    wrong = {}
    for address in [*_desk(site, sample), *ARTICLES, *sample.addresses()]:
        page.goto(site.url + address)
        page.evaluate(axe)
        known = [] if address in FRAMED else FRAME
        for scheme, width in (("light", 1280), ("dark", 360)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            if found := page.evaluate(RUN, known):
                wrong[address, scheme] = found
    assert wrong == {}
