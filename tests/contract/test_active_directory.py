"""The directory driver against a real Active Directory domain (of Samba)."""

from base64 import b64decode
from uuid import UUID

import pytest

from ovcadmin.drivers.directory.base import Bar, NewPerson
from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.drivers.directory.settings import Address, Transport
from ovcadmin.errors import (
    DirectoryRefused,
    InvalidInput,
    NameTaken,
    SignInBarred,
    SignInFailed,
)
from tests.rig.domain import BASE, PASSWORD, domain, group, person

OTHER = "Battery-staple-2"


@pytest.fixture(scope="module")
def server():
    with domain() as running:
        running.policy(account_lockout_threshold="3", min_pwd_age="0")
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


@pytest.fixture
def directory(server):
    return LdapDirectory(server.settings())


@pytest.fixture
def eve(directory):
    """A person made by the console."""
    new = NewPerson(
        name="eve", password=PASSWORD, display_name="Eve Ø. Writer", email="e@x.example"
    )
    made = directory.create_person(new)
    yield made
    directory.delete_person(made.key)


def reason(work):
    with pytest.raises(SignInBarred) as barred:
        work()
    return barred.value.context["reason"]


@pytest.mark.parametrize("transport", [Transport.STARTTLS, Transport.LDAPS])
@pytest.mark.parametrize("bind", ["", "{name}@corp.example", "CORP\\{name}"])
def test_a_person_signs_in_by_the_password(server, transport, bind):
    port = 636 if transport == Transport.LDAPS else 389
    servers = (Address(server.host, port),)
    settings = server.settings(transport=transport, user_bind=bind, servers=servers)
    directory = LdapDirectory(settings)
    ann = directory.authenticate("ANN", PASSWORD)
    assert (ann.name, ann.email) == ("ann", "ann@corp.example")
    found = server.search("(sAMAccountName=ann)", "objectGUID").partition("objectGUID:: ")[2]
    assert ann.key == str(UUID(bytes_le=b64decode(found.split()[0])))
    for name, password in (("ann", "wrong"), ("nobody", PASSWORD), ("ann*", PASSWORD)):
        with pytest.raises(SignInFailed):
            directory.authenticate(name, password)
    assert directory.authenticate("ann", PASSWORD) == ann


def test_active_directory_wants_encryption_and_says_so(server):
    for bind in ("", "{name}@corp.example"):
        plain = server.settings(transport=Transport.PLAIN, user_bind=bind)
        with pytest.raises(DirectoryRefused, match="encrypted connection"):
            LdapDirectory(plain).authenticate("ann", PASSWORD)
    with pytest.raises(DirectoryRefused, match="certificate"):
        LdapDirectory(server.settings(ca_file=None)).authenticate("ann", PASSWORD)


def test_who_signs_in_directly_is_who_the_directory_says(server, directory, eve):
    server.tool("user", "rename", "eve", "--upn=boss@corp.example")
    direct = LdapDirectory(server.settings(user_bind="{name}@corp.example"))
    assert direct.authenticate("boss", PASSWORD) == eve
    with pytest.raises(SignInFailed):
        directory.authenticate("boss", PASSWORD)  # here the account name counts


def test_groups_within_groups_also_in_a_circle_and_no_mailing_lists(directory):
    def names(name):
        return sorted(found.name for found in directory.groups_of(directory.person(name)))

    assert names("ann") == ["dev", "engineering", "everybody"]
    assert names("bob") == ["about", "engineering", "everybody", "round"]


def test_people_and_groups_refer_to_each_other(directory):
    everybody = {found.name: found for found in directory.people()}
    groups = {found.name: found for found in directory.groups()}
    assert {"ann", "bob", "Administrator"} <= set(everybody)
    assert groups["dev"].members == (everybody["ann"].dn_key,)
    assert groups["dev"].dn_key in everybody["ann"].groups
    assert groups["dev"].dn_key in groups["engineering"].members
    assert "newsletter" not in groups
    assert everybody["krbtgt"].disabled


def test_the_principal_of_a_ticket_is_the_account(directory):
    assert directory.person_by_principal("ann@CORP.EXAMPLE") == directory.person("ann")


def test_a_person_is_found_again_after_a_rename_and_a_move(server, directory, eve):
    server.tool("ou", "create", f"OU=away,{BASE}")
    server.tool("user", "rename", "eve", "--samaccountname=evelyn", "--force-new-cn=Evelyn E.")
    server.tool("user", "move", "evelyn", f"OU=away,{BASE}")
    found = directory.person_by_key(eve.key)
    assert found.name == "evelyn"
    assert found.dn_key == f"cn=evelyn e.,ou=away,{BASE}"
    assert directory.person("eve") is None
    assert directory.authenticate("evelyn", PASSWORD) == found


# --- who is not let in ---
def test_a_disabled_person_is_out_and_comes_back(server, directory, eve):
    assert directory.set_disabled(eve.key, disabled=True).disabled
    assert "userAccountControl: 514" in server.search("(cn=eve)", "userAccountControl")
    assert reason(lambda: directory.authenticate("eve", PASSWORD)) == Bar.DISABLED
    assert not directory.set_disabled(eve.key, disabled=False).disabled
    assert directory.authenticate("eve", PASSWORD) == eve


def test_a_locked_person_is_told_so(directory, eve):
    for _ in range(3):
        with pytest.raises(SignInFailed):
            directory.authenticate("eve", "wrong")
    assert reason(lambda: directory.authenticate("eve", PASSWORD)) == Bar.LOCKED
    assert not directory.person("eve").disabled


def test_an_account_that_has_ended_is_told_so(server, directory, eve):
    server.tool("user", "setexpiry", "eve", "--days=-1")
    assert directory.person("eve").disabled
    assert reason(lambda: directory.authenticate("eve", PASSWORD)) == Bar.ENDED


# --- passwords and people ---
def test_a_password_that_must_be_changed_is_changed_before_signing_in(server, directory, eve):
    server.tool(
        "user", "setpassword", "eve", f"--newpassword={OTHER}", "--must-change-at-next-login"
    )
    assert reason(lambda: directory.authenticate("eve", OTHER)) == Bar.MUST_CHANGE
    directory.change_password("eve", old=OTHER, new="Third-time-3")
    assert directory.authenticate("eve", "Third-time-3").key == eve.key


def test_a_person_changes_the_own_password(directory, eve):
    with pytest.raises(InvalidInput) as wrong:
        directory.change_password("eve", old="Wrong-password-1", new=OTHER)
    assert list(wrong.value.fields) == ["old"]
    with pytest.raises(InvalidInput) as weak:
        directory.change_password("eve", old=PASSWORD, new="short")
    assert list(weak.value.fields) == ["new"]
    directory.change_password("eve", old=PASSWORD, new=OTHER)
    assert directory.authenticate("eve", OTHER) == eve
    with pytest.raises(SignInFailed):
        directory.authenticate("eve", "wrong")


def test_an_administrator_sets_a_password(directory, eve):
    with pytest.raises(InvalidInput) as weak:
        directory.set_password(eve.key, "short")
    assert list(weak.value.fields) == ["new"]
    directory.set_password(eve.key, 'Quote"and-ünïcode-1')
    assert directory.authenticate("eve", 'Quote"and-ünïcode-1') == eve


def test_a_person_is_made_changed_and_removed(server, directory, eve):
    found = server.search("(sAMAccountName=eve)", "userPrincipalName", "mail", "sn")
    assert "userPrincipalName: eve@corp.example" in found
    assert "sn: Writer" in found
    edited = directory.edit_person(eve.key, display_name="Eve", email="")
    assert (edited.display_name, edited.email) == ("Eve", "")
    with pytest.raises(NameTaken):
        directory.create_person(NewPerson(name="eve", password=PASSWORD))
    directory.delete_person(eve.key)
    directory.delete_person(eve.key)
    assert "sAMAccountName: eve" not in server.search("(sAMAccountName=eve)", "sAMAccountName")


def test_a_person_whose_password_the_directory_refuses_is_not_made(directory):
    with pytest.raises(InvalidInput) as weak:
        directory.create_person(NewPerson(name="weak", password="short"))
    assert list(weak.value.fields) == ["new"]
    assert directory.person("weak") is None
