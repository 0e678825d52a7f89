"""The embedded engine's brain: a deterministic claims-intake dialogue. It is no language model.

``table`` decides what to do with each kind of answer, ``script`` what comes next, ``hearing`` what was said,
``wording`` how to say it; ``dialogue`` joins them and keeps the state of one call.
"""

from service.engine.dialogue.claim import Claim
from service.engine.dialogue.dialogue import Dialogue, Reply, ToolCall

__all__ = ["Claim", "Dialogue", "Reply", "ToolCall"]
