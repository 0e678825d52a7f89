"""The responses of a session, from request to `response.done`: one in the conversation, others beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from service.engine.client_events import ItemReference, ResponseParams
from service.engine.context_window import fitting, input_limit
from service.engine.conversation import Conversation, Item, Message, item_from
from service.engine.effects import Hush, Speak
from service.engine.exchange import Exchange, Stimulus, after_last_answer, stimuli
from service.engine.hearings import Hearings
from service.engine.outlet import Outlet
from service.engine.ports import ToolCall
from service.engine.rates import WIRE_HZ, Pcm16, milliseconds
from service.engine.refusal import Refusal
from service.engine.response_settings import ResponseSettings, response_settings
from service.engine.response_stream import NewId, ResponseStatus, ResponseStream
from service.engine.session_config import SessionConfig
from service.engine.usage import Cached, Prompt, PromptCache, ResponseUsage, first_tokens, prompt, text_tokens
from service.engine.utterance import Utterance, sentences, words

MAX_OUT_OF_BAND = 16
"""Responses side by side, beside the main one."""
RATE_LIMIT_TOKENS = 15_000_000
"""Per minute; told as the service tells it, never enforced."""
NO_LANGUAGE_MODEL = (
    "I am sorry: this embedded engine is no language model. "
    "Out of band it only writes down what it hears in audio items."
)

SUMMARY = "summary"
"""`purpose` in the metadata of a response that is to sum up what it is given."""

CancelReason: TypeAlias = Literal["turn_detected", "client_cancelled"]
Task: TypeAlias = Literal["answer", "transcript", "arguments", "summary"]
"""What a response does: the main one answers; beside it the last turn is written down, a function's arguments are
filled, or the messages are summed up."""


@dataclass(slots=True)
class _Job:
    """A response on its way."""

    stream: ResponseStream
    task: Task
    items: Sequence[Item]
    """What it sees."""
    request: Prompt
    cached: Cached
    answers: tuple[Stimulus, ...]
    """What it needs the words of. The main response answers all that is open."""
    inline_ids: tuple[str, ...]
    """Of items that came with the request."""
    utterance: Utterance | None = None
    tool: ToolCall | None = None

    @property
    def main(self) -> bool:
        """Whether it writes to the conversation."""
        return self.task == "answer"

    def awaited(self) -> tuple[str, ...]:
        """Items whose words it needs."""
        return tuple(stimulus.item_id for stimulus in self.answers if stimulus.kind == "audio")


class Responses:
    """All responses of one session."""

    def __init__(
        self, conversation: Conversation, hearings: Hearings, exchange: Exchange, outlet: Outlet, new_id: NewId
    ) -> None:
        self._conversation = conversation
        self._hearings = hearings
        self._exchange = exchange
        self._outlet = outlet
        self._new_id = new_id
        self._cache = PromptCache()
        self._jobs: dict[str, _Job] = {}
        self._left_out: frozenset[str] = frozenset()
        """Items that became too old for the conversation's requests; they do not come back."""
        self._playback_end_s = 0.0
        self.audio_sent = False
        """The voice has been heard; it cannot change any more."""
        self.quiet_since_s: float | None = None
        """When the playback of the last answer ended, or will end; None while one is on its way."""

    @property
    def main_active(self) -> bool:
        """A response to the conversation is on its way."""
        return self._main() is not None

    def awaits(self, item_id: str) -> bool:
        """Some response needs the words of that item."""
        return any(item_id in job.awaited() for job in self._jobs.values())

    def create(self, params: ResponseParams, config: SessionConfig, now_s: float) -> None:
        """Begin a response. Raises Refusal, before anything is sent."""
        main = params.conversation != "none"
        self._refuse_too_many(main=main)
        items, inline = self._context(params)
        settings = response_settings(params, config)
        task = _task(settings, main=main)
        fixed = prompt(settings.instructions, settings.tools, ())
        seen = fitting(
            items,
            limit_tokens=input_limit(config.model),
            fixed_tokens=sum(segment.tokens for segment in fixed),
            truncation=config.truncation,
        )
        if main and params.input is None:
            self._left_out = frozenset(item.id for item in self._conversation.items) - {item.id for item in seen}
        answers = self._exchange.unanswered if main and params.input is None else _needed(task, seen)
        request = prompt(settings.instructions, settings.tools, seen)
        cached = self._cache.ask("main" if main else f"out of band {settings.instructions}", request)
        stream = ResponseStream(self._conversation if main else None, settings, self._outlet.emit, self._new_id)
        job = _Job(stream, task, seen, request, cached, tuple(answers), tuple(item.id for item in inline))
        self._jobs[stream.id] = job
        if main:
            self.quiet_since_s = None
        stream.created()
        self._listen(job, items)
        self._advance(job, now_s)

    def cancel(self, response_id: str | None, reason: CancelReason, now_s: float) -> bool:
        """Cancel that response, or the main one; False where there is none."""
        job = self._main() if response_id is None else self._jobs.get(response_id)
        if job is None:
            return False
        if job.utterance is not None:
            job.utterance.cut_off = True
            self._outlet.add([Hush(job.stream.id)])
        self._finish(job, "cancelled", {"type": "cancelled", "reason": reason}, now_s)
        return True

    def heard(self, item_id: str, now_s: float) -> None:
        """The words of an item are known."""
        for job in tuple(self._jobs.values()):
            if item_id in job.awaited():
                self._advance(job, now_s)

    def voiced(self, response_id: str, sentence: int, pcm: Pcm16, now_s: float) -> None:
        """Audio (n,) of a sentence of `Speak`, counted from 0."""
        job = self._jobs.get(response_id)
        if job is None or job.utterance is None or not pcm.size:
            return
        _begin_sentence(job, job.utterance, sentence)
        job.stream.audio(pcm)
        job.utterance.voiced_ms[sentence] += milliseconds(pcm.size)
        self.audio_sent = True
        if job.main:
            self._playback_end_s = max(self._playback_end_s, now_s) + pcm.size / WIRE_HZ
        limit = job.stream.settings.max_output_tokens
        if limit != "inf" and job.stream.output_audio_tokens + job.stream.output_text_tokens >= limit:
            self._outlet.add([Hush(job.stream.id)])
            self._exhaust(job, now_s)

    def voice_ended(self, response_id: str, now_s: float, *, failed: bool) -> None:
        """All sentences of `Speak` were voiced, or the voice failed."""
        job = self._jobs.get(response_id)
        if job is None or job.utterance is None:
            return
        if failed:
            self._fail(job, "The voice failed.", now_s)
            return
        for sentence in range(len(job.utterance.sentences)):
            _begin_sentence(job, job.utterance, sentence)
        self._finish(job, "completed", None, now_s)

    def _main(self) -> _Job | None:
        return next((job for job in self._jobs.values() if job.main), None)

    def _refuse_too_many(self, *, main: bool) -> None:
        active = self._main()
        if main and active is not None:
            message = (
                f"Conversation already has an active response in progress: {active.stream.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise Refusal("conversation_already_has_active_response", message)
        if not main and sum(not job.main for job in self._jobs.values()) >= MAX_OUT_OF_BAND:
            message = f"At most {MAX_OUT_OF_BAND} out-of-band responses may run side by side."
            raise Refusal("rate_limit_exceeded", message)
        self._conversation.refuse_if_full()

    def _context(self, params: ResponseParams) -> tuple[Sequence[Item], Sequence[Item]]:
        """Items that the response sees, and those of them that came with it. Raises Refusal."""
        if params.input is None:
            return [item for item in self._conversation.items if item.id not in self._left_out], ()
        items: list[Item] = []
        inline: list[Item] = []
        for index, given in enumerate(params.input):
            param = f"response.input[{index}]"
            if not isinstance(given, ItemReference):
                item = item_from(given, self._new_id("item"), self._new_id("call"), param)
                inline.append(item)
                items.append(item)
                continue
            found = self._conversation.find(given.id)
            if found is None:
                message = f"Error creating response: the item with id '{given.id}' does not exist."
                raise Refusal("invalid_value", message, f"{param}.id")
            items.append(found)
        return items, inline

    def _listen(self, job: _Job, items: Sequence[Item]) -> None:
        """Have the audio recognised that this response needs and nobody has asked for yet."""
        awaited = set(job.awaited())
        for item in items:
            if item.id not in awaited or not isinstance(item, Message) or item.audio is None:
                continue
            if item.audio.pcm is not None:
                self._outlet.add(self._hearings.begin(item.id, item.audio.pcm))
            elif self._hearings.result(item.id) is None:
                self._hearings.note(item.id, item.audio.transcript or "")

    def _advance(self, job: _Job, now_s: float) -> None:
        """Go on, once all that was said to this response is known."""
        if any(self._hearings.result(item_id) is None for item_id in job.awaited()):
            return
        match job.task:
            case "answer":
                self._answer(job, now_s)
            case "transcript":
                self._write_down(job, now_s)
            case "arguments":
                self._fill(job, now_s)
            case "summary":
                said = [(item.role, self._said(item)) for item in job.items if isinstance(item, Message)]
                self._write(job, self._exchange.summary(said), now_s)

    def _answer(self, job: _Job, now_s: float) -> None:
        spoken = [stimulus.text or self._words(stimulus.item_id) or "" for stimulus in job.answers]
        settings = job.stream.settings
        answer = self._exchange.answer(job.answers, spoken, settings.instructions, settings.callable_tools)
        if answer is None:
            self._finish(job, "completed", None, now_s)
            return
        reply, job.utterance = answer
        job.tool = reply.tool
        self._say(job, job.utterance, now_s)

    def _write_down(self, job: _Job, now_s: float) -> None:
        """Out of band: the transcript of the last audio item, or the confession that there is no language model."""
        text = self._words(job.answers[-1].item_id) if job.answers else NO_LANGUAGE_MODEL
        if text is None:
            self._fail(job, "Recognition failed.", now_s)
            return
        self._write(job, text, now_s)

    def _fill(self, job: _Job, now_s: float) -> None:
        """Out of band: call the function that must be called, with what the texts yield for it."""
        name = job.stream.settings.forced_tool or ""
        text = "\n".join(item.text for item in job.items if isinstance(item, Message) and item.role == "user")
        arguments = json.dumps(dict(self._exchange.arguments(name, text)), ensure_ascii=False)
        limit = job.stream.settings.max_output_tokens
        within = arguments if limit == "inf" else first_tokens(arguments, limit)
        job.stream.call(name, within, "completed" if within == arguments else "incomplete")
        if within == arguments:
            self._finish(job, "completed", None, now_s)
        else:
            self._exhaust(job, now_s)

    def _write(self, job: _Job, text: str, now_s: float) -> None:
        # A transcript is written as heard; only what is to be spoken is cut into sentences.
        job.utterance = Utterance(sentences(text) if job.stream.settings.modality == "audio" else (text,))
        self._say(job, job.utterance, now_s)

    def _said(self, message: Message) -> str:
        """The words of a message, written or spoken."""
        spoken = message.audio
        if spoken is None:
            return message.text
        return self._words(message.id) or spoken.transcript or ""

    def _words(self, item_id: str) -> str | None:
        heard = self._hearings.result(item_id)
        return heard.text if heard else None

    def _say(self, job: _Job, utterance: Utterance, now_s: float) -> None:
        if utterance.sentences and job.stream.settings.modality == "audio":
            self._outlet.add([Speak(job.stream.id, utterance.sentences, job.stream.settings.speed)])
            return
        if utterance.sentences:
            utterance.item_id = job.stream.message()
            limit = job.stream.settings.max_output_tokens
            for word in words(" ".join(utterance.sentences)):
                if limit != "inf" and job.stream.output_text_tokens + text_tokens(word) > limit:
                    self._exhaust(job, now_s)
                    return
                job.stream.words(word)
        self._finish(job, "completed", None, now_s)

    def _exhaust(self, job: _Job, now_s: float) -> None:
        self._finish(job, "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}, now_s)

    def _fail(self, job: _Job, message: str, now_s: float) -> None:
        error = {"type": "server_error", "code": "engine_failure", "message": message}
        self._finish(job, "failed", {"type": "failed", "error": error}, now_s)

    def _finish(self, job: _Job, status: ResponseStatus, details: dict[str, Any] | None, now_s: float) -> None:
        stream = job.stream
        del self._jobs[stream.id]
        stream.end_message("completed" if status == "completed" else "incomplete")
        if status == "completed" and job.tool is not None and job.tool.name in stream.settings.callable_tools:
            stream.call(job.tool.name, json.dumps(dict(job.tool.arguments), ensure_ascii=False))
        usage = ResponseUsage(job.request, job.cached, stream.output_text_tokens, stream.output_audio_tokens)
        stream.done(status, details, usage.wire())
        self._outlet.emit("rate_limits.updated", rate_limits=[_rate_limit(usage.total_tokens)])
        for item_id in job.inline_ids:
            self._outlet.add(self._hearings.forget(item_id))
        if job.main and status == "completed":
            self.quiet_since_s = max(self._playback_end_s, now_s)


def _begin_sentence(job: _Job, utterance: Utterance, sentence: int) -> None:
    """Send the words of every sentence up to this one, ahead of its audio."""
    while len(utterance.voiced_ms) <= sentence < len(utterance.sentences):
        text = utterance.sentences[len(utterance.voiced_ms)]
        utterance.item_id = job.stream.message()
        for word in words(f" {text}" if utterance.voiced_ms else text):
            job.stream.words(word)
        utterance.voiced_ms.append(0)


def _task(settings: ResponseSettings, *, main: bool) -> Task:
    if main:
        return "answer"
    if settings.forced_tool is not None:
        return "arguments"
    return "summary" if (settings.metadata or {}).get("purpose") == SUMMARY else "transcript"


def _needed(task: Task, items: Sequence[Item]) -> Sequence[Stimulus]:
    """What a response has to know the words of, of the items it was given."""
    if task == "answer":
        return stimuli(after_last_answer(items))
    spoken = [stimulus for stimulus in stimuli(items) if stimulus.kind == "audio"]
    return {"transcript": spoken[-1:], "arguments": [], "summary": spoken}[task]


def _rate_limit(used_tokens: int) -> dict[str, Any]:
    remaining = max(0, RATE_LIMIT_TOKENS - used_tokens)
    reset_s = (RATE_LIMIT_TOKENS - remaining) * 60 / RATE_LIMIT_TOKENS
    return {"name": "tokens", "limit": RATE_LIMIT_TOKENS, "remaining": remaining, "reset_seconds": round(reset_s, 3)}
