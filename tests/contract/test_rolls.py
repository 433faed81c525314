"""A directory's whole list says of everybody what it says when asked about one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.errors import DirectoryPartial
from ovcadmin.services import realm_checks
from ovcadmin.services.realm_checks import Live
from ovcadmin.services.rolls import Roll
from tests.rig.domain import domain, group, person
from tests.rig.slapd import slapd


@pytest.fixture(scope="module")
def openldap():
    with slapd() as running:
        yield running


@pytest.fixture(scope="module")
def active_directory():
    with domain() as running:
        running.add(
            person("ann"),
            person("bob"),
            group("dev", "ann"),
            group("engineering", "dev", "bob"),
            group("everybody", "engineering"),
            group("round", "bob"),
            group("about", "round"),
            group("newsletter", "ann", mailing_list=True),
        )
        running.tool("group", "addmembers", "round", "about")
        yield running


@pytest.fixture(params=["openldap", "freeipa", "active-directory"])
def directory(request):
    """A directory of each kind, and the kind."""
    if request.param == "active-directory":
        server = request.getfixturevalue("active_directory")
        return LdapDirectory(server.settings()), request.param
    server = request.getfixturevalue("openldap")
    settings = server.settings() if request.param == "openldap" else server.ipa_settings()
    return LdapDirectory(settings), request.param


def test_everybody_is_in_the_groups_that_the_directory_says(directory):
    driver, kind = directory
    with Roll(driver, kind) as roll:
        people = [person for batch in roll.batches(2) for person in batch]
        assert {person.key for person in people} == roll.keys
        assert {"ann"} <= {person.name for person in people}
        for person in people:
            told = {found.key for found in driver.groups_of(person)}
            assert roll.groups_of(person) == told, person.name
    ann = driver.person("ann")
    assert ann in people


def test_many_are_asked_about_with_the_same_answers_as_one(directory):
    driver, kind = directory
    with Roll(driver, kind) as roll:
        users = [Live(user_id=number, key=key) for number, key in enumerate(sorted(roll.keys))]
    users.append(Live(user_id=99, key="00000000-0000-0000-0000-000000000000"))

    def plain(answers):
        return {
            answer.user: (answer.person, {found.key for found in answer.groups})
            for answer in answers
        }

    one_by_one = plain(realm_checks.ask(driver, user) for user in users)
    at_once = plain(realm_checks.ask_all(driver, kind, users))
    enabled = {user for user, (who, _) in one_by_one.items() if who and not who.disabled}
    assert {user: at_once[user] for user in enabled} == {user: one_by_one[user] for user in enabled}
    assert at_once[users[-1]] == one_by_one[users[-1]] == (None, set())


def test_an_empty_list_is_no_answer(openldap):
    settings = openldap.settings()
    nobody = replace(settings.shape, people_filter="(uid=nobody-at-all)")
    with pytest.raises(DirectoryPartial):
        Roll(LdapDirectory(replace(settings, shape=nobody)), "openldap")


def test_fault_20_it_is_not_believed_that_most_of_many_are_gone_at_once(openldap):
    driver = LdapDirectory(openldap.settings())
    answers = [
        realm_checks.Answer(user=Live(user_id=number, key=f"lost-{number}"), person=None)
        for number in range(6)
    ]
    assert realm_checks.believed(driver, answers) == answers
    found = realm_checks.ask(driver, Live(user_id=9, key=driver.person("ann").key))
    with pytest.raises(DirectoryPartial):
        realm_checks.believed(driver, answers + [found] * 4)
    assert len(realm_checks.believed(driver, answers[:3] + [found] * 7)) == 10

    settings = openldap.settings()
    nobody = replace(settings.shape, people_filter="(uid=nobody-at-all)")
    with pytest.raises(DirectoryPartial):
        realm_checks.believed(LdapDirectory(replace(settings, shape=nobody)), answers[:1])
