"""What no view has to think of: input that cannot be text, comes twice, or is far too large.

Anything refused here is something that no page or client of ours would send; mistakes that people
make are answered by the forms, next to the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ovcadmin.errors import RequestRefused, RequestTooLarge

LARGEST_BODY = 1_000_000
LARGEST_PIECE = 8 * 2**20
"""Of a file that is sent in pieces."""
PIECE_TYPE = "application/octet-stream"
LARGEST_QUERY = 8_000
MOST_FIELDS = 2_000
WITH_FILES = frozenset({"/knowledge/pictures"})
"""Forms that send files; their views check what is in them."""
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


def check_sizes(request: Any) -> None:
    """Raise `RequestTooLarge` before anything of the body is read."""
    pieces = request.content_type == PIECE_TYPE
    largest = LARGEST_PIECE if pieces else LARGEST_BODY
    if (request.content_length or 0) > largest:
        raise RequestTooLarge(f"The request is larger than {largest // 1000} kB.", limit=largest)
    if len(request.environ.get("QUERY_STRING", "")) > LARGEST_QUERY:
        raise RequestTooLarge(f"The address is longer than {LARGEST_QUERY // 1000} kB.")


def check_text(request: Any) -> None:
    """Raise `RequestRefused` for an address, form or charset that is no text."""
    _make_readable(request.environ)
    try:
        if request.charset.lower().replace("-", "") != "utf8":
            raise RequestRefused("Text is sent as UTF-8 here.")
        fields = [request.path_info, *_flat(request.GET)]
        if request.content_type in FORM_TYPES:
            fields += _flat(request.POST)
    except (UnicodeError, LookupError, ValueError) as error:
        raise RequestRefused("The request holds bytes that are no UTF-8 text.") from error
    if len(fields) > 2 * MOST_FIELDS:
        raise RequestTooLarge(f"The request has more than {MOST_FIELDS} fields.")
    if request.path_info in WITH_FILES:
        fields = [field for field in fields if isinstance(field, str)]
    if not all(isinstance(field, str) for field in fields):
        raise RequestRefused("No file is expected here.")
    # The parser of forms replaces what is no UTF-8; nobody types its replacement character.
    if any("\0" in field or "\ufffd" in field for field in fields):
        raise RequestRefused("The request holds characters that are no text.")


def check_repeats(request: Any, allowed: Iterable[str]) -> None:
    """Raise `RequestRefused` for a form field that is sent twice.

    Which of two values counts depends on who reads them, and that is how checks are led past what
    is then done.
    """
    if request.content_type not in FORM_TYPES:
        return
    for name in request.POST:
        if name not in allowed and len(request.POST.getall(name)) > 1:
            raise RequestRefused(f"The field “{name[:50]}” is there twice.", field=name[:50])


def _make_readable(environ: dict[str, Any]) -> None:
    """Replace bytes in the path that are no UTF-8, so that an error page can be chosen by it."""
    path = environ.get("PATH_INFO", "").encode("latin-1")
    environ["PATH_INFO"] = path.decode("utf-8", "replace").encode().decode("latin-1")


def _flat(pairs: Any) -> list[Any]:
    return [part for pair in pairs.items() for part in pair]


def deriver(view: Callable[..., Any], info: Any) -> Callable[..., Any]:
    """Pyramid view deriver; the view option `repeats` names fields that may come several times."""
    if info.exception_only:
        return view
    repeats = frozenset(info.options.get("repeats", ()))

    def checked(context: Any, request: Any) -> Any:
        check_repeats(request, repeats)
        return view(context, request)

    return checked


deriver.options = ("repeats",)  # type: ignore[attr-defined]
