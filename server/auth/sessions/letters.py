"""What people are told by mail about their accounts. Nothing of it was written by whoever asked for it to be sent."""

from dataclasses import dataclass

from server.mail.letter import Letter

PASSWORD_RESET = "password_reset"
PASSWORD_CHANGED = "password_changed"
REGISTRATION = "registration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """`public_url` is where the API answers; `account_page`, if there is one, a page that takes tokens after a #."""

    public_url: str
    account_page: str | None = None

    def password_reset(self, email: str, token: str) -> Letter:
        how = self._how(
            PASSWORD_RESET, token, "/api/v1/auth/password/reset/confirm", f'{{"token": "{token}", "new_password": "…"}}'
        )
        return Letter(
            recipient=email,
            subject="Reset your password",
            text=f"Somebody, we hope you, has forgotten the password of your account at {self.public_url}.\n\n"
            f"{how}\n\nIt works once, within an hour, and ends all your sessions. A second factor is still asked for.\n"
            "If it was not you, there is nothing to do: nothing has changed.\n",
        )

    def password_changed(self, email: str) -> Letter:
        return Letter(
            recipient=email,
            subject="Your password was reset",
            text=f"The password of your account at {self.public_url} was just reset by a mail to this address, and\n"
            "all your sessions have ended. If it was not you, somebody reads your mail: reset the password again, and\n"
            "tell whoever runs this system.\n",
        )

    def registration(self, email: str, token: str) -> Letter:
        how = self._how(
            REGISTRATION, token, "/api/v1/auth/register/confirm", f'{{"token": "{token}", "password": "…"}}'
        )
        return Letter(
            recipient=email,
            subject="Confirm your registration",
            text=f"Somebody, we hope you, has registered this address at {self.public_url}.\n\n"
            f"{how}\n\nThe password is the one that was chosen then: without it nobody can confirm. It works once,\n"
            "within a day. If it was not you, there is nothing to do: there is no account.\n",
        )

    def registered_already(self, email: str) -> Letter:
        return Letter(
            recipient=email,
            subject="You have an account already",
            text=f"Somebody, perhaps you, has tried to register this address at {self.public_url}. You have an\n"
            "account there already: log in, or ask for a new password at\n\n"
            f"    POST {self.public_url}/api/v1/auth/password/reset\n\n"
            "If it was not you, there is nothing to do: nothing has changed.\n",
        )

    def _how(self, purpose: str, token: str, path: str, body: str) -> str:
        if self.account_page is not None:
            # Behind the #: no server's log, and no Referer, ever has it.
            return f"Go on here:\n\n    {self.account_page}#{purpose}={token}"
        return f"Send the token to go on:\n\n    POST {self.public_url.rstrip('/')}{path}\n    {body}"
