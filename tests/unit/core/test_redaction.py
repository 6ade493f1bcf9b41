"""Credentials do not get into the log, whatever line they were put into."""

import io
import json
import logging
from itertools import count
from unittest.mock import patch

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core import redaction
from core.redaction import REDACTED, redact_event, redacted, redacted_text
from core.tokens import new_api_key

KEY = new_api_key("live")
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
REFRESH = "cxr_" + "A1_-b" * 8 + "xyz"
PASSWORD = "correct horse"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"no key {KEY} there", f"no key {REDACTED} there"),
        (f"Authorization: Bearer {KEY}", REDACTED),
        (f"{{'authorization': 'Bearer {JWT}'}}", REDACTED),
        (f"refused {JWT}.", f"refused {REDACTED}"),
        (f"GET /x?refresh_token={REFRESH}&page=2", f"GET /x?refresh_token={REDACTED}&page=2"),
        (f'{{"password": "{PASSWORD}", "name": "Ada"}}', f'{{"password": {REDACTED}, "name": "Ada"}}'),
        (f"User(password='{PASSWORD}', name='Ada')", f"User(password={REDACTED}, name='Ada')"),
        ("postgresql://ada:correct@db/x", f"postgresql://{REDACTED}@db/x"),
        (f"api_key: {KEY}", f"api_key: {REDACTED}"),
        (f"the password: {PASSWORD} battery\nnext line", f"the password: {REDACTED}\nnext line"),
        (f"LogIn(mfa_code='{PASSWORD}', a=1)", f"LogIn(mfa_code={REDACTED}, a=1)"),
        (f'{{"recovery_codes": ["{PASSWORD}", "{PASSWORD}"], "a": 1}}', f'{{"recovery_codes": {REDACTED}, "a": 1}}'),
        (f"{{'tokens': ('{KEY}', '{PASSWORD}')}}", f"{{'tokens': {REDACTED}}}"),
    ],
    ids=count(),  # the key is another in each process, and the names of tests must not be
)
def test_credentials_in_text_are_found_at_sight(text: str, left: str) -> None:
    """In headers, URLs, bodies and reprs; what stands around them stays."""
    assert left in redacted_text(text)
    for secret in (KEY, JWT, REFRESH, PASSWORD, "correct"):
        assert secret not in redacted_text(text)


def test_credentials_by_name_are_found_however_deep() -> None:
    """The name's end counts; numbers stay, and so do names that only begin alike."""
    given = {
        "outer": [{"new_password": PASSWORD, "refreshToken": "x", "token_id": "t-1", "chunk_tokens": 256}],
        "client_secret": ["a", "b"],
        "note": b"Bearer abcdef",
    }
    assert redacted(given) == {
        "outer": [{"new_password": REDACTED, "refreshToken": REDACTED, "token_id": "t-1", "chunk_tokens": 256}],
        "client_secret": REDACTED,
        "note": f"Bearer {REDACTED}",
    }


def test_exceptions_are_searched_as_well() -> None:
    """Their text is a field like any other when the processor sees them."""
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[structlog.processors.format_exc_info, redact_event, structlog.processors.JSONRenderer()],
    )
    try:
        raise ValueError(f"cannot use {KEY} with password='{PASSWORD}'")
    except ValueError:
        logger.exception("request.failed")
    line = json.loads(out.getvalue())
    assert line["event"] == "request.failed"
    assert "ValueError: cannot use [redacted]" in line["exception"]
    assert KEY not in out.getvalue()
    assert PASSWORD not in out.getvalue()


def test_lines_of_libraries_are_redacted_and_become_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that logs a header does not leak it."""
    from core import log

    out = io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr("sys.excepthook", None)
    log.configure(json_lines=True)
    logging.getLogger("some.library").warning("sent %s", {"authorization": f"Bearer {KEY}"})
    line = json.loads(out.getvalue())
    assert line["event"].startswith("sent")
    assert KEY not in out.getvalue()


@given(
    name=st.sampled_from(["password", "refresh_token", "client_secret", "apiKey", "recovery_codes", "Authorization"]),
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12, max_size=40),
    shape=st.sampled_from(
        ["{n}={s}", "{n}: {s}", "'{n}': '{s}'", '{{"{n}":"{s}"}}', '"{n}": ["{s}", "{s}"]', "{n}=b'{s}'"]
    ),
    before=st.sampled_from(["", "error at 5:", "ValueError(", "a, b; "]),
)
def test_what_goes_by_a_secret_name_never_stays(name: str, secret: str, shape: str, before: str) -> None:
    """Whatever it looks like, in every way a name and a value are written together, at any depth."""
    text = f"{before} {shape.format(n=name, s=secret)}"
    assert secret not in redacted_text(text)
    assert secret not in json.dumps(redacted({"a": [{"error": text, name: secret, "b": {name: [secret]}}]}))


PIECES = [KEY, REFRESH, JWT, "Bearer", "pass", "word", "=", ": ", "://", "a@b", "Key", "api_", "tokens", " ", "\n", "x"]


@given(st.lists(st.sampled_from(PIECES)))
def test_the_quick_look_misses_nothing(parts: list[str]) -> None:
    """A text is redacted alike whether or not it was first looked at for signs of credentials."""
    text = "".join(parts)
    with patch.object(redaction, "_SIGNS", ("",)):  # every text has this sign
        searched = redacted_text(text)
    assert redacted_text(text) == searched
