"""What was added to version 1 of the API since it was first released, by name.

A program that needs one looks for its name here instead of comparing release numbers.  Names are
added, never taken away within a version.
"""

from __future__ import annotations

from typing import Any

from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.security.policy import SIGNED_IN

EXTENSIONS = {
    "addresses": "A card is held to one address.",
    "articles": "The knowledge base is read and written.",
    "audit": "The audit log is read and filtered.",
    "events": "Changes are told as they happen, to tokens too: GET /live/events.",
    "fields": "Lists take `fields`: only these fields of each item.",
    "grant-preview": "What giving, changing or revoking a role would mean.",
    "host-groups": "Hosts belong to a group whose workers look after them: `worker_group`.",
    "kickstarts": "An ISO and the answers of its installer under one name.",
    "loans": "Quota is lent to a pool beside until a day.",
    "logical-groups": "Named sets across the tree.",
    "measurements": "What hosts and machines used, for an hour, a day, a month.",
    "once": "Every POST takes Idempotency-Key.",
    "own": "Sessions, tokens, rights and password of one's own.",
    "person-limits": "What single persons may take in a pool.",
    "quota-preview": "What other limits of a pool would take away.",
    "rate": "A token that asks too fast is answered 429 with Retry-After.",
    "rates": "What the running machines of a pool share of CPU, drives and network.",
    "realms": "Company directories are described, tested, synchronised and deleted.",
    "roles": "Roles are made, changed and deleted.",
    "sort-by-name": "Lists that are held whole take `sort`.",
    "sort-and-search": "Lists take `sort` by any field; those with names take `q`.",
    "tags": "Words by which things are found again.",
    "unchanged": "Every change and deletion takes If-Match.",
    "users": "Users are made, changed, disabled and deleted; their sessions and tokens are ended.",
}


@endpoint("extensions", "GET", permission=SIGNED_IN)
def listing(_context: Any, _request: Any) -> Listing:
    return Listing([{"name": name, "text": text} for name, text in EXTENSIONS.items()], order="")
