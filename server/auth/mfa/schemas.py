"""What is asked of second factors, and answered."""

from pydantic import Field

from server.openapi.models import Answer, JsonBody

Code = Field(
    max_length=64,
    description="Six digits of the authenticator, or a recovery code.",
    examples=["492039"],
)


class TotpCode(JsonBody):
    code: str = Code


class TotpEnrolment(Answer):
    """Shown once. The device counts after `POST /auth/mfa/totp/confirm` with its first code."""

    secret: str = Field(description="For typing: base 32.")
    otpauth_uri: str
    qr_code: str = Field(description="The URI as a picture: an SVG as a `data:` URL.")


class RecoveryCodes(Answer):
    """Shown once. Each works one time in place of a code."""

    recovery_codes: list[str]


class TotpState(Answer):
    enabled: bool
