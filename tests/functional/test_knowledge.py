"""The knowledge base as its readers use it, and what is shipped in it."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from pyramid.request import Request
from sqlalchemy import delete, event

from ovcadmin.models import ArticleText
from ovcadmin.services import knowledge, knowledge_opinions, knowledge_search, markdown
from ovcadmin.views import knowledge_edits as desk_views
from tests.browser.test_words import BANNED
from tests.functional.world import World

SHIPPED = sorted(
    [*knowledge.shipped().values(), *knowledge.tutorial()], key=lambda article: article.key
)
QUESTIONS = {
    "install": "administration/install",
    "how do I install it": "administration/install",
    "upgrade to a new version": "administration/upgrade",
    "backup": "administration/backup",
    "restore the database": "administration/backup",
    "certificate": "administration/certificates",
    "reverse proxy nginx": "administration/certificates",
    "wildcard certificate": "administration/certificates",
    "ldap": "administration/directories",
    "openldap groups": "administration/openldap",
    "freeipa": "administration/freeipa",
    "active directory": "administration/active-directory",
    "kerberos single sign-on": "administration/kerberos",
    "second factor": "administration/second-factor",
    "lost telephone recovery code": "administration/second-factor",
    "add a host": "administration/hosts",
    "host unresponsive": "errors/host.unresponsive",
    "kvm or emulation": "administration/hosts",
    "storage pool full": "errors/storage.full",
    "storage pools": "administration/storage",
    "image": "administration/images",
    "troubleshooting": "administration/troubleshooting",
    "log": "administration/troubleshooting",
    "forgot administrator password": "administration/people",
    "make a user": "administration/people",
    "disable a user": "administration/people",
    "audit log": "administration/audit-log",
    "quota": "pool-owners/quota-rules",
    "over-promised": "pool-owners/quota-rules",
    "suspended machine counts": "pool-owners/quota-rules",
    "quota.exceeded": "errors/quota.exceeded",
    "give a role": "pool-owners/delegating",
    "delegate a pool": "pool-owners/delegating",
    "ask for more quota": "pool-owners/requests",
    "approve a request": "pool-owners/requests",
    "consumption report": "pool-owners/reports",
    "csv": "pool-owners/reports",
    "freeze a pool": "pool-owners/pool-care",
    "move a pool": "pool-owners/pool-care",
    "lend quota to a sibling": "pool-owners/lending",
    "limit of one person": "pool-owners/persons",
    "forecast": "pool-owners/forecast",
    "view as": "help-desk/view-as",
    "edit an article": "help-desk/editing",
    "what may the help desk see": "help-desk/what-you-see",
    "first linux machine": "tutorials/first-linux-machine",
    "serial console": "tutorials/console",
    "root password": "tutorials/root-access",
    "ssh": "tutorials/ssh",
    "root over ssh": "tutorials/ssh",
    "vpn": "tutorials/vpn",
    "wireguard client": "tutorials/vpn",
    "port forward": "tutorials/port-forwards",
    "windows": "tutorials/first-windows-machine",
    "import qcow2": "tutorials/own-disk",
    "dns": "administration/dns",
    "which ports firewall": "administration/networks",
    "note on a machine": "help-desk/desk",
    "hand over a case": "help-desk/desk",
    "snapshot": "tutorials/snapshots",
    "token for a script": "tutorials/rest-api",
    "iscsi": "administration/iscsi-nfs",
    "nfs export": "administration/iscsi-nfs",
    "chap password": "administration/iscsi-nfs",
    "cancel an operation": "tutorials/operations",
    "operation failed try again": "tutorials/operations",
    "change my password": "tutorials/account",
    "end a session": "tutorials/account",
    "keep machines apart": "pool-owners/tags-and-sets",
    "tags": "pool-owners/tags-and-sets",
    "what does saved mean": "tutorials/machine-states",
    "install from an iso": "tutorials/install-from-iso",
    "debian installer": "tutorials/install-from-iso",
    "boot from the network": "tutorials/install-from-iso",
    "install windows": "tutorials/first-windows-machine",
    "virtio drivers": "tutorials/first-windows-machine",
    "sysprep template": "tutorials/first-windows-machine",
    "ovc command line": "tutorials/ovc",
    "exit code": "tutorials/ovc",
    "ovc login on my computer": "tutorials/ovc",
    "how do I find help": "tutorials/find-help",
    "domain users group": "administration/active-directory",
    "migration ports": "administration/networks",
}
"""What people ask, and the article that must be among the first three."""


@pytest.fixture
def indexed(world):
    with world.work() as work:
        knowledge_search.refresh(work)
    return world


@pytest.fixture
def anna(indexed):
    return indexed.signed_in(indexed.user("anna", "User", indexed.pool("Web")))


@pytest.fixture
def reader(sqlite_world):
    """Somebody who reads what no database has a part in."""
    with sqlite_world.work() as work:
        knowledge_search.refresh(work)
    return sqlite_world.signed_in(sqlite_world.user("rita", "User", sqlite_world.pool("Web")))


@pytest.mark.requirement("OVC-12", "OVC-26")
def test_the_overview_leads_to_every_section_and_article(anna):
    page = anna.get("/knowledge")
    assert page.html.select_one("h1").text == "Knowledge base"
    titles = [heading.text for heading in page.html.select(".shelves h2")]
    assert titles == [
        "Technical Tutorials",
        "Administration",
        "Pool owners",
        "Help desk",
        "Error reference",
    ]
    for one in knowledge.SECTIONS:
        shelf = anna.get(f"/knowledge/{one.name}")
        linked = {link["href"] for link in shelf.html.select(".articles a")}
        assert linked == {article.path for article in SHIPPED if article.section == one.name}
        assert linked
    assert anna.fetch("/knowledge/nothing").status_int == 404
    assert anna.fetch("/knowledge/tutorials/nothing").status_int == 404


def test_the_menu_leads_there(reader):
    menu = {
        link.get_text(strip=True): link["href"] for link in reader.get("/").html.select("#nav a")
    }
    assert menu["Knowledge base"] == "/knowledge"
    assert menu["Getting Started"] == "/getting-started"


@pytest.mark.requirement("OVC-12", "OVC-18", "OVC-27")
@pytest.mark.parametrize("article", SHIPPED, ids=lambda article: "/".join(article.key))
def test_a_shipped_article_is_whole(article):
    text = f"{article.title} {article.text.summary} {article.text.body} {article.text.tags}"
    assert BANNED.findall(text) == []
    assert article.title
    assert len(article.rendered.words) > 100
    assert "<h1" not in article.html
    if article.section not in (knowledge.ERROR_SECTION, knowledge.TUTORIAL):
        assert article.text.summary.endswith(".")
        assert article.text.tags
        assert article.order != knowledge.LAST


@pytest.mark.parametrize("article", SHIPPED, ids=lambda article: "/".join(article.key))
def test_every_link_of_a_shipped_article_resolves(sqlite_world, article):
    request = Request.blank("/")
    request.registry = sqlite_world.app.registry
    with sqlite_world.work() as work:
        request.work = work
        for target in article.rendered.links:
            assert target.startswith(("/", "#", "https://example")), target
            link = knowledge_opinions.Link(article=article.key, target=target)
            assert desk_views.leads(request, link), target


def test_an_article_has_contents_tags_and_neighbours(reader):
    page = reader.get("/knowledge/pool-owners/quota-rules")
    contents = page.html.select(".contents a")
    assert len(contents) > 2
    for link in contents:
        assert page.html.select_one(f'.article [id="{link["href"][1:]}"]').text == link.text
    tag = page.html.select_one(".tags a")
    found = reader.get(tag["href"])
    assert "/knowledge/pool-owners/quota-rules" in [
        link["href"] for link in found.html.select(".articles a")
    ]
    following = page.html.select_one('a[rel="next"]')
    back = reader.get(following["href"]).html.select_one('a[rel="prev"]')
    assert back["href"] == "/knowledge/pool-owners/quota-rules"


def test_an_error_article_is_open_to_strangers_and_part_of_the_reference(sqlite_world, reader):
    stranger = sqlite_world.anonymous().get("/help/errors/quota.exceeded")
    assert stranger.html.select_one("h1").text == "The quota leaves no room"
    assert stranger.html.select_one("#nav") is None
    page = reader.get("/help/errors/quota.exceeded")
    assert [link.text for link in page.html.select(".crumbs a")] == [
        "Knowledge base",
        "Error reference",
    ]
    assert sqlite_world.anonymous().fetch("/help/errors/no.such").status_int == 404
    assert reader.fetch("/help/errors/no.such").status_int == 404
    assert "/signin" in sqlite_world.anonymous().fetch("/knowledge").headers["Location"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def knowing(request, tmp_path_factory):
    """A console with its index, made once for all questions."""
    directory = tmp_path_factory.mktemp("knowing")
    url = f"sqlite:///{directory}/ovcadmin.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    world = World(url, directory)
    with world.work() as work:
        knowledge_search.refresh(work)
    yield world
    world.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_finds_its_article_among_the_first_three(knowing, question):
    with knowing.work() as work:
        hits = knowledge_search.search(work, question)
    assert QUESTIONS[question] in [f"{hit.section}/{hit.slug}" for hit in hits[:3]]


def test_found_words_are_marked_and_nothing_else_gets_through(anna):
    page = anna.get("/knowledge", {"q": "quota"})
    marks = [mark.text.casefold() for mark in page.html.select(".hits mark")]
    assert marks
    assert set(marks) <= {"quota", "quotas", "quota.exceeded"}
    assert page.html.select_one('main input[name="q"]')["value"] == "quota"
    for strange in (
        '"',
        "'",
        "a'b",
        "NEAR(",
        "* OR",
        "<script>alert(1)</script>",
        "\x02",
        "%",
        "-",
    ):
        answer = anna.get("/knowledge", {"q": strange})
        assert "<script>alert" not in answer.text
    nothing = anna.get("/knowledge", {"q": "zyxwvut"})
    assert "No article has these words." in nothing.text


def test_words_may_be_unfinished_or_inflected(anna):
    def first(question):
        return anna.get("/knowledge", {"q": question}).html.select_one(".hits a")["href"]

    assert first("deleg") == "/knowledge/pool-owners/delegating"
    assert first("forecasts") == "/knowledge/pool-owners/forecast"


@pytest.mark.requirement("OVC-12", "OVC-18", "OVC-26", "OVC-27")
@pytest.mark.parametrize(
    "gone", ["billing", "application deck", "storage deck", "desktop deck", "S3 windows client"]
)
def test_what_is_gone_is_in_no_article(anna, gone):
    found = anna.get("/knowledge", {"q": gone})
    assert BANNED.findall(" ".join(hit.text for hit in found.html.select(".hits"))) == []
    if gone == "billing":
        assert found.html.select(".hits") == []


def test_readers_say_whether_it_helped_and_may_change_their_mind(anna, indexed):
    path = "/knowledge/tutorials/console"
    page = anna.get(path)
    form = next(one for one in page.forms.values() if one.action.endswith("/opinion"))
    thanked = form.submit("helped", value="no").follow()
    assert "Thank you" in thanked.text
    pressed = thanked.html.select('.opinion [aria-pressed="true"]')
    assert [button.text for button in pressed] == ["No"]
    form.submit("helped", value="yes")
    with indexed.work() as work:
        tally = knowledge_opinions.tallies(work)["tutorials", "console"]
    assert (tally.helped, tally.not_helped) == (1, 0)
    assert anna.send(f"{path}/opinion", {"helped": "perhaps"}).status_int == 404


HOSTILE = """# Title

<script>alert(1)</script>
<img src=x onerror=alert(1)>
<svg onload=alert(1)><a xlink:href="javascript:alert(1)">x</a></svg>
<iframe src="https://example.org"></iframe><style>body { display: none }</style>

[one](javascript:alert(1)) [two](JaVaScRiPt:alert(1)) [three](data:text/html;base64,PHN2Zz4=)
[four](vbscript:x) [five](java&#115;cript:alert(1)) [six](&#x6A;avascript:alert(1))
![picture](data:image/svg+xml;base64,PHN2Zz4=) ![picture](/static/x.svg)
<javascript:alert(1)>

[seven](/machines "x\\" onmouseover=\\"alert(1)") [eight](https://example.org/)
"""


def test_fault_23_markdown_cannot_carry_script():
    made = BeautifulSoup(markdown.render(HOSTILE).html, "html.parser")
    assert {tag.name for tag in made.find_all(True)} == {"h2", "p", "a"}
    attributes = {name for tag in made.find_all(True) for name in tag.attrs}
    assert attributes == {"id", "href", "rel"}
    leads = [link["href"] for link in made.find_all("a")]
    assert leads == ["/machines", "https://example.org/"]
    assert "<script>alert(1)</script>" in made.text  # shown as it was typed


@pytest.mark.requirement("OVC-13", "OVC-17", "OVC-21", "OVC-25")
def test_every_part_of_the_tutorial_has_its_tab(reader):
    page = reader.get("/getting-started")
    tabs = {tab.text: tab["href"] for tab in page.html.select(".tabs a")}
    assert list(tabs) == ["Intro", "Cloud Space", "Machines", "Defense Shield"]
    for title, path in tabs.items():
        shown = reader.get(path)
        assert shown.html.select_one('.tabs [aria-current="page"]').text == title
        assert BANNED.findall(shown.html.select_one("main").text) == []
        assert "charge" not in shown.html.select_one("main").text.casefold()
    assert reader.fetch("/getting-started/storage-deck").status_int == 404


@pytest.mark.requirement("OVT-50")
def test_each_link_of_the_tutorial_leads_its_reader_somewhere(reader):
    for part in knowledge.tutorial():
        assert part.rendered.links
        for target in part.rendered.links:
            answer = reader.fetch(target)
            if answer.status_int == 303:  # who has one pool is led to its form
                answer = answer.follow()
            assert answer.status_int == 200, f"{part.title}: {target}"
            assert BANNED.findall(answer.html.select_one("main").text) == []


def test_a_long_section_comes_page_by_page_in_its_order(indexed, anna):
    with indexed.work() as work:
        work.db.add_all(
            ArticleText(
                section="tutorials", slug=f"more-{number:03}", digest="0" * 64,
                title=f"More {number:03}", tags="", summary="", body="",
                place=knowledge.LAST, title_key=f"more {number:03}", labels="|", links=[],
            )
            for number in range(250)
        )  # fmt: skip
    first = anna.get("/knowledge/tutorials")
    assert len(first.html.select(".articles a")) == 100
    second = anna.get(first.html.select_one('.pager a[rel="next"]')["href"])
    titles = [link.text for page in (first, second) for link in page.html.select(".articles a")]
    assert titles == sorted(titles, key=titles.index)
    assert titles[-1] > "More 150"
    overview = anna.get("/knowledge").html.select(".shelves section")[0]
    assert len(overview.select("li")) == 7
    assert "All " in overview.select("li")[-1].text


def test_what_is_read_most_stands_on_the_overview(indexed, anna):
    assert "Most read" not in anna.get("/knowledge")
    page = anna.get("/knowledge/tutorials/console")
    counter = page.html.select_one("[hx-post$='/read']")
    for _ in range(2):
        answer = anna.send(counter["hx-post"])
        assert answer.status_int == 204
    panel = anna.get("/knowledge").html.select(".shelves section")[-1]
    assert "Most read" in panel.text
    assert "2 readers" in panel.select_one('a[href="/knowledge/tutorials/console"]').parent.text
    helga = indexed.user("helga", "Help Desk")
    browser = indexed.signed_in(helga)
    begun = browser.send(f"/users/{indexed.admin().id}/view-as", {"reason": "call"})
    assert begun.status_int == 303
    assert "/read" not in browser.get("/knowledge/tutorials/console")


def test_articles_stand_in_the_main_search_box(indexed, anna):
    page = anna.get("/machines", {"q": "quota rules"})
    assert page.html.select_one('main a[href="/knowledge/pool-owners/quota-rules"]')
    assert "In the knowledge base" not in anna.get("/machines", {"q": "state:running"})


def test_the_index_is_written_in_parts(knowing):
    """PostgreSQL ends a transaction that is silent for seconds; rendering all takes longer."""
    parts = []
    with knowing.work() as work:
        work.db.execute(delete(ArticleText))
        event.listen(work.db, "after_flush", lambda *_: parts.append(True))
        written = knowledge_search.refresh(work)
    assert written >= len(knowledge.shipped())
    assert len(parts) >= written // knowledge_search.AT_ONCE
