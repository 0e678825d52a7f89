"""What the agent is told when it calls one of the claim's tools: sentences for a model that talks to the caller."""

from __future__ import annotations

import json

from service.claim.claim import Claim

ASK_WHY = "Ask the caller for it, or whether they do not know it."
NOTHING_FOUND = (
    "No claim is kept under that reference and that name. Ask the caller to say the reference again, character by"
    " character, and to spell the policyholder's name; without them take the details down anew."
)
BE_PATIENT = "Wait for the answers to the calls before this one."
NOT_NOW = "Kept claims cannot be looked up now. Take the details down anew."
TOO_MANY_TRIES = "No more references may be tried on this call. Take the details down anew."
NO_ROOM = "This call holds as many claims as it may. Ask the caller to call again for this one."


def submitted(claim: Claim) -> str:
    """It was accepted, now or before."""
    return (
        f"Submitted. Its reference is {claim.reference}. Tell the caller the reference character by character, so that"
        " they can note it."
    )


def not_submitted(claim: Claim) -> str:
    """What is in the way."""
    lines = [_what_is_open(claim, name) for name in claim.missing()]
    return "Not submitted yet: " + " ".join(lines) + " Then call submit_claim again."


def paused(claim: Claim) -> str:
    """It is kept."""
    return (
        f"Kept. Its reference is {claim.reference}. Tell the caller the reference character by character, and that they"
        " can call again with it and the policyholder's name to go on."
    )


def resumed(claim: Claim) -> str:
    """What was kept: for the agent to go on with."""
    values = json.dumps(claim.values(), ensure_ascii=False)
    if claim.state == "submitted":
        return f"This claim was submitted. Noted so far: {values}. Ask what the caller wants to add."
    missing = " ".join(_what_is_open(claim, name) for name in claim.missing())
    return f"Noted so far: {values}. Still open: {missing or 'nothing.'} Go on with what is open."


def _what_is_open(claim: Claim, name: str) -> str:
    state = claim.fields.get(name)
    match state:
        case None:
            return f"{name}: not asked yet. {ASK_WHY}"
        case _ if state.conflict is not None:
            return (
                f"{name}: you read back {state.conflict.agent}, and the transcript of what the caller said has"
                f" {state.conflict.caller or 'nothing like it'}. Ask the caller to say it once more, read it back, and"
                " have it confirmed."
            )
        case _ if state.value is not None:
            value = json.dumps(state.value, ensure_ascii=False)
            return f"{name}: {value} is not confirmed. Read it back and ask whether it is right."
    return f"{name}: not known yet. {ASK_WHY}"
