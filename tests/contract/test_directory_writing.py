"""What the console writes into a real OpenLDAP, seen with ldapsearch; passwords; FreeIPA's tree."""

import pytest

from ovcadmin.drivers.directory.base import Bar, NewPerson
from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.errors import (
    DirectoryRefused,
    Forbidden,
    InvalidInput,
    NameTaken,
    NotFound,
    SignInBarred,
    SignInFailed,
)
from tests.rig import people
from tests.rig.people import PASSWORD
from tests.rig.slapd import slapd

PEOPLE = f"ou=people,{people.EXAMPLE}"
OTHER = "battery staple"


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@pytest.fixture
def directory(server):
    return LdapDirectory(server.settings())


@pytest.fixture
def eve(directory):
    """A person made by the console."""
    new = NewPerson(
        name="eve", password=PASSWORD, display_name="Eve Ø. Writer", email="eve@example.org"
    )
    made = directory.create_person(new)
    yield made
    directory.delete_person(made.key)


# --- people ---
def test_a_person_is_made_changed_and_removed(server, directory, eve):
    assert directory.authenticate("eve", PASSWORD) == eve
    found = server.search("(uid=eve)", "sn", "mail", "displayName")
    assert "dn: uid=eve," in found
    assert "sn: Writer" in found
    assert "mail: eve@example.org" in found

    edited = directory.edit_person(eve.key, display_name="Eve Reader", email="")
    assert (edited.display_name, edited.email) == ("Eve Reader", "")
    found = server.search("(uid=eve)", "mail", "displayName")
    assert "displayName: Eve Reader" in found
    assert "mail:" not in found

    directory.delete_person(eve.key)
    assert "dn: uid=eve" not in server.search("(uid=eve)")
    directory.delete_person(eve.key)  # absent is success
    assert directory.person_by_key(eve.key) is None


def test_a_disabled_person_is_out_and_comes_back(server, directory, eve):
    assert directory.set_disabled(eve.key, disabled=True).disabled
    assert "pwdAccountLockedTime: 000001010000Z" in server.search("(uid=eve)", "+")
    with pytest.raises(SignInBarred) as barred:
        directory.authenticate("eve", PASSWORD)
    assert barred.value.context["reason"] == Bar.LOCKED
    assert directory.set_disabled(eve.key, disabled=True).disabled
    assert not directory.set_disabled(eve.key, disabled=False).disabled
    assert directory.authenticate("eve", PASSWORD) == eve


def test_a_name_belongs_to_one_person(directory, eve):
    with pytest.raises(NameTaken):
        directory.create_person(NewPerson(name="EVE", password=PASSWORD))


def test_a_person_whose_password_the_directory_refuses_is_not_made(server, directory):
    with pytest.raises(InvalidInput) as weak:
        directory.create_person(NewPerson(name="weak", password="short"))
    assert weak.value.fields == {"new": "The directory wants a longer password."}
    for name in ("", "two\nlines"):
        with pytest.raises(InvalidInput):
            directory.create_person(NewPerson(name=name, password=PASSWORD))
    assert directory.person("weak") is None
    assert "weak" not in server.search("(uid=weak)")


def test_text_is_text_in_every_attribute(server, directory):
    strange = "Robert'); drop\nuid: root <script> Ünï"
    new = NewPerson(name="bobby", password=PASSWORD, display_name=strange)
    made = directory.create_person(new)
    assert made.display_name == "Robert'); drop uid: root <script> Ünï"
    assert directory.person("root") is None
    directory.delete_person(made.key)


def test_who_is_gone_cannot_be_changed(directory, eve):
    directory.delete_person(eve.key)
    with pytest.raises(NotFound):
        directory.edit_person(eve.key, display_name="x", email="")
    with pytest.raises(NotFound):
        directory.set_disabled(eve.key, disabled=True)
    with pytest.raises(NotFound):
        directory.set_password(eve.key, OTHER)


WRITES = [
    lambda d, key: d.create_person(NewPerson(name="new", password=PASSWORD)),
    lambda d, key: d.edit_person(key, display_name="x", email=""),
    lambda d, key: d.set_disabled(key, disabled=True),
    lambda d, key: d.delete_person(key),
    lambda d, key: d.set_password(key, OTHER),
    lambda d, key: d.change_password("eve", old=PASSWORD, new=OTHER),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_realm_is_read_only_unless_its_settings_say_otherwise(server, eve, write):
    with pytest.raises(Forbidden):
        write(LdapDirectory(server.settings(writable=False)), eve.key)


@pytest.mark.parametrize("write", WRITES[1:5])
def test_a_service_account_without_rights_is_told_so(server, eve, write):
    with pytest.raises(DirectoryRefused, match="lacks the right"):
        write(LdapDirectory(server.settings(account="reader")), eve.key)


# --- passwords ---
def test_a_person_changes_the_own_password(server, directory, eve):
    directory.change_password("eve", old=PASSWORD, new=OTHER)
    assert directory.authenticate("eve", OTHER) == eve
    with pytest.raises(SignInFailed):
        directory.authenticate("eve", PASSWORD)
    hashed = server.search("(uid=eve)", "userPassword")
    assert "userPassword:: e1NTSEF9" in hashed  # {SSHA}: never stored as it is


@pytest.mark.parametrize("name", ["eve", "nosuchperson"])
@pytest.mark.parametrize("old", ["wrong password", "", "\0"])
def test_the_old_password_must_be_right(directory, eve, name, old):
    with pytest.raises(InvalidInput) as refused:
        directory.change_password(name, old=old, new=OTHER)
    assert list(refused.value.fields) == ["old"]
    assert directory.authenticate("eve", PASSWORD) == eve


@pytest.mark.parametrize(
    "new, why", [("short", "longer"), (PASSWORD, "before"), ("", "characters"), ("a\0b", "text")]
)
def test_the_policy_of_the_directory_has_the_last_word_on_the_new_one(directory, eve, new, why):
    with pytest.raises(InvalidInput, match="not changed") as refused:
        directory.change_password("eve", old=PASSWORD, new=new)
    assert why in refused.value.fields["new"]
    assert directory.authenticate("eve", PASSWORD) == eve


def test_an_administrator_sets_a_password(directory, eve):
    directory.set_password(eve.key, OTHER)
    assert directory.authenticate("eve", OTHER) == eve
    with pytest.raises(InvalidInput) as refused:
        directory.set_password(eve.key, "short")
    assert list(refused.value.fields) == ["new"]


def test_a_password_that_must_be_changed_is_changed_before_signing_in(directory):
    with pytest.raises(SignInBarred) as barred:
        directory.authenticate("new", PASSWORD)
    assert barred.value.context["reason"] == Bar.MUST_CHANGE
    directory.change_password("new", old=PASSWORD, new=OTHER)
    assert directory.authenticate("new", OTHER).name == "new"


# --- FreeIPA's tree ---
@pytest.fixture
def ipa(server):
    return LdapDirectory(server.ipa_settings())


def test_freeipa_signs_in_and_knows_its_nested_groups(ipa):
    ann = ipa.authenticate("ann", PASSWORD)
    assert ann.key.startswith("5f1eann")
    assert [group.name for group in ipa.groups_of(ann)] == ["ops", "staff"]
    groups = {group.dn_key: group for group in ipa.groups()}
    assert {groups[key].name for key in ann.groups} == {"ops", "staff"}


def test_freeipa_finds_people_by_principal_and_lasting_id(ipa):
    ann = ipa.person_by_principal("ann@IPA.EXAMPLE")
    assert ann == ipa.person_by_key(ann.key)
    assert ipa.person_by_principal("ann@ELSEWHERE") is None


@pytest.mark.parametrize("name", ["ben", "cal"])
def test_freeipa_locked_and_ended_people_do_not_sign_in(ipa, name):
    assert ipa.person(name).disabled
    with pytest.raises(SignInBarred):
        ipa.authenticate(name, PASSWORD)
    with pytest.raises(SignInFailed) as refused:
        ipa.authenticate(name, "wrong password")
    assert not isinstance(refused.value, SignInBarred)


def test_freeipa_people_are_disabled_but_not_made_here(server, ipa):
    ann = ipa.person("ann")
    assert ipa.set_disabled(ann.key, disabled=True).disabled
    assert "nsAccountLock: TRUE" in server.search("(uid=ann)", base=people.IPA)
    assert not ipa.set_disabled(ann.key, disabled=False).disabled
    with pytest.raises(DirectoryRefused, match="in its own way"):
        ipa.create_person(NewPerson(name="dan", password=PASSWORD))
