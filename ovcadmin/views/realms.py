"""Directory realms: where users come from besides the console's own accounts.

Whatever asks a directory does so while no transaction is open (security/apart).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.privileges import Privilege
from ovcadmin.services import realm_ends, realm_sync, realm_tally, realms
from ovcadmin.views.forms import Done, Form, choice, count, flag, name, text, version
from ovcadmin.views.pages import Page
from ovcadmin.views.tables import whole_number

ALLOWED = {"permission": Privilege.SET_GRANTS}
TRANSPORTS = [
    ("starttls", "StartTLS, certificate verified"),
    ("ldaps", "LDAPS, certificate verified"),
    ("plain", "not encrypted: passwords can be read on the way"),
]
BLANK = "Blank: as this kind of directory ships."


class TakenIn(colander.Schema):
    """Who and which groups are taken in."""

    people_base = text("Base of people", missing="", hint=BLANK)
    people_filter = text("Filter of people", missing="", hint=BLANK)
    groups_base = text("Base of groups", missing="", hint=BLANK)
    groups_filter = text("Filter of groups", missing="", hint=BLANK)


class Settings(colander.Schema):
    """What both forms ask; the rest of it is blank in most companies."""

    label = name("Label", hint="What people read at sign-in, such as Example Ltd.")
    servers = text("Servers", kind="textarea", hint="host or host:port, one a line, best first")
    transport = choice("Encryption", missing="starttls")
    authority = text(
        "Certificate authority",
        kind="textarea",
        longest=20_000,
        missing="",
        hint="PEM; blank: the authorities of the system",
    )
    base = text("Base DN", hint="such as dc=example,dc=org")
    bind_dn = text("Service account", missing="", hint="DN that searches; blank: anonymous")
    bind_password = text(
        "Its password",
        kind="password",
        missing="",
        autocomplete="off",
        hint="Kept sealed, never shown; blank keeps the present one.",
    )
    user_bind = text(
        "Sign in directly as",
        missing="",
        hint="such as uid={name},ou=people,dc=example,dc=org; blank: looked up first",
    )
    people_base = text("Base of people", missing="", hint=BLANK)
    people_filter = text("Filter of people", missing="", hint=BLANK)
    groups_base = text("Base of groups", missing="", hint=BLANK)
    groups_filter = text("Filter of groups", missing="", hint=BLANK)
    writable = flag("Writable", hint="People may be made, changed and deleted from here.")
    sync_minutes = count(
        "Synchronise every", missing=None, hint="minutes; 0: only on demand; blank: 60"
    )
    kerberos_principal = text(
        "Kerberos principal of the console",
        missing="",
        hint="such as HTTP/console.example.org@EXAMPLE.ORG; blank: no single sign-on",
    )
    kerberos_keytab = text("Keytab", missing="", hint="file on the console's machine")
    kerberos_realm = text("Kerberos realm", missing="", hint="whose users sign in")


class NewRealm(Settings):
    name = name(
        "Name",
        hint="One word: it stands behind every user's name, anna@example.",
        insert_before="label",
    )
    kind = choice("Kind", insert_before="label")


class EditedRealm(Settings):
    version = version()


class TriedMapping(TakenIn):
    even_many = flag("Even when most users vanish")


class Name(colander.Schema):
    name = text("Its name", autocomplete="off", hint="Type it to delete the realm for good.")


@dataclass(frozen=True, kw_only=True)
class RealmPage(Page):
    tab: str = "realms"
    realm: Any = None
    form: Form | None = None
    every: Sequence[Any] = ()
    findings: Sequence[Any] = ()
    newest: Any = None
    """The last synchronisation or trial, ended or not."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    recent: Sequence[Any] = ()
    tally: Any = None
    operation: Any = None
    ending: Any = None

    @property
    def kinds(self) -> Mapping[str, str]:
        return realms.KINDS

    @property
    def trial(self) -> bool:
        """Whether what is shown was only tried."""
        return self.operation is not None and bool(self.operation.params.get("dry"))

    @property
    def labels(self) -> Mapping[str, str]:
        return {node.name: node.title for node in TakenIn().children}

    @property
    def kinds_of_change(self) -> list[tuple[str, int, list[str]]]:
        return [
            (realm_tally.LABELS[kind], number, self.tally.names[kind])
            for kind, number in self.tally.counts.items()
        ]


def _page(title: str, **more: Any) -> dict[str, Any]:
    return {"page": RealmPage(title=title, section="users", **more)}


@view_config(route_name="realms", request_method="GET", renderer="realms/list.pt", **ALLOWED)
def listing(request: Any) -> dict[str, Any]:
    return _page("Realms", every=realms.listing(request.work))


@view_config(
    route_name="realm_new", request_method=("GET", "POST"), renderer="realms/new.pt", **ALLOWED
)
def new(request: Any) -> dict[str, Any] | Response:
    choices = {"kind": list(realms.KINDS.items()), "transport": TRANSPORTS}
    form = Form(NewRealm(), {"transport": "starttls"}, choices=choices)
    return form.submit(request, lambda values: _create(request, values)) or _page(
        "New realm", form=form
    )


def _create(request: Any, values: dict[str, Any]) -> Done:
    realm = realms.create(
        request.work,
        request.directories,
        name=values["name"],
        kind=values["kind"],
        draft=_draft(values),
    )
    return Done(
        text=f"{realm.label} is created. Test the connection, then enable it.",
        path=request.route_path("realm", id=realm.id),
    )


@view_config(route_name="realm", request_method="GET", renderer="realms/realm.pt", **ALLOWED)
def show(request: Any) -> dict[str, Any]:
    return _realm_page(request)


@view_config(
    route_name="realm_edit", request_method=("GET", "POST"), renderer="realms/edit.pt", **ALLOWED
)
def edit(request: Any) -> dict[str, Any] | Response:
    """`trial` is the number of a trial whose bases and filters are written into the form."""
    realm = _realm(request, request.work)
    tried = realm_sync.trial(request.work, realm, whole_number(request.GET.get("trial", ""), 0))
    initial = {**realm.settings, **tried, "label": realm.label, "version": realm.version}
    initial["writable"] = "yes" if realm.settings.get("writable") else ""
    form = Form(EditedRealm(), initial, choices={"transport": TRANSPORTS})
    return form.submit(request, lambda values: _edit(request, realm, values)) or _page(
        f"Edit {realm.label}", realm=realm, form=form
    )


def _edit(request: Any, realm: Any, values: dict[str, Any]) -> Done:
    realms.edit(
        request.work,
        request.directories,
        realm,
        version=values["version"],
        draft=_draft(values),
    )
    return Done(text=f"{realm.label} is saved.", path=request.route_path("realm", id=realm.id))


@view_config(route_name="realm_check", request_method="POST", renderer="realms/realm.pt", **ALLOWED)
def check(request: Any) -> dict[str, Any]:
    """Try every server, step by step."""
    with request.work_apart(write=False) as work:
        contact = realms.contact(work, _realm(request, work))
    findings = request.directories.check(contact)
    return _realm_page(request, findings=findings)


@view_config(route_name="realm_enabled", request_method="POST", **ALLOWED)
def enabled(request: Any) -> Response:
    realm = _realm(request, request.work)
    wanted = request.POST.get("enabled") == "yes"
    realms.set_enabled(request.work, realm, enabled=wanted)
    told = "is enabled" if wanted else "is disabled; its users are out"
    request.flash(f"{realm.label} {told}.")
    return HTTPSeeOther(request.route_path("realm", id=realm.id))


@view_config(
    route_name="realm_delete",
    request_method=("GET", "POST"),
    renderer="realms/delete.pt",
    **ALLOWED,
)
def delete(request: Any) -> dict[str, Any] | Response:
    realm = _realm(request, request.work)
    form = Form(Name())
    return form.submit(request, lambda values: _delete(request, realm, values)) or _page(
        f"Delete {realm.label}",
        realm=realm,
        form=form,
        ending=realm_ends.preview(request.work, realm),
    )


def _delete(request: Any, realm: Any, values: dict[str, Any]) -> Done:
    label = realm.label
    realm_ends.remove(request.work, realm, typed=values["name"])
    return Done(text=f"{label} is deleted.", path=request.route_path("realms"))


@view_config(route_name="realm_sync", request_method="POST", **ALLOWED)
def sync(request: Any) -> Response:
    realm = _realm(request, request.work)
    dry = request.POST.get("dry") == "yes"
    even_many = request.POST.get("even_many") == "yes"
    operation = realm_sync.submit(request.work, realm, dry=dry, even_many=even_many)
    request.flash(
        "The directory is being read; nothing is changed." if dry else "Synchronising.",
        href=request.route_path("operation", id=operation.id),
    )
    return HTTPSeeOther(request.route_path("realm_changes", id=realm.id))


@view_config(
    route_name="realm_trial", request_method=("GET", "POST"), renderer="realms/trial.pt", **ALLOWED
)
def trial(request: Any) -> dict[str, Any] | Response:
    """Other bases and filters are tried before they are saved."""
    realm = _realm(request, request.work)
    form = Form(TriedMapping(), realm.settings)
    return form.submit(request, lambda values: _try(request, realm, values)) or _page(
        f"Try other people and groups of {realm.label}", realm=realm, form=form
    )


def _try(request: Any, realm: Any, values: dict[str, Any]) -> Done:
    even_many = values.pop("even_many")
    operation = realm_sync.try_mapping(
        request.work, request.directories, realm, values, even_many=even_many
    )
    return Done(
        text="The directory is being read; nothing is changed.",
        path=request.route_path("realm_changes", id=realm.id),
        href=request.route_path("operation", id=operation.id),
    )


@view_config(
    route_name="realm_changes", request_method="GET", renderer="realms/changes.pt", **ALLOWED
)
def changes(request: Any) -> dict[str, Any]:
    """List what the last synchronisation changed, or would have changed."""
    realm = _realm(request, request.work)
    recent = realm_sync.recent(request.work, realm)
    operation = next((row for row in recent if realm_sync.tally(row)), None)
    return _page(
        f"Changes of {realm.label}",
        realm=realm,
        operation=operation,
        newest=recent[0] if recent else None,
        mapping=realm_sync.mapping(operation) if operation else {},
        tally=realm_sync.tally(operation) if operation else None,
    )


def _realm(request: Any, work: Any) -> Any:
    return realms.get(work, int(request.matchdict["id"]))


def _realm_page(request: Any, findings: Sequence[Any] = ()) -> dict[str, Any]:
    realm = _realm(request, request.work)
    recent = realm_sync.recent(request.work, realm)[:5]
    return _page(realm.label, realm=realm, findings=findings, recent=recent)


def _draft(values: Mapping[str, Any]) -> realms.Draft:
    return realms.Draft(
        label=values["label"], settings=values, password=values["bind_password"] or None
    )
