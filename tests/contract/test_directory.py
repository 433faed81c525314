"""The directory driver against a real OpenLDAP: who signs in, who is there, who is in what."""

import time
from dataclasses import replace

import pytest

from ovcadmin.drivers.directory.base import Bar, NewPerson
from ovcadmin.drivers.directory.ldap import LdapDirectory
from ovcadmin.drivers.directory.settings import Address
from ovcadmin.drivers.directory.shapes import preset
from ovcadmin.errors import (
    DirectoryPartial,
    DirectoryRefused,
    DirectoryUnreachable,
    SignInBarred,
    SignInFailed,
)
from tests.rig import people
from tests.rig.articles import blocks, body
from tests.rig.network import black_hole
from tests.rig.people import PASSWORD
from tests.rig.slapd import slapd

CROWD = 2_600
"""More than five times what the server shows without pages; a synchronisation reads 20,000."""
PEOPLE = f"ou=people,{people.EXAMPLE}"
GROUPS = f"ou=groups,{people.EXAMPLE}"


@pytest.fixture(scope="module")
def server():
    with slapd(people.crowd(CROWD)) as running:
        yield running


@pytest.fixture
def directory(server):
    return LdapDirectory(server.settings())


@pytest.fixture
def nowhere(server):
    """A realm without a server that answers: whatever is refused was refused before asking."""
    with black_hole() as port:
        yield LdapDirectory(server.settings(servers=(Address("127.0.0.1", port),), timeout=0.3))


@pytest.fixture
def crowded(server):
    """A realm whose people are the crowd."""

    def make(**changes):
        shape = replace(server.settings().shape, people_base=people.CROWD)
        return LdapDirectory(server.settings(shape=shape, **changes))

    return make


# --- signing in ---
def test_a_person_signs_in_by_the_password(directory):
    ann = directory.authenticate("ann", PASSWORD)
    assert (ann.name, ann.display_name, ann.email) == ("ann", "Ann Example", "ann@example.org")
    assert ann.dn == f"uid=ann,{PEOPLE}"
    assert ann.groups == (f"cn=dev,{GROUPS}",)
    assert not ann.disabled


@pytest.mark.parametrize("typed", ["ANN", " ann ", "Ann"])
def test_a_name_is_the_same_however_it_is_typed(directory, typed):
    assert directory.authenticate(typed, PASSWORD) == directory.person("ann")


def test_a_name_of_any_script_signs_in_composed_or_not(server, directory):
    server.add([people.person("zoë", mail="zoe@example.org")])
    assert directory.authenticate("zoe\u0308", PASSWORD).name == "zoë"


@pytest.mark.parametrize("password", ["wrong", PASSWORD + " ", PASSWORD.upper()])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(server, directory, password):
    with pytest.raises(SignInFailed) as wrong:
        directory.authenticate("bob", password)
    with pytest.raises(SignInFailed) as unknown:
        directory.authenticate("nosuchperson", password)
    assert (wrong.type, wrong.value.text) == (unknown.type, unknown.value.text)
    directory.authenticate("bob", PASSWORD)  # the policy counts failures in a row


@pytest.mark.parametrize("password", ["", "\0", f"{PASSWORD}\0", "\ud800", "x" * 1001])
def test_fault_17_a_password_that_may_not_be_sent_is_refused_before_asking(nowhere, password):
    with pytest.raises(SignInFailed):
        nowhere.authenticate("ann", password)


@pytest.mark.parametrize("name", ["", " ", "ann\0", "an\nn", "a\u202enn", "x" * 101])
def test_fault_17_a_name_that_can_be_nobodys_is_refused_before_asking(nowhere, name):
    with pytest.raises(SignInFailed):
        nowhere.authenticate(name, PASSWORD)
    assert nowhere.person(name) is None


STRANGE_NAMES = [
    "*", "a*", "*)(uid=*))(|(uid=*", "ann)(objectClass=*", "ann))(|(uid=ann", "\\2a", "a\\6en",
    "\\", "(", ")", "&", "ann,ou=people", "uid=ann", f"ann,{PEOPLE}", "#ann", "ann+uid=bob",
    '"ann"',
]  # fmt: skip


@pytest.mark.parametrize("bind", ["", f"uid={{name}},{PEOPLE}"])
@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_fault_17_a_name_is_a_name_and_never_a_filter_or_a_dn(server, name, bind):
    directory = LdapDirectory(server.settings(user_bind=bind))
    with pytest.raises(SignInFailed):
        directory.authenticate(name, PASSWORD)
    assert directory.person(name) is None
    assert directory.person_by_key(name) is None
    assert directory.person_by_principal(f"{name}@EXAMPLE.ORG") is None


@pytest.mark.parametrize("name", ["*)(uid=*))(|(uid=*", "a,b+c", "#hash", "semi;colon", 'q"uote'])
def test_fault_17_people_of_such_names_are_found_all_the_same(server, name):
    writing = LdapDirectory(server.settings())
    made = writing.create_person(NewPerson(name=name, password=PASSWORD))
    for bind in ("", f"uid={{name}},{PEOPLE}"):
        directory = LdapDirectory(server.settings(user_bind=bind))
        assert directory.authenticate(name, PASSWORD) == made
    assert writing.person_by_key(made.key) == made
    writing.delete_person(made.key)


def test_direct_sign_in_reads_the_own_entry_and_needs_no_service_account(server):
    directory = LdapDirectory(
        server.settings(user_bind=f"uid={{name}},{PEOPLE}", bind_dn="", bind_password="")
    )
    assert directory.authenticate("ann", PASSWORD).display_name == "Ann Example"
    with pytest.raises(SignInFailed):
        directory.authenticate("ann", "wrong password")


def test_a_locked_account_is_told_so_once_the_directory_tells_it(server, directory):
    server.add([people.person("lou")])
    for _ in range(3):
        with pytest.raises(SignInFailed) as refused:
            directory.authenticate("lou", "wrong password")
        assert not isinstance(refused.value, SignInBarred)
    with pytest.raises(SignInBarred) as barred:
        directory.authenticate("lou", PASSWORD)
    assert barred.value.context["reason"] == Bar.LOCKED
    assert not directory.person("lou").disabled  # the lock passes; nobody disabled the account


@pytest.mark.parametrize(
    "name, reason",
    [("gone", Bar.LOCKED), ("new", Bar.MUST_CHANGE), ("old", Bar.PASSWORD_EXPIRED)],
)
def test_whom_the_directory_does_not_let_in_is_told_why(directory, name, reason):
    with pytest.raises(SignInBarred) as barred:
        directory.authenticate(name, PASSWORD)
    assert barred.value.context["reason"] == reason
    assert directory.person(name).disabled is (name == "gone")


# --- people and groups ---
def test_a_person_is_found_again_after_a_rename_and_a_move(server, directory):
    server.add([people.person("max"), people.entry(f"ou=away,{PEOPLE}", "organizationalUnit")])
    max_ = directory.person("max")
    server.rename(max_.dn, "uid=maxine", f"ou=away,{PEOPLE}")
    found = directory.person_by_key(max_.key)
    assert (found.name, found.dn) == ("maxine", f"uid=maxine,ou=away,{PEOPLE}")
    assert directory.person("max") is None
    server.delete(found.dn)
    assert directory.person_by_key(max_.key) is None


def test_all_people_come_over_a_limit_of_500(crowded):
    found = {person.name: person.key for person in crowded().people()}
    assert len(found) == len(set(found.values())) == CROWD
    assert crowded().person("u02599").key == found["u02599"]


def test_an_answer_that_a_limit_cuts_off_is_never_taken_for_the_whole(crowded):
    limited = f"cn=limited,ou=services,{people.EXAMPLE}"
    with pytest.raises(DirectoryPartial):
        list(crowded(bind_dn=limited).people())
    with pytest.raises(DirectoryPartial):
        list(crowded(bind_dn=limited, page_size=300).people())


def test_a_list_whose_connection_is_lost_in_the_middle_does_not_end(server, crowded):
    listing = crowded(page_size=100).people()
    assert next(listing).name == "u00000"
    server.stop()
    try:
        with pytest.raises(DirectoryUnreachable):
            list(listing)
    finally:
        server.start()


def test_fault_18_groups_within_groups_also_in_a_circle(directory):
    def names(person):
        return [group.name for group in directory.groups_of(directory.person(person))]

    assert names("ann") == ["dev", "engineering", "everybody", "many"]
    assert names("bob") == ["engineering", "round", "everybody", "about", "many"]
    assert names("gone") == []


def test_nesting_is_followed_only_so_far(server):
    directory = LdapDirectory(server.settings(nesting_depth=2))
    ann = directory.person("ann")
    assert [group.name for group in directory.groups_of(ann)] == ["dev", "engineering"]


def test_groups_come_with_their_members_also_with_5000(directory):
    groups = {group.name: group for group in directory.groups()}
    assert groups["dev"].members == (directory.person("ann").dn_key,)
    assert set(groups["engineering"].members) == {groups["dev"].dn_key, f"uid=bob,{PEOPLE}"}
    assert len(groups["many"].members) == 5000


def test_leaving_a_group_counts_at_once(server, directory):
    server.add([people.person("eve")])
    eve = directory.person("eve")
    assert directory.groups_of(eve) == []
    member = f"member: {eve.dn}"
    server.modify(f"cn=dev,{GROUPS}", "add: member", member)
    assert [group.name for group in directory.groups_of(eve)][:1] == ["dev"]
    server.modify(f"cn=dev,{GROUPS}", "delete: member", member)
    assert directory.groups_of(eve) == []


def test_fault_18_referrals_are_not_followed(server, directory):
    started = time.monotonic()
    assert "ann" in {person.name for person in directory.people()}  # a referral stands among them
    shape = replace(server.settings().shape, people_base=f"ou=elsewhere,{PEOPLE}")
    with pytest.raises(DirectoryRefused, match="sends us elsewhere"):
        list(LdapDirectory(server.settings(shape=shape)).people())
    assert time.monotonic() - started < 2  # where it points to nobody answers


def test_fault_21_what_people_call_themselves_is_one_line_of_text(server, directory):
    server.add(
        [
            people.person(
                "mal", displayName="<b>x</b>{{7*7}}\r\nSet-Cookie: \u202ea=1", mail="a b@x"
            ),
            people.person("long", displayName="x" * 10_000),
            people.person("two\nlines", mail="two@example.org"),
        ]
    )
    mal = directory.person("mal")
    assert mal.display_name == "<b>x</b>{{7*7}} Set-Cookie: a=1"  # templates escape it
    assert mal.email == ""
    assert len(directory.person("long").display_name) == 200
    assert not any("\n" in person.name for person in directory.people())


def test_nobody_is_known_without_a_lasting_id(server):
    shape = replace(server.settings().shape, key="employeeNumber")
    with pytest.raises(DirectoryRefused, match="employeeNumber"):
        list(LdapDirectory(server.settings(shape=shape)).people())


@pytest.mark.requirement("NEW-08")
@pytest.mark.parametrize("kind, base", [("openldap", people.EXAMPLE), ("freeipa", people.IPA)])
def test_the_service_account_of_the_article_is_enough(server, kind, base):
    """As the article says: the account, the base, and nothing else filled in."""
    names = {"dc=example,dc=org": base, "userPassword: ...": f"userPassword: {PASSWORD}"}
    (account,) = blocks(body("administration", kind, names))
    account = account.replace("console", "articles")
    server.add([account], tree=base)
    dn = account.splitlines()[0].removeprefix("dn: ")
    try:
        given = server.settings(base=base, shape=preset(kind, base), bind_dn=dn, writable=False)
        directory = LdapDirectory(given)
        ann = directory.authenticate("ann", PASSWORD)
        assert ann.name == "ann"
        assert directory.groups_of(ann)
    finally:
        server.delete(dn)
