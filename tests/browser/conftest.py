"""Fixtures of the browser tests; `page` of tests/conftest.py fails on what its console says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.sample import Sample, furnish
from tests.browser.site import Cloud, Site, cloud, site


@pytest.fixture(scope="session")
def shared_site() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture
def empty_site(shared_site: Site) -> Site:
    """Pages on an empty database."""
    shared_site.world.reset()
    return shared_site


@pytest.fixture(scope="module")
def running_cloud(shared_host) -> Iterator[Cloud]:
    """The whole console with its worker, on a real host, which the next module finds empty."""
    with cloud(shared_host) as made:
        yield made
    shared_host.recover()


@pytest.fixture
def furnished_site(empty_site: Site) -> tuple[Site, Sample]:
    """Pages on a small cloud in every state."""
    return empty_site, furnish(empty_site.world)
