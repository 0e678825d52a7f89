"""The claim: filled from the transcripts beside the call, checked by rules and against what the agent read back."""
