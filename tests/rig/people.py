"""Who is in the directories of the rig, as LDIF."""

from base64 import b64encode
from collections.abc import Iterator

PASSWORD = "correct horse"
"""Of everybody."""
EXAMPLE = "dc=example,dc=org"
IPA = "dc=ipa,dc=example"
CROWD = f"ou=crowd,{EXAMPLE}"
IPA_SERVICE = f"uid=console,cn=sysaccounts,cn=etc,{IPA}"

# The attributes and classes of FreeIPA that the console reads, under numbers for experiments.
IPA_SCHEMA = """
objectidentifier ours 1.3.6.1.4.1.4203.666.77
attributetype ( ours:1 NAME 'ipaUniqueID' EQUALITY caseExactMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( ours:2 NAME 'krbPrincipalName' EQUALITY caseExactMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( ours:3 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( ours:4 NAME 'krbPrincipalExpiration' EQUALITY generalizedTimeMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
objectclass ( ours:11 NAME 'ipaObject' AUXILIARY MUST ipaUniqueID )
objectclass ( ours:12 NAME 'krbPrincipalAux' AUXILIARY
  MAY ( krbPrincipalName $ krbPrincipalExpiration $ nsAccountLock ) )
objectclass ( ours:13 NAME 'ipaUserGroup' AUXILIARY )
"""


def entry(dn: str, *classes: str, **values: str | bytes | list[str]) -> str:
    """Return one entry; its values may be any text."""
    lines = [line("dn", dn), *(line("objectClass", name) for name in classes)]
    for name, value in values.items():
        lines += [line(name, v) for v in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n\n"


def line(name: str, value: str | bytes) -> str:
    raw = value if isinstance(value, bytes) else value.encode()
    plain = raw.isascii() and raw.decode().isprintable() and raw == raw.strip()
    if plain and raw[:1] not in (b":", b"<"):
        return f"{name}: {raw.decode()}"
    return f"{name}:: {b64encode(raw).decode()}"


def _place(dn: str) -> str:
    kind, _, name = dn.partition(",")[0].partition("=")
    if kind == "dc":
        return entry(dn, "dcObject", "organization", dc=name, o=name)
    if kind == "ou":
        return entry(dn, "organizationalUnit", ou=name)
    return entry(dn, "organizationalRole", cn=name)


def person(uid: str, base: str = f"ou=people,{EXAMPLE}", **more: str) -> str:
    given = {"cn": uid.title(), "sn": uid.title(), "mail": f"{uid}@example.org"}
    return entry(
        f"uid={uid},{base}", "inetOrgPerson", uid=uid, userPassword=PASSWORD, **given | more
    )


def crowd(count: int) -> Iterator[str]:
    """Many people in a branch of their own, `u00000` and on."""
    yield _place(CROWD)
    for number in range(count):
        yield person(f"u{number:05}", CROWD)


def teams(count: int, size: int) -> Iterator[str]:
    """Groups of the crowd, `team000` and on, each of the next so many people."""
    for number in range(count):
        name = f"team{number:03}"
        members = [f"uid=u{number * size + place:05},{CROWD}" for place in range(size)]
        yield entry(f"cn={name},ou=groups,{EXAMPLE}", "groupOfNames", cn=name, member=members)


def example() -> Iterator[str]:
    """The tree of OpenLDAP's usual layout, without its groups."""
    for place in ("", "ou=people,", "ou=groups,", "ou=services,", "ou=policies,"):
        yield _place(place + EXAMPLE)
    policy = {"sn": "policy", "pwdAttribute": "userPassword", "pwdMinLength": "8"}
    policy |= {"pwdLockout": "TRUE", "pwdMaxFailure": "3", "pwdMustChange": "TRUE"}
    policy |= {"pwdCheckQuality": "2", "pwdInHistory": "3", "pwdAllowUserChange": "TRUE"}
    for name, age in {"default": "0", "short": "60"}.items():
        dn = f"cn={name},ou=policies,{EXAMPLE}"
        yield entry(dn, "person", "pwdPolicy", cn=name, pwdMaxAge=age, **policy)
    for name in ("console", "reader", "limited"):
        dn = f"cn={name},ou=services,{EXAMPLE}"
        yield entry(
            dn, "organizationalRole", "simpleSecurityObject", cn=name, userPassword=PASSWORD
        )
    yield person("ann", displayName="Ann Example")
    yield person("bob")
    yield person("gone", pwdAccountLockedTime="000001010000Z")
    yield person("new", pwdReset="TRUE")
    yield person(
        "old",
        pwdChangedTime="20200101000000Z",
        pwdPolicySubentry=f"cn=short,ou=policies,{EXAMPLE}",
    )
    elsewhere = f"ou=elsewhere,ou=people,{EXAMPLE}"
    yield entry(
        elsewhere, "referral", "extensibleObject", ou="elsewhere", ref="ldap://192.0.2.1/dc=away"
    )


def groups() -> Iterator[str]:
    """Groups of the example tree: nested, a circle, and one of 5,000 members."""

    def group(name: str, *members: str) -> str:
        dn = f"cn={name},ou=groups,{EXAMPLE}"
        return entry(dn, "groupOfNames", cn=name, member=list(members))

    people, names = f"ou=people,{EXAMPLE}", f"ou=groups,{EXAMPLE}"
    yield group("dev", f"uid=ann,{people}")
    yield group("engineering", f"cn=dev,{names}", f"uid=bob,{people}")
    yield group("everybody", f"cn=engineering,{names}")
    yield group("round", f"cn=about,{names}", f"uid=bob,{people}")
    yield group("about", f"cn=round,{names}")
    yield group("bystanders", f"uid=old,{people}")
    many = [f"uid=nobody{number},{people}" for number in range(4999)]
    yield group("many", f"cn=everybody,{names}", *many)


def ipa() -> Iterator[str]:
    """The tree of FreeIPA: lists of groups on each person, direct, indirect and other things."""
    accounts = f"cn=accounts,{IPA}"
    for place in ("", "cn=accounts,", "cn=users,cn=accounts,", "cn=groups,cn=accounts,"):
        yield _place(place + IPA)
    for place in ("cn=etc,", "cn=sysaccounts,cn=etc,", "cn=hbac,", "cn=roles,cn=accounts,"):
        yield _place(place + IPA)
    yield entry(
        IPA_SERVICE, "account", "simpleSecurityObject", uid="console", userPassword=PASSWORD
    )
    held = [f"cn=ops,cn=groups,{accounts}", f"cn=staff,cn=groups,{accounts}"]
    held += [f"cn=allow_all,cn=hbac,{IPA}", f"cn=helpdesk,cn=roles,{accounts}"]
    classes = ("inetOrgPerson", "ipaObject", "krbPrincipalAux")
    people: dict[str, dict[str, str | list[str]]] = {
        "ann": {"memberOf": held},
        "ben": {"nsAccountLock": "TRUE"},
        "cal": {"krbPrincipalExpiration": "20200101000000Z"},
    }
    for uid, more in people.items():
        yield entry(
            f"uid={uid},cn=users,{accounts}",
            *classes,
            uid=uid,
            cn=uid.title(),
            sn=uid.title(),
            mail=f"{uid}@ipa.example",
            userPassword=PASSWORD,
            ipaUniqueID=f"5f1e{uid}-0000-11ee-8000-525400000001",
            krbPrincipalName=f"{uid}@IPA.EXAMPLE",
            **more,
        )
    for number, (name, member) in enumerate(
        {
            "ops": f"uid=ann,cn=users,{accounts}",
            "staff": f"cn=ops,cn=groups,{accounts}",
            "lonely": f"uid=ben,cn=users,{accounts}",
        }.items()
    ):
        yield entry(
            f"cn={name},cn=groups,{accounts}",
            *("groupOfNames", "ipaObject", "ipaUserGroup"),
            cn=name,
            member=member,
            ipaUniqueID=f"9a0e000{number}-0000-11ee-8000-525400000002",
        )
