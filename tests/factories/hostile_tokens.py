"""Tokens that must never be believed, each with its name, made from one that is."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

from jwt import PyJWK, PyJWS

from core.tokens import new_api_key
from vault.keys import SigningKeyPair, new_signing_key_pair

_JWE = b'{"alg":"dir","enc":"A256GCM"}'

Sign = Callable[[bytes], bytes]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def signer(pair: SigningKeyPair) -> Sign:
    """Return what signs with Ed25519."""
    key = PyJWK({"kty": "OKP", "crv": "Ed25519", "x": pair.public, "d": pair.private}, algorithm="EdDSA")

    def sign(message: bytes) -> bytes:
        # PyJWT signs header.payload; its algorithm signs any bytes.
        return PyJWS(algorithms=["EdDSA"]).get_algorithm_by_name("EdDSA").sign(message, key.key)

    return sign


def forged(header: Any, payload: Any, sign: Sign) -> str:
    """Return a token of any header and payload (bytes are taken as they are), rightly signed."""
    parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)]
    message = ".".join(parts)
    return f"{message}.{b64(sign(message.encode()))}"


def rightly_signed(token: str, sign: Sign) -> Iterator[tuple[str, str]]:
    """Yield tokens signed with the installation's own key: only what they say is wrong."""
    header, claims = (json.loads(raw(part)) for part in token.split(".")[:2])
    now = int(time.time())
    for name in claims:
        yield f"without {name}", forged(header, {k: v for k, v in claims.items() if k != name}, sign)
    for name in ("exp", "nbf", "iat"):
        for value in (
            True,
            str(claims[name]),
            float(claims[name]),
            None,
            [claims[name]],
            -1 if name == "exp" else 10**20,
        ):
            yield f"{name} is {value!r}", forged(header, claims | {name: value}, sign)
    for name in ("iss", "aud", "sub", "jti", "sid", "tenant"):
        for value in (1, None, [claims[name]], "", f"{claims[name]} ", f"{claims[name]}\0"):
            yield f"{name} is {value!r}", forged(header, claims | {name: value}, sign)
    for name in ("sub", "sid"):
        yield f"another {name}", forged(header, claims | {name: str(uuid4())}, sign)
    yield "expired", forged(header, claims | {"iat": now - 1000, "nbf": now - 1000, "exp": now - 100}, sign)
    yield "not yet", forged(header, claims | {"nbf": now + 60}, sign)
    yield "issued in the future", forged(header, claims | {"iat": now + 60, "exp": now + 120}, sign)
    yield "lives a year", forged(header, claims | {"exp": now + 365 * 86_400}, sign)
    yield "other issuer", forged(header, claims | {"iss": "https://evil.example"}, sign)
    yield "other audience", forged(header, claims | {"aud": "https://evil.example"}, sign)
    yield "a claim more", forged(header, claims | {"admin": True}, sign)
    text = json.dumps(claims)
    yield "a claim twice", forged(header, (text[:-1] + f', "sub": "{claims["sub"]}"}}').encode(), sign)
    yield "NaN", forged(header, text.replace(str(claims["exp"]), "NaN").encode(), sign)
    yield "claims are a list", forged(header, [claims], sign)
    yield "claims are no JSON", forged(header, b"{", sign)
    yield "claims are no UTF-8", forged(header, b"\xff" + text.encode(), sign)
    yield "nested deep", forged(header, b"[" * 900, sign)
    kid = header["kid"]
    for wrong in ("../../etc/passwd", "", None, 1, [kid], kid.upper(), f"{kid}\0", str(uuid4()), "' OR 1=1 --"):
        yield f"kid is {wrong!r}", forged(header | {"kid": wrong}, claims, sign)
    for more in ("jku", "x5u", "jwk", "x5c", "crit", "zip", "cty", "b64"):
        yield f"header has {more}", forged(header | {more: "https://evil.example/keys"}, claims, sign)
    for alg in ("none", "None", "", "HS256", "RS256", "ES256", "PS512", "eddsa", "EDDSA", "Ed25519", None, ["EdDSA"]):
        yield f"alg is {alg!r}", forged(header | {"alg": alg}, claims, sign)
    for typ in ("JWT", "at+JWT", "AT+JWT", "application/at+jwt", None, ""):
        yield f"typ is {typ!r}", forged(header | {"typ": typ}, claims, sign)
    for name in header:
        yield f"header without {name}", forged({k: v for k, v in header.items() if k != name}, claims, sign)
    yield "alg twice", forged(b'{"alg":"none",' + json.dumps(header).encode()[1:], claims, sign)
    yield "huge", forged(header, claims | {"iss": "a" * 3_000}, sign)


def wrongly_signed(token: str, public: str) -> Iterator[tuple[str, str]]:
    """Yield what somebody can make who has a token and the public key."""
    head, body, signature = token.split(".")
    header, claims = json.loads(raw(head)), json.loads(raw(body))
    message = f"{head}.{body}"
    yield "other key", forged(header, claims, signer(new_signing_key_pair()))
    for secret in (public.encode(), raw(public), b"", b"secret"):

        def hs256(signed: bytes, secret: bytes = secret) -> bytes:
            return hmac.digest(secret, signed, hashlib.sha256)

        yield f"HS256 with {len(secret)} bytes", forged(header | {"alg": "HS256"}, claims, hs256)
    for alg in ("none", "NONE", "nOnE"):
        yield f"{alg}, unsigned", forged(header | {"alg": alg}, claims, lambda _: b"")
    own = new_signing_key_pair()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": own.public}
    yield "brings its own key", forged(header | {"jwk": jwk}, claims, signer(own))
    yield "stripped", f"{message}."
    yield "stripped with its dot", message
    yield "zero signature", f"{message}.{b64(bytes(64))}"
    yield "short signature", f"{message}.{signature[:-2]}"
    yield "long signature", f"{token}AA"
    yield "padded", f"{token}=="
    # 64 bytes leave four bits of the last character unused.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield "non-canonical", token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    yield "other claims", f"{head}.{b64(json.dumps(claims | {'sub': str(uuid4())}).encode())}.{signature}"
    yield "upper case", token.upper()
    yield "lower case", token.lower()
    yield "swapped case", token.swapcase()
    yield "turned around", token[::-1]
    yield "twice", f"{token}.{token}"
    yield "JWE", f"{b64(_JWE)}..{b64(bytes(12))}.{b64(bytes(40))}.{b64(bytes(16))}"
    yield "in quotes", f'"{token}"'
    yield "a space inside", token.replace(".", ". ", 1)
    yield "four parts", f"{token}.{signature}"
    yield "standard base64", token.replace("-", "+").replace("_", "/") + "/"
    yield "only dots", ".."
    yield "one character", "a"
    yield "huge", "a" * 6_000
    key = new_api_key("live")
    yield "a key of nobody", key
    yield "a key with a wrong checksum", key[:-1] + ("a" if key[-1] != "a" else "b")
    yield "a key in upper case", key.upper()
    yield "only a key's prefix", "cxk_"
    yield "a full-width letter", token.replace("e", "\uff45", 1)
    yield "an invisible character", f"{token}\u200b"
