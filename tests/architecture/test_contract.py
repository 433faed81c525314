"""What every call of the API can be relied on for stands in the contract, call by call."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate

from ovcadmin.api import contract

WHOLE = contract.load()
CALLS = {
    told["operationId"]: (method, told)
    for item in WHOLE["paths"].values()
    for method, told in item.items()
    if method in contract.METHODS
}
NOTHING_TO_OVERWRITE = {
    # it is there, or it is not
    "endSession", "revokeToken", "endUserSessions", "revokeUserToken", "removeSecondFactor",
    "removeNote", "deleteImageCopy", "abandonImageUpload", "deleteProfile", "deleteSnapshot",
    "endConsole", "deleteVolume", "removeLogicalGroupMember", "removeVPool", "removeStoragePool",
    "endMaintenance",
    # one value, set to what is asked for, whatever it was
    "changeOwnPassword", "setPassword", "rateArticle", "offerVolume", "allowWatching",
    # says itself at which byte it goes on
    "sendImagePiece",
}  # fmt: skip
LOOKS_ONLY = {
    "previewGrant", "previewQuota", "previewPersonLimits", "previewLoan", "checkRealm",
}  # fmt: skip
NEEDS = {"limit", "cursor", "fields", "sort"}
BY_THE_DATABASE = {
    "listAudit": {"sort"},  # always the newest first: it only grows
    "listArticles": {"sort"},  # by title, or what fits the search best first
    "listGroupMembers": {"sort"},  # by name
    "listRecordings": {"sort"},  # always the newest first
}
"""What these lists cannot do, because they are read page by page in one order."""


def test_the_contract_keeps_the_rules_of_openapi() -> None:
    validate(WHOLE)


def _parameters(told) -> dict[str, dict]:
    found = [contract.resolved(WHOLE, one) for one in told.get("parameters", ())]
    return {one["name"]: one for one in found}


def _success(told):
    code = next(code for code in told["responses"] if code.startswith("2"))
    return code, contract.resolved(WHOLE, told["responses"][code])


def _schema(told):
    kinds = _success(told)[1].get("content", {})
    return contract.resolved(WHOLE, kinds.get("application/json", {}).get("schema", {}))


def _named(methods):
    return [name for name, (method, _) in CALLS.items() if method in methods]


@pytest.mark.parametrize("name", _named({"put", "patch", "delete"}))
def test_what_changes_or_ends_a_thing_takes_if_match(name):
    takes = "If-Match" in _parameters(CALLS[name][1])
    assert takes != (name in NOTHING_TO_OVERWRITE), (
        f"let {name} take parameters/IfUnchanged (api/versions compares), and let the GET of its "
        "address, or of one above it, have the header ETag"
    )


def test_who_takes_if_match_has_a_version_to_name():
    blind = [call.operation_id for call in contract.calls().values() if call.guarded]
    shown = {call.operation_id: call.shown_by for call in contract.calls().values()}
    assert [name for name in blind if not shown[name]] == []


@pytest.mark.parametrize("name", _named({"post"}))
def test_what_is_posted_is_done_once(name):
    takes = "Idempotency-Key" in _parameters(CALLS[name][1])
    assert takes != (name in LOOKS_ONLY), (
        f"let {name} take parameters/IdempotencyKey (api/creation keeps the answer)"
    )


@pytest.mark.parametrize(
    "name",
    [one for one in _named({"get"}) if "items" in _schema(CALLS[one][1]).get("properties", {})],
)
def test_every_list_comes_in_pages_in_order_and_with_chosen_fields(name):
    told = CALLS[name][1]
    missing = NEEDS - _parameters(told).keys()
    assert missing == BY_THE_DATABASE.get(name, set()), (
        f"{name} returns a Listing (api/lists), which does all of it by the parameters"
    )
    assert {"items", "next"} <= set(_schema(told)["required"])
