"""Which responses are open, which of them is the agent's, and which are being ignored until they end.

Only one response may write to the conversation at a time; a second is asked for when the first has ended.
"""

from __future__ import annotations

from service.realtime.commands import ResponseCancel, ResponseCreate
from service.realtime.events import Response


class Responses:
    """The agent's responses of one session. Out-of-band responses never enter here."""

    def __init__(self) -> None:
        self._open_id: str | None = None
        self._dropped_id: str | None = None
        self._asked = False
        self._wanted = False

    @property
    def speaking(self) -> bool:
        """Whether the agent has a response open."""
        return self._open_id is not None

    @property
    def busy(self) -> bool:
        """Whether a response is open or asked for."""
        return self._open_id is not None or self._asked or self._wanted

    def request(self) -> list[ResponseCreate]:
        """Ask for a response now, or as soon as the open one has ended."""
        if self._open_id is not None or self._asked:
            self._wanted = True
            return []
        self._asked = True
        self._wanted = False
        return [ResponseCreate(event_id="agent_response")]

    def refused(self) -> None:
        """The server would not create the response that was asked for."""
        self._asked = False

    def created(self, response: Response) -> None:
        """A response has begun, asked for or by the server's turn detection."""
        self._asked = False
        self._open_id = response.id

    def lost(self) -> bool:
        """The session is gone. Says whether the agent still owed words."""
        owed = self._open_id is not None or self._asked or self._wanted
        self._open_id = self._dropped_id = None
        self._asked = self._wanted = False
        return owed

    def drop(self) -> None:
        """The caller interrupts: ignore what still comes of the open response, and ask for none behind it.

        The server answers what the caller says now; a response asked for meanwhile would stand in its way.
        """
        self._dropped_id = self._open_id
        self._wanted = False

    def accepts(self, response_id: str) -> bool:
        """Whether output of this response is to be heard."""
        return response_id != self._dropped_id

    def done(self, response: Response) -> list[ResponseCreate]:
        """A response has ended; gives the request that was waiting for it, if one was."""
        if response.id == self._dropped_id:
            self._dropped_id = None
        if response.id == self._open_id:
            self._open_id = None
        return self.request() if self._wanted and self._open_id is None else []

    def cancel(self) -> list[ResponseCancel]:
        """End the open response early, and ask for no other."""
        self._wanted = False
        return [ResponseCancel(event_id="cancel_agent", response_id=self._open_id)] if self._open_id else []
