"""DNs in one spelling, values of entries, filters: what tells people and groups apart."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.ciDict import CaseInsensitiveDict
from ldap3.utils.dn import escape_rdn

from ovcadmin.drivers.directory import entries, results, shapes
from ovcadmin.drivers.directory.settings import Address, Transport
from ovcadmin.errors import DirectoryRefused, SettingInvalid

AD = shapes.preset("active-directory", "dc=corp,dc=example")
GUID = bytes(range(16))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def entry(dn="cn=Ann,dc=corp,dc=example", **values):
    raw = {
        name: [v if isinstance(v, bytes) else v.encode() for v in vs] for name, vs in values.items()
    }
    return {"dn": dn, "raw_attributes": CaseInsensitiveDict(raw), "type": "searchResEntry"}


@pytest.mark.parametrize(
    "one, other",
    [
        ("uid=ann,dc=x", "UID = Ann , DC=X"),
        ("cn=a\\,b,dc=x", "cn=a\\2cb,dc=x"),
        ("cn=Zoë,dc=x", "cn=zoe\u0308,dc=x"),
        ("cn=Zoë,dc=x", "cn=zo\\c3\\ab,dc=x"),
        ("cn=two  words,dc=x", "cn=Two Words,dc=x"),
        ("cn=a=b,dc=x", "cn=a\\=b,dc=x"),
        ("cn=a+sn=b,dc=x", "CN=A + SN=B,dc=x"),
    ],
)
def test_spellings_of_one_dn(one, other):
    assert entries.dn_key(one) == entries.dn_key(other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("cn=a\\,dc=x", "cn=a,dc=x"),
        ("cn=a\\,dc=b,dc=x", "cn=a,dc=b,dc=x"),
        ("cn=admins,dc=x", "cn=\uff41dmins,dc=x"),  # full width: another group in some directories
        ("cn=strasse,dc=x", "cn=straße,dc=x"),
        ("cn=a+sn=b,dc=x", "cn=a,sn=b,dc=x"),
        ("cn=a\\+sn=b,dc=x", "cn=a+sn=b,dc=x"),
    ],
)
def test_dns_that_only_look_alike(one, other):
    assert entries.dn_key(one) != entries.dn_key(other)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20))
def test_a_dn_key_is_its_own_key_and_stays_below_its_base(name):
    key = entries.dn_key(f"cn={escape_rdn(name)},ou=Groups,dc=x")
    assert entries.dn_key(key) == key
    assert entries.below(key, "ou=groups,dc=x")
    assert not entries.below(key, "dc=groups,dc=x")


def test_a_base_is_matched_by_whole_parts():
    assert not entries.below("cn=x,ou=moregroups,dc=x", "groups,dc=x")
    assert not entries.below(entries.dn_key("cn=x\\,ou=groups,dc=x"), "ou=groups,dc=x")


def test_active_directory_people():
    found = entry(
        objectGUID=[GUID],
        sAMAccountName=["Ann"],
        displayName=["Ann\x00 Example"],
        mail=["ann@corp.example"],
        userAccountControl=["512"],
        accountExpires=["9223372036854775807"],
        memberOf=["CN=Dev,DC=Corp,DC=Example", "CN=Old,DC=elsewhere"],
    )
    ann = entries.person(found, AD, NOW)
    assert ann.key == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert entries.by_key(AD, ann.key) == "(objectGUID=" + "".join(f"\\{b:02x}" for b in GUID) + ")"
    assert (ann.name, ann.display_name, ann.disabled) == ("Ann", "Ann Example", False)
    assert ann.groups == ("cn=dev,dc=corp,dc=example",)


@pytest.mark.parametrize(
    "values, disabled",
    [
        ({"userAccountControl": ["514"]}, True),
        ({"userAccountControl": ["66048"]}, False),
        ({"accountExpires": ["0"]}, False),
        ({"accountExpires": ["133000000000000000"]}, True),  # 2022
        ({"accountExpires": ["137000000000000000"]}, False),  # 2035
        ({"accountExpires": ["rubbish"], "userAccountControl": ["rubbish"]}, False),
    ],
)
def test_active_directory_disabled_and_ended_people(values, disabled):
    found = entry(objectGUID=[GUID], sAMAccountName=["ann"], **values)
    assert entries.person(found, AD, NOW).disabled is disabled


@pytest.mark.parametrize("key", [[], [b"short"]])
def test_without_a_lasting_id_nobody_is_made(key):
    with pytest.raises(DirectoryRefused):
        entries.person(entry(sAMAccountName=["ann"], objectGUID=key), AD, NOW)


@given(st.text(max_size=30))
def test_a_filter_holds_one_value_whatever_it_is(text):
    query = entries.equals("uid", text)
    assert query.count("(") == query.count(")") == 1
    assert "*" not in query
    assert "\0" not in query


@given(st.text(max_size=3000))
def test_what_is_shown_is_one_short_line(text):
    shown = entries.tidy(text)
    assert len(shown) <= entries.LONGEST_TEXT
    assert shown == shown.strip()
    assert shown.isprintable()


@pytest.mark.parametrize(
    "value, error",
    [
        (b"0\x03\x81\x01\x01", 1),
        (b"0\x00", None),
        (b"0\x08\xa0\x03\x80\x01\x05\x81\x01\x02", 2),
        (b"0\x05\xa0\x03\x80\x01\x05", None),
        (b"", None),
        (b"rubbish", None),
        (b"0\x81\x81", None),
    ],
)
def test_the_error_of_the_password_policy_control(value, error):
    result = {"controls": {results.POLICY_CONTROL: {"value": value}}}
    assert results.policy_error(result) == error


def test_what_active_directory_says_in_its_text():
    text = "80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data {}, v4563"
    bars = {
        data: results.bar({"result": 49, "message": text.format(data)})
        for data in ("52e", "525", "533", "532", "701", "773", "775")
    }
    assert [bar and bar.value for bar in bars.values()] == [
        None, None, "disabled", "password_expired", "ended", "must_change", "locked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text, address",
    [
        ("ldap.example", Address("ldap.example", 389)),
        (" ldap.example:1389 ", Address("ldap.example", 1389)),
        ("[fd00::1]:636", Address("fd00::1", 636)),
    ],
)
def test_addresses_of_servers(text, address):
    assert Address.parse(text) == Address.parse(str(address)) == address
    assert Address.parse("ldap.example", Transport.LDAPS).port == 636


@pytest.mark.parametrize("text", ["", "a b", "ldap://x", "x:0", "x:65536", "x:y", "fd00::1"])
def test_what_is_no_server(text):
    with pytest.raises(SettingInvalid):
        Address.parse(text)
