"""Which URLs we follow: http and https, to a host, without a user in front of it."""

import httpx

from stores.egress.errors import Refused

MAX_URL_CHARACTERS = 4_000
_SCHEMES = ("http", "https")


def target(url: str) -> httpx.URL:
    """Return `url` as it will be sent. Raises Refused with a sentence; what a host means is decided on connecting."""
    if len(url) > MAX_URL_CHARACTERS:
        raise Refused(f"The URL is longer than {MAX_URL_CHARACTERS} characters.")
    if any(character.isspace() or ord(character) < 32 or character == "\\" for character in url):
        raise Refused("A URL has no spaces, control characters or backslashes. Check how it is written.")
    try:
        parsed = httpx.URL(url)
        port = parsed.port
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Refused("This is not a URL we can read. Write it as https://host/path.") from error
    _check(parsed, port)
    return parsed


def follow(current: httpx.URL, location: str) -> httpx.URL:
    """Return where a redirect leads. Raises Refused where a URL of the user's own would be, and for a way down."""
    if len(location) > MAX_URL_CHARACTERS:
        raise Refused("The page redirects to a URL that is too long.")
    try:
        following = target(str(current.join(location)))
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise Refused("The page redirects to something that is not a URL.") from error
    if current.scheme == "https" and following.scheme == "http":
        raise Refused("The page redirects from https to http, which is not followed: anybody could listen.")
    return following


def port_of(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, port_of(url)


def _check(url: httpx.URL, port: int | None) -> None:
    if url.scheme not in _SCHEMES:
        raise Refused("Only http and https are fetched. Write the URL as https://host/path.")
    if url.userinfo:
        raise Refused("A URL with a user or password in it is not fetched: it would end in logs. Leave them out.")
    if not url.host or url.host.strip(".") == "" or "%" in url.host:
        raise Refused("The URL names no host. Write it as https://host/path.")
    if port == 0:
        raise Refused("Port 0 is none. Leave the port out, or name the one that the site listens on.")
