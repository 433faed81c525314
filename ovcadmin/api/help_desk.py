"""The help desk: finding what a call is about, notes, and cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ovcadmin.api.endpoint import endpoint, query
from ovcadmin.api.lists import Listing
from ovcadmin.errors import InvalidInput
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import help_cases, help_desk, notes, operations, people
from ovcadmin.services.help_cases import Draft
from ovcadmin.services.help_desk import Found


@endpoint("help_desk", "GET", permission=Privilege.SEE_GRANTS)
def find(_context: Any, request: Any) -> Listing:
    found = help_desk.find(request.work, query(request)["q"])
    return Listing([*_things(found), *_told(found)], order="", searched=True)


@endpoint("notes", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    wanted = query(request)
    notes.subject(request.work, wanted["kind"], wanted["object"])
    found = notes.board(request.work, wanted["kind"], wanted["object"]).notes
    return Listing(found, _note, order="")


@endpoint("notes", "POST", permission=SIGNED_IN)
def write(_context: Any, request: Any) -> dict[str, Any]:
    body = request.openapi_validated.body
    row = notes.staffed(request.work, body["kind"], int(body["object"]))
    made = notes.write(
        request.work, body["kind"], row, body["text"], for_users=bool(body.get("for_users"))
    )
    request.response.status_int = 201
    return _note(made)


@endpoint("note", "DELETE", permission=Privilege.SEE_GRANTS)
def remove(context: Any, request: Any) -> Any:
    notes.remove(request.work, context.note)
    request.response.status_int = 204
    request.response.content_type = None
    return request.response


@endpoint("cases", "GET", permission=SIGNED_IN)
def cases(_context: Any, request: Any) -> Listing:
    work = request.work
    return Listing(help_cases.listing(work, mine=True), lambda row: _case(work, row), order="")


@endpoint("cases", "POST", permission=SIGNED_IN)
def hand_over(_context: Any, request: Any) -> dict[str, Any]:
    work, body = request.work, request.openapi_validated.body
    row = notes.staffed(work, body["kind"], int(body["object"]))
    recent = {one.id: one for one in help_desk.recent(work, body["kind"], row.id)}
    operation = body.get("operation_id")
    if operation is not None and operation not in recent:
        raise InvalidInput(
            "The case is not handed over.",
            fields={"operation_id": "Name one of the last operations on it."},
        )
    case = help_cases.hand_over(
        work,
        Draft(
            kind=body["kind"],
            row=row,
            owner=people.get(work, int(body["owner_id"])),
            text=body["text"],
            operation=operations.get(work, operation) if operation else None,
        ),
    )
    request.response.status_int = 201
    return _case(work, case)


@endpoint("case", "GET", permission=SIGNED_IN)
def case(context: Any, request: Any) -> dict[str, Any]:
    return _case(request.work, context.case)


@endpoint("case_close", "POST", permission=SIGNED_IN)
def close(context: Any, request: Any) -> dict[str, Any]:
    help_cases.close(request.work, context.case, request.openapi_validated.body["answer"])
    return _case(request.work, context.case)


def _things(found: Found) -> Iterator[dict[str, Any]]:
    for person in found.people:
        yield _item("user", person.id, f"{person.name}@{person.realm.name}", person.label)
    for row in found.machines:
        where = f"{row.badge.word} in {row.machine.pool.name}"
        yield _item("machine", row.machine.id, row.machine.name, where)
    for pool in found.pools:
        yield _item("pool", pool.id, pool.name, pool.description)
    for host in found.hosts:
        yield _item("host", host.id, host.name, host.state)


def _told(found: Found) -> Iterator[dict[str, Any]]:
    for operation in found.operations:
        yield _item("operation", operation.id, operation.title, operation.state)
    for line in found.trail:
        told = f"{line.actor} from {line.address or 'nowhere'}: {line.outcome}"
        yield _item("audit", line.id, f"{line.action} {line.object_name}", told)
    for hit in found.articles:
        yield _item("article", None, str(hit.title.striptags()), hit.path)


def _item(kind: str, number: int | None, name: str, text: str) -> dict[str, Any]:
    return {"kind": kind, "id": number, "name": name, "text": text}


def _note(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "object": row.object_id,
        "text": row.text,
        "for_users": row.for_users,
        "author": row.author.name,
        "at": row.at,
    }


def _case(work: Any, row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "object": row.object_id,
        "name": help_cases.thing(work, row).name,
        "operation_id": row.operation_id,
        "text": row.text,
        "opened_by": row.opened_by.name,
        "owner": row.owner.name,
        "created_at": row.created_at,
        "closed_at": row.closed_at,
        "answer": row.answer,
        "path": f"/cases/{row.id}",
    }
