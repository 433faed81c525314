"""Words and things that exist nowhere in the product, on any page that can be reached."""

import re
from collections import Counter, deque
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest

from ovcadmin.services import knowledge_search

BANNED = re.compile(
    r"billing|payment|paypal|balance|\bcredits?\b|\bprices?\b|\bcosts?\b|\bs3\b|sign-?\s?up\b"
    r"|desktop\s+deck|application\s+deck|storage\s+deck|\bamount due\b|register an account"
    r"|[$€£]\s*\d|history</h",
    re.IGNORECASE,
)
TITLED = re.compile(r"<title>[^<·]*[^<·\s][^<·]* · OpenvCloud</title>.*<h1[ >]", re.DOTALL)
ALIKE = 3
"""Pages of one address that are looked at, of those that differ by what its query says alone."""
GONE = (
    "/billing",
    "/payment",
    "/paypal",
    "/signup",
    "/register",
    "/desktop",
    "/desktopdeck",
    "/applicationdeck",
    "/storagedeck",
    "/s3",
    "/s3storage",
    "/api/v1/billing",
    "/api/v1/paypal",
    "/api/v1/payments",
    "/api/v1/s3storage",
    "/api/v1/users/register",
    "/api/v1/users/validate",
    "/api/v1/register",
)


def crawl(page, url: str, starts: list[str], dead: dict[str, int] | None = None) -> dict[str, str]:
    """Fetch every page that links lead to; return the text of each with its tags.

    `dead` takes the links that lead nowhere, with their status.
    """
    found: dict[str, str] = {}
    alike: Counter[tuple[str, ...]] = Counter()
    waiting = deque(starts)
    while waiting:
        address = waiting.popleft()
        if address in found or "/static/" in address:
            continue
        kind = _kind(address)
        if address not in starts and alike[kind] == ALIKE:
            continue
        alike[kind] += 1
        answer = page.request.get(url + address)
        if "text/" not in answer.headers.get("content-type", ""):
            continue
        found[address] = answer.text()
        if dead is not None and answer.status >= 400 and address not in starts:
            dead[address] = answer.status
        for link in re.findall(r'(?:href|hx-get)="([^"]+)"', found[address]):
            target = urlsplit(urljoin(url + address, link.replace("&amp;", "&")))
            if f"{target.scheme}://{target.netloc}" == url:
                waiting.append(target.path + (f"?{target.query}" if target.query else ""))
    return found


def _kind(address: str) -> tuple[str, ...]:
    """Path and names in the query: a list that is sorted or filtered otherwise has no new words."""
    parts = urlsplit(address)
    return parts.path, *sorted(parse_qs(parts.query, keep_blank_values=True))


@pytest.mark.timeout(600)
@pytest.mark.requirement(
    "OVC-03", "OVC-04", "OVC-05", "OVC-07", "OVC-14", "OVC-15", "OVC-16", "OVC-19", "OVC-20",
    "OVC-23", "OVC-24", "OVC-28",
)  # fmt: skip
def test_no_page_that_can_be_reached_has_a_banned_word_or_a_currency_sign(furnished_site, page):
    site, sample = furnished_site
    visitor = crawl(page, site.url, ["/signin", "/help/errors/signin.failed", "/nowhere"])
    site.sign_in(page)
    dead: dict[str, int] = {}
    with site.world.work() as work:
        knowledge_search.refresh(work)
    starts = [*sample.addresses(), "/help-desk?q=web", "/tutorials", "/api", "/cases"]
    pages = visitor | crawl(page, site.url, starts, dead)
    assert dead == {}
    html = {address: text for address, text in pages.items() if "<html" in text}
    assert [address for address, text in html.items() if not TITLED.search(text)] == []
    assert len(pages) > 400
    banned = {address: found for address, text in pages.items() if (found := BANNED.findall(text))}
    assert banned == {}


@pytest.mark.requirement("OVC-04")
def test_the_menu_says_consumption(empty_site, page):
    empty_site.sign_in(page)
    links = page.locator("#nav a").all_inner_texts()
    assert "Consumption" in links
    assert links == [
        "Pools",
        "Machines",
        "Images",
        "Hosts",
        "Storage",
        "People",
        "Operations",
        "Consumption",
        "Requests",
        "Knowledge base",
        "Getting Started",
        "Help",
    ]


@pytest.mark.requirement("OVC-06", "OVC-16", "OVC-19", "OVC-22", "OVC-24", "OVC-28", "OVC-30")
@pytest.mark.parametrize("who", ["visitor", "administrator"])
def test_what_is_gone_answers_404(empty_site, page, who):
    if who == "administrator":
        empty_site.sign_in(page)
    for address in GONE:
        for method in ("GET", "POST"):
            answer = page.request.fetch(empty_site.url + address, method=method)
            assert (address, method, answer.status) == (address, method, 404)


@pytest.mark.requirement("OVC-06", "OVC-22", "OVC-30")
def test_the_contract_of_the_rest_api_has_none_of_it(empty_site, page):
    empty_site.sign_in(page)
    from tests.rig.base import ROOT  # noqa: PLC0415

    contract = (ROOT / "ovcadmin/api/openapi/v1.yaml").read_text()
    assert BANNED.findall(contract) == []
    assert not re.search(r"register|validate", contract)
