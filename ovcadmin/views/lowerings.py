"""What lower limits take away: shown before they are set, and confirmed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.domain import amounts
from ovcadmin.domain.resources import Limits
from ovcadmin.errors import DomainError
from ovcadmin.services.limit_changes import Lowering
from ovcadmin.views.forms import Form

CONFIRMED = "confirmed"


def unconfirmed(
    request: Any, form: Form, look: Callable[[dict[str, Any]], Lowering]
) -> Lowering | None:
    """Return what a posted form would take away; None when nothing, or when it is confirmed."""
    if request.method != "POST" or CONFIRMED in request.POST or form.outdated(request):
        return None
    values = form.validate(request)
    if values is None:
        return None
    try:
        return look(values) or None
    except DomainError:
        return None  # it is told when it is to be done


def written(limits: Limits) -> dict[str, object]:
    """Return the limits that are set as `ovc` takes them."""
    return {name: amounts.write(name, limit) for name, limit in limits.items() if limit is not None}
