"""What an execution may still spend: reserved before a call, settled after it."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Budget:
    """In millionths. A call of which nobody knows the price is reserved at that of the dearest one so far."""

    most_micros: int | None
    spent_micros: int = 0
    reserved_micros: int = 0
    dearest_micros: int = 0

    def reserve(self, micros: int | None) -> int | None:
        """Set aside what a call may cost; None if there is no room for it."""
        wanted = self.dearest_micros if micros is None else micros
        if self.most_micros is not None:
            left = self.most_micros - self.spent_micros - self.reserved_micros
            # The first call goes if anything is left: its price is not known before.
            if left <= 0 or wanted > left:
                return None
        self.reserved_micros += wanted
        return wanted

    def settle(self, reserved: int, cost_micros: int) -> None:
        self.reserved_micros -= reserved
        self.spent_micros += cost_micros
        self.dearest_micros = max(self.dearest_micros, cost_micros)
