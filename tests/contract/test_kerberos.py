"""Single sign-on against a real Kerberos server."""

import os
from dataclasses import replace

import pytest

from ovcadmin.drivers.directory.kerberos import LONGEST_TOKEN, Spnego
from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.drivers.directory.settings import KerberosSettings
from ovcadmin.errors import DirectoryRefused, KerberosRefused
from tests.rig.kdc import kdc
from tests.rig.slapd import slapd

CONSOLE = "HTTP/console.example.org"


@pytest.fixture(scope="module")
def realm():
    with kdc("IPA.EXAMPLE") as running:
        for name in ("ann", "ann/admin"):
            running.add_person(name)
        running.add_service(CONSOLE)
        running.add_service("HTTP/other.example.org")
        yield running


@pytest.fixture
def settings(realm):
    return KerberosSettings(
        principal=f"{CONSOLE}@{realm.realm}", keytab=realm.keytab, realm=realm.realm
    )


@pytest.fixture
def token(realm):
    """A fresh token for a service of the realm, from whoever has a ticket."""

    def fetch(who="ann", service=CONSOLE):
        realm.kinit(who)
        with realm.browser(f"{service}@{realm.realm}") as browser:
            return browser.token()

    return fetch


def test_a_ticket_signs_a_person_of_the_directory_in(realm, settings):
    realm.kinit("ann")
    with realm.browser(settings.principal) as browser:
        accepted = Spnego(settings).accept(browser.token())
        assert browser.is_content_with(accepted.reply)  # the console has proved itself too
    assert accepted.principal == "ann@IPA.EXAMPLE"
    with slapd() as server:
        ipa = LdapDirectory(server.ipa_settings())
        ann = ipa.person_by_principal(accepted.principal)
        assert ann.name == "ann"
        assert [group.name for group in ipa.groups_of(ann)] == ["ops", "staff"]


def test_a_token_signs_in_once(settings, token):
    once = token()
    assert Spnego(settings).accept(once)
    with pytest.raises(KerberosRefused, match="replay"):
        Spnego(settings).accept(once)


def test_a_ticket_for_another_service_does_not_sign_in(settings, token):
    with pytest.raises(KerberosRefused):
        Spnego(settings).accept(token(service="HTTP/other.example.org"))


def test_services_and_people_of_other_realms_do_not_sign_in(realm, settings, token):
    with pytest.raises(KerberosRefused, match="not a person"):
        Spnego(settings).accept(token("ann/admin"))
    with pytest.raises(KerberosRefused, match="do not sign in here"):
        Spnego(replace(settings, realm="OTHER.EXAMPLE")).accept(token())


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\0",
        b"nonsense" * 20,
        os.urandom(300),
        b"NTLMSSP\0\1\0\0\0",
        b"x" * (LONGEST_TOKEN + 1),
    ],
    ids=["empty", "nul", "text", "random", "ntlm", "long"],
)
def test_what_is_no_ticket_is_refused(settings, bad):
    with pytest.raises(KerberosRefused, match="Sign in with name and password"):
        Spnego(settings).accept(bad)


def test_a_ticket_cut_short_or_changed_is_refused(settings, token):
    whole = token()
    middle = len(whole) // 2
    changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for bad in (whole[:-10], changed):
        with pytest.raises(KerberosRefused):
            Spnego(settings).accept(bad)


def test_a_keytab_of_no_use_is_the_fault_of_the_console(realm, settings, token):
    fresh = token()
    for bad in (
        replace(settings, keytab=realm.directory / "nowhere"),
        replace(settings, principal=f"HTTP/unknown.example.org@{realm.realm}"),
    ):
        with pytest.raises(DirectoryRefused, match="has no usable key"):
            Spnego(bad).accept(fresh)
        assert not Spnego(bad).check().good
    assert Spnego(settings).check().good


def test_a_new_key_of_the_service_that_the_keytab_lacks_is_explained(realm, settings, token):
    realm.add_service("HTTP/changing.example.org")
    realm.change_key("HTTP/changing.example.org")
    changing = replace(settings, principal=f"HTTP/changing.example.org@{realm.realm}")
    with pytest.raises(KerberosRefused):
        Spnego(changing).accept(token(service="HTTP/changing.example.org"))
