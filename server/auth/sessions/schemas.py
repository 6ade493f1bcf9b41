"""What is asked of sessions, and answered."""

from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from server.auth.sessions import emails, passwords
from server.openapi.models import Answer, JsonBody

_EMAIL = Field(
    max_length=emails.LONGEST,
    description="Upper and lower case are the same.",
    examples=["ada@example.com"],
    json_schema_extra={"pattern": emails.PATTERN},
)
# How long it must be is said where a password is chosen; a shorter one here is simply wrong.
_PASSWORD = Field(min_length=1, max_length=passwords.LONGEST)
_NEW_PASSWORD = Field(
    min_length=passwords.SHORTEST, max_length=passwords.LONGEST, examples=["a long sentence of your own"]
)
_TOKEN = Field(min_length=1, max_length=200, description="The token of the mail.")
_MFA_CODE = Field(None, max_length=64, description="The second factor's code, if one is enabled.")


class _WithEmail(JsonBody):
    email: str = _EMAIL

    @field_validator("email")
    @classmethod
    def _normalised(cls, email: str) -> str:
        spelled = emails.normalised(email)
        if spelled is None:
            raise PydanticCustomError("email", "Should be an email address: one @ between two parts, no spaces")
        return spelled


class Registration(_WithEmail):
    password: str = _NEW_PASSWORD
    name: str = Field(min_length=1, max_length=200)
    tenant_name: str | None = Field(None, min_length=1, max_length=200, description="The name, if it is left out.")


class RegistrationConfirmation(JsonBody):
    token: str = _TOKEN
    password: str = Field(
        min_length=1, max_length=passwords.LONGEST, description="The one that was chosen when registering."
    )


class PasswordResetAsked(_WithEmail):
    pass


class PasswordReset(JsonBody):
    token: str = _TOKEN
    new_password: str = _NEW_PASSWORD


class LogIn(_WithEmail):
    password: str = _PASSWORD
    mfa_code: str | None = _MFA_CODE


class Refresh(JsonBody):
    refresh_token: str = Field(min_length=1, max_length=200)


class PasswordChange(JsonBody):
    current_password: str = _PASSWORD
    new_password: str = _NEW_PASSWORD
    mfa_code: str | None = _MFA_CODE


class User(Answer):
    id: str
    email: str
    name: str
    created_at: datetime


class OwnTenant(Answer):
    id: str
    name: str
    role: str


class Registered(Answer):
    user: User
    tenant: OwnTenant


class MailAccepted(Answer):
    """A mail says how it goes on. Whether the address is registered is told to whoever reads its mail only."""

    accepted: bool = True


class TokenPair(Answer):
    """The access token goes into `Authorization: Bearer …`; the refresh token works once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds the access token lives.")


class MembershipOf(Answer):
    tenant_id: str
    role: str


class InvitationOf(Answer):
    tenant_id: str
    tenant_name: str
    role: str
    created_at: datetime
    expires_at: datetime


class Me(Answer):
    subject: str = Field(description="`user:<id>` or `key:<id>`.")
    tenant_id: str | None = Field(description="The tenant this request acts in.")
    role: str | None = Field(description="The user's role there; keys have none.")
    scopes: list[str]
    memberships: list[MembershipOf]
    invitations: list[InvitationOf] = Field(description="What you may accept; the newest hundred.")


class SessionOf(Answer):
    id: str
    created_at: datetime
    expires_at: datetime
    current: bool = Field(description="Whether it is the one that asks.")


class SessionList(Answer):
    items: list[SessionOf]


class SessionEnded(Answer):
    id: str
    revoked: bool = True


class PasswordChanged(Answer):
    changed: bool = True


class PublicKey(Answer):
    kty: str = "OKP"
    crv: str = "Ed25519"
    use: str = "sig"
    alg: str = "EdDSA"
    kid: str
    x: str


class KeySet(Answer):
    keys: list[PublicKey]
