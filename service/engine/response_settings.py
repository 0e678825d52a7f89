"""What holds for one response: its own parameters over the session's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.engine.client_events import ResponseParams
from service.engine.refusal import Refusal
from service.engine.session_config import (
    FunctionTool,
    MaxOutputTokens,
    NamedTool,
    SessionConfig,
    ToolChoice,
    Voice,
)


@dataclass(frozen=True, slots=True)
class ResponseSettings:
    """Everything that a request can set, set."""

    instructions: str
    tools: str
    """JSON of the tool definitions, or empty."""
    callable_tools: frozenset[str]
    forced_tool: str | None
    """The function that must be called."""
    modality: Literal["text", "audio"]
    max_output_tokens: MaxOutputTokens
    voice: Voice
    speed: float
    metadata: dict[str, str] | None


def response_settings(params: ResponseParams, config: SessionConfig) -> ResponseSettings:
    """Raises Refusal for a function that must be called and is none of the tools."""
    tools = config.tools if params.tools is None else params.tools
    choice = config.tool_choice if params.tool_choice is None else params.tool_choice
    forced = _forced(choice, [tool.name for tool in tools])
    if isinstance(params.tool_choice, NamedTool) and forced is None:
        message = f"Tool choice '{params.tool_choice.name}' not found in 'tools' parameter."
        raise Refusal("invalid_value", message, "response.tool_choice")
    output = params.audio.output if params.audio else None
    return ResponseSettings(
        instructions=config.instructions if params.instructions is None else params.instructions,
        tools=_tools_json(tools),
        callable_tools=frozenset() if choice == "none" else frozenset(tool.name for tool in tools),
        forced_tool=forced,
        modality=(params.output_modalities or config.output_modalities)[0],
        max_output_tokens=params.max_output_tokens or config.max_output_tokens,
        voice=(output and output.voice) or config.audio.output.voice,
        speed=config.audio.output.speed,
        metadata=params.metadata,
    )


def _forced(choice: ToolChoice, names: Sequence[str]) -> str | None:
    """The function that a choice leaves no way around; where any will do, the first."""
    if isinstance(choice, NamedTool):
        return choice.name if choice.name in names else None
    return names[0] if choice == "required" and names else None


def _tools_json(tools: Sequence[FunctionTool]) -> str:
    return json.dumps([tool.model_dump(exclude_none=True) for tool in tools]) if tools else ""
