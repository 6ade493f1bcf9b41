"""A resolver whose names mean what a test says, and something else the next time if it says so."""

from collections.abc import Sequence
from ipaddress import ip_address

from stores.egress import Address, Unreachable


class ScriptedResolver:
    """`names` maps a host to its answers: each a list of addresses; the last one stays."""

    def __init__(self, names: dict[str, list[list[str]]]) -> None:
        self._names = {name: list(answers) for name, answers in names.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        answers = self._names.get(host)
        if not answers:
            raise Unreachable(f"The host {host!r} has no address. Check how it is spelt.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(address) for address in answer]
