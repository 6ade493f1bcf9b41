"""Letters laid into a folder, where no mail server is named: whoever runs the machine reads them there."""

import asyncio
import os
from datetime import datetime
from pathlib import Path

from server.mail.letter import Letter, message_of

_SENDER = "codexos@localhost"


class FolderCarrier:
    """A file a letter, `<mail id>.eml`, for its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def carry(self, letter: Letter, *, mail_id: str, posted_at: datetime) -> None:
        message = message_of(letter, sender=_SENDER, mail_id=mail_id, posted_at=posted_at)
        await asyncio.to_thread(self._lay, f"{mail_id}.eml", bytes(message))

    def _lay(self, name: str, text: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(self._folder / name)
