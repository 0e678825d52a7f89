"""What the server's events say about each turn and method. Pure: events and times in, outcomes out."""

from __future__ import annotations

from dataclasses import dataclass

from service.billing.ledger import Entry
from service.billing.meter import Meter
from service.compare.methods import BUILT_IN, Method
from service.compare.results import Outcome
from service.realtime.client import Received
from service.realtime.events import (
    ErrorBody,
    ItemAdded,
    Response,
    ResponseCreated,
    ResponseDone,
    ServerError,
    TranscriptionCompleted,
    TranscriptionFailed,
)

METHOD_KEY = "context"
"""The key of a request's metadata under which the server gives the method's label back."""
TIMEOUT = "timeout"


@dataclass(slots=True)
class _Cell:
    since_s: float | None = None
    response_id: str | None = None
    text: str = ""
    problem: str | None = None
    entry: Entry | None = None
    done_s: float | None = None


class Observed:
    """One session's events, as they bear on the comparison."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.caller_items: list[str] = []
        """Ids in the order in which the server added them."""
        self._cells: dict[tuple[str, Method], _Cell] = {}
        self._methods: dict[str, Method] = {}
        self._asked: dict[str, _Cell] = {}
        self._agent_ids: dict[str, str] = {}
        self._ended: set[str] = set()
        self._refused: dict[str, str] = {}
        self._step = ""

    # -- what is asked for -----------------------------------------------------------------------------------------

    def begin(self, event_id: str) -> None:
        """The next step is sent under this id; errors that name no event are put down to it."""
        self._step = event_id

    def ask(self, item_id: str, method: Method, event_id: str, now_s: float) -> None:
        """The next step is the request for the turn `item_id`."""
        self.begin(event_id)
        self._methods[method.label] = method
        cell = self._asked[event_id] = self._cell(item_id, method)
        cell.since_s = now_s

    def give_up(self, item_id: str, method: Method) -> str | None:
        """It has taken too long. What comes yet is priced, not read. Gives the id of a response that is to be ended."""
        cell = self._cell(item_id, method)
        if cell.done_s is None:
            cell.problem = TIMEOUT
        return cell.response_id

    # -- what has happened -----------------------------------------------------------------------------------------

    def refusal(self, event_id: str) -> str | None:
        """Why the server refused the event, if it did."""
        return self._refused.get(event_id)

    def settled(self, item_id: str, method: Method) -> bool:
        """Whether there is a result, or a refusal."""
        cell = self._cell(item_id, method)
        return cell.done_s is not None or cell.problem is not None

    def agent_response(self, event_id: str) -> str | None:
        """The id of the agent's response that began in this step."""
        return self._agent_ids.get(event_id)

    def agent_done(self, event_id: str) -> bool:
        """Whether the agent's response of this step is over, or was refused."""
        return event_id in self._refused or self._agent_ids.get(event_id) in self._ended

    def outcome(self, item_id: str, method: Method) -> Outcome:
        """What is known by now."""
        cell = self._cell(item_id, method)
        entry, since_s, done_s = cell.entry, cell.since_s, cell.done_s
        unknown = "no result" if done_s is None else None
        return Outcome(
            text=cell.text,
            problem=cell.problem or unknown,
            usage=entry.usage if entry else None,
            cost_usd=entry.cost.usd if entry and entry.cost else None,
            latency_s=max(0.0, done_s - since_s) if done_s is not None and since_s is not None else None,
        )

    def opened(self, seen: list[Received]) -> None:
        """The events of the session's opening, which name its models."""
        for received in seen:
            self.meter.observe(received.as_dict())

    def observe(self, received: Received, now_s: float) -> None:
        """Take in one server event."""
        entry = self.meter.observe(received.as_dict()) if received.metered else None
        match received.event:
            case ItemAdded(item=item) if item.is_caller_audio and item.id not in self.caller_items:
                self.caller_items.append(item.id)
                self._cell(item.id, BUILT_IN).since_s = now_s
            case TranscriptionCompleted(item_id=item_id, transcript=text):
                _settle(self._cell(item_id, BUILT_IN), text, None, entry, now_s)
            case TranscriptionFailed(item_id=item_id, error=error):
                _settle(self._cell(item_id, BUILT_IN), "", _code(error), entry, now_s)
            case ResponseCreated(response=response):
                if (cell := self._cell_of(response)) is not None:
                    cell.response_id = response.id
                else:
                    self._agent_ids.setdefault(self._step, response.id)
            case ResponseDone(response=response):
                self._ended.add(response.id)
                if (cell := self._cell_of(response)) is not None:
                    _settle(cell, response.text, _failure(response), entry, now_s)
            case ServerError(error=error):
                self._error(error)

    def _error(self, error: ErrorBody) -> None:
        event_id = error.event_id or self._step
        self._refused.setdefault(event_id, _code(error))
        cell = self._asked.get(event_id)
        if cell is not None and cell.done_s is None and cell.problem is None:
            cell.problem = _code(error)

    def _cell(self, item_id: str, method: Method) -> _Cell:
        return self._cells.setdefault((item_id, method), _Cell())

    def _cell_of(self, response: Response) -> _Cell | None:
        method = self._methods.get(response.tag(METHOD_KEY))
        return self._cells.get((response.tag("item_id"), method)) if method is not None else None


def _settle(cell: _Cell, text: str, problem: str | None, entry: Entry | None, now_s: float) -> None:
    cell.entry = entry or cell.entry
    if cell.done_s is None and cell.problem is None:
        cell.text, cell.problem, cell.done_s = text.strip(), problem, now_s


def _failure(response: Response) -> str | None:
    if response.status == "completed":
        return None
    details = response.status_details
    if details and details.error:
        return _code(details.error)
    return (details.reason if details else None) or response.status or "failed"


def _code(error: ErrorBody) -> str:
    return error.code or error.type or "error"
