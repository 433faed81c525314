"""Forms: colander schemas, shown by plain macros (docs/decisions/0003).

There is one way to submit a form:

    form = Form(PoolForm(), {"name": pool.name})
    done = form.submit(request, lambda values: _save(context, request, values))
    return done or {"form": form}

with `_save` returning `Done(text, path)`.  On GET nothing is submitted and the form is shown.  On
POST the values are validated and handed to the service; success is a redirect (303) with a
message.  Anything else shows the same form again with status 422 (409 for a conflict), every typed
value kept and what is wrong said next to the field; nothing was changed.

A template shows a whole form with `macros.form`, or single fields: `form['name']`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import colander
from pyramid.httpexceptions import HTTPSeeOther

from ovcadmin import refused
from ovcadmin.answers import article_path, set_headers, status_of
from ovcadmin.domain import amounts, names
from ovcadmin.errors import DomainError, InvalidInput, Outdated
from ovcadmin.security.contexts import turn
from ovcadmin.security.csrf import FIELD as CSRF_FIELD
from ovcadmin.services import idempotency, turns
from ovcadmin.views.flash import LONGEST

REQUIRED = "Fill this in."
FASTER = "Somebody else changed this since you opened the page. Load it again."
SEEN = "seen"
"""Hidden field: a digest of what a form showed."""
ONCE = "once"
"""Field that the page's script adds: a place in the history of a tab, the same after Back."""
AGAIN = "You had sent this already; nothing was done again. Then it was:"
CHECK_FIELDS = "Nothing was changed: look at the marked fields."


class Name(colander.SchemaType):
    """A name that people give; returned in its normal form."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct in (colander.null, ""):
            return colander.null
        return _read(node, names.clean, cstruct)


class Amount(colander.SchemaType):
    """An amount of a resource as people write it: `4`, `512 MiB`, `15 GB`."""

    def __init__(self, resource: str) -> None:
        self.resource = resource

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct is colander.null or not cstruct.strip():
            return colander.null
        return _read(node, lambda text: amounts.read(self.resource, text), cstruct)


class Flag(colander.SchemaType):
    """A check box: there or not."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        return cstruct not in (colander.null, "")


class OneOf(colander.SchemaType):
    """One of the choices that the form was made with."""

    def deserialize(self, node: Any, cstruct: Any) -> Any:
        if cstruct in (colander.null, ""):
            return colander.null
        if cstruct not in {value for value, _ in node.choices}:
            raise colander.Invalid(node, "Choose one of the list.")
        return cstruct


def _read(node: Any, reader: Callable[[str], Any], text: str) -> Any:
    try:
        return reader(text)
    except ValueError as error:
        raise colander.Invalid(node, str(error)) from None


def _node(read_as: Any, title: str, **more: Any) -> Any:
    options = {"kind": "text", "hint": "", "choices": [], "attributes": {}, **more}
    return colander.SchemaNode(read_as, title=title, missing_msg=REQUIRED, **options)


def name(title: str = "Name", **more: Any) -> Any:
    return _node(Name(), title, **more)


def text(title: str, *, longest: int = 1000, **more: Any) -> Any:
    """Declare a line of text; `kind` may be `textarea`, `password`, `hidden`; kept as typed."""
    attributes = {
        key: more.pop(key) for key in ("autocomplete", "placeholder", "rows") if key in more
    }
    length = colander.Length(max=longest, max_err=f"Use at most {longest} characters.")
    return _node(colander.String(), title, validator=length, attributes=attributes, **more)


def choice(title: str, **more: Any) -> Any:
    """Declare a list to choose from; the choices are given to `Form`."""
    return _node(OneOf(), title, kind="select", **more)


def amount(title: str, resource: str, **more: Any) -> Any:
    """Declare an amount of `vcpus`, `memory` (KiB), `storage` (bytes), ...; see domain.amounts."""
    return _node(Amount(resource), title, **more)


def count(title: str, **more: Any) -> Any:
    return amount(title, "count", **more)


def flag(title: str, **more: Any) -> Any:
    return _node(Flag(), title, kind="checkbox", missing=False, **more)


def version() -> Any:
    """Declare the hidden version of what is edited: two tabs cannot overwrite each other."""
    return _node(Amount("count"), "", kind="hidden")


@dataclass(kw_only=True)
class Field:
    """One field as the template shows it."""

    name: str
    title: str
    kind: str
    hint: str
    required: bool
    attributes: dict[str, str]
    choices: list[tuple[str, str]]
    value: str = ""
    error: str = ""

    @property
    def id(self) -> str:
        return f"field-{self.name}"

    def only(self, other: str, values: Iterable[str]) -> None:
        """Have the page show this field only while the field `other` has one of these values."""
        self.attributes = {**self.attributes, "data-when": f"{other}={' '.join(values)}"}

    @property
    def describedby(self) -> str | None:
        """Ids of the hint and the error, for screen readers."""
        parts = [f"{self.id}-error"] * bool(self.error) + [f"{self.id}-hint"] * bool(self.hint)
        return " ".join(parts) or None


@dataclass(frozen=True, kw_only=True)
class Done:
    """A submit that succeeded: what to say, and where to go."""

    text: str
    path: str
    href: str = ""
    """A path for more on the message, such as the operation that was queued."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with the form as a whole."""

    code: str
    text: str
    article: str
    context: dict[str, Any] = field(default_factory=dict)


class Form:
    """A schema with the values typed so far and what is wrong with them."""

    def __init__(
        self,
        schema: Any,
        initial: Mapping[str, Any] | None = None,
        *,
        choices: Mapping[str, list[tuple[str, str]]] | None = None,
        as_seen: bool = False,
    ) -> None:
        """Fill a form.

        With `as_seen` a POST is refused when other values stand there than when it was shown; the
        view calls `in_turn` before it reads them.
        """
        self.schema = schema
        self.problem: Problem | None = None
        self._shown = _digest(initial or {}) if as_seen else ""
        for node in schema.children:
            node.choices = (choices or {}).get(node.name, node.choices)
        self.fields = {node.name: _field(node, initial or {}) for node in schema.children}
        if as_seen:
            self.fields[SEEN] = _field(_node(colander.String(), "", kind="hidden", name=SEEN), {})
            self.fields[SEEN].value = self._shown

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields.values())

    @property
    def errors(self) -> list[Field]:
        return [shown for shown in self if shown.error]

    def submit(self, request: Any, save: Callable[[dict[str, Any]], Done]) -> HTTPSeeOther | None:
        """Validate and save a POST; return the redirect, or None when the form is to be shown."""
        if request.method != "POST":
            return None
        values = self.validate(request)
        if values is None:
            return None
        if self.outdated(request):
            self.refuse(request, Outdated(FASTER))
            return None
        try:
            # A savepoint: what the service did before it refused is undone, and the page can
            # still read.
            with request.db.begin_nested():
                done = _once(request, lambda: save(values))
        except DomainError as error:
            self.refuse(request, error)
            return None
        request.flash(done.text[:LONGEST], href=done.href)
        return HTTPSeeOther(done.path)

    def outdated(self, request: Any) -> bool:
        """Whether a POST comes from a page that showed other values than there are."""
        return bool(self._shown) and request.POST.get(SEEN, self._shown) != self._shown

    def validate(self, request: Any) -> dict[str, Any] | None:
        """Return the values of a POST, or None with the errors noted and the status set."""
        typed = {key: value for key, value in request.POST.items() if key != CSRF_FIELD}
        for shown in self:
            if shown.kind != "password":
                shown.value = typed.get(shown.name, "")
        try:
            values: dict[str, Any] = self.schema.deserialize(typed)
        except colander.Invalid as error:
            self._note(error.asdict())
            self.refuse(request, InvalidInput(CHECK_FIELDS))
            return None
        return values

    def refuse(self, request: Any, error: DomainError) -> None:
        """Show why a service refused: next to the fields that it names, else above the form."""
        named = error.fields if isinstance(error, InvalidInput) else {}
        if "field" in error.context:
            named = {**named, str(error.context["field"]): error.text}
        elsewhere = self._note(named)
        self.problem = Problem(
            code=error.code,
            text=" ".join([error.text, *elsewhere]),
            article=article_path(error.code),
            context=error.context,
        )
        refused.note(request, error)
        request.tm.doom()
        request.response.status_int = status_of(error).value
        set_headers(request.response, error)

    def _note(self, errors: Mapping[str, str]) -> list[str]:
        """Put errors next to their fields; return those of fields that the form does not show."""
        elsewhere = []
        for name, message in errors.items():
            if name in self.fields and self.fields[name].kind != "hidden":
                self.fields[name].error = message
            else:
                elsewhere.append(message)
        return elsewhere


def in_turn(request: Any) -> None:
    """Let a POST be the only one that changes its object, until it is committed."""
    if request.method == "POST":
        turns.take(request.work, turn(request.context, request.path))


def _once(request: Any, make: Callable[[], Done]) -> Done:
    """Make it, unless the very same came from the same place before: pressed twice, or after Back.

    Without script nothing tells the place; whoever goes back then sends a new form.
    """
    sent = [(key, value) for key, value in request.POST.items() if key != CSRF_FIELD]
    plain = all(isinstance(value, str) for _, value in sent)
    if ONCE not in request.POST or request.identity is None or not plain:
        return make()
    mark = hashlib.sha256(repr([request.path_qs, *sorted(sent)]).encode()).hexdigest()
    claim = idempotency.claim(request.work, mark, fingerprint=mark)
    if claim.told is not None:
        before = Done(**claim.told)
        return replace(before, text=f"{AGAIN} {before.text}")
    done = make()
    claim.keep(asdict(done))
    return done


def _digest(initial: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(initial.items())).encode()).hexdigest()[:24]


def _field(node: Any, initial: Mapping[str, Any]) -> Field:
    value = initial.get(node.name)
    return Field(
        name=node.name,
        title=node.title,
        kind=node.kind,
        hint=node.hint,
        required=node.required,
        attributes=node.attributes,
        choices=node.choices,
        value="" if value is None else str(value),
    )
