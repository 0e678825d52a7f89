"""Errors whose type says who is to blame."""


class ClaimlineError(Exception):
    """Base of every error that a command turns into one sentence."""


class ConfigError(ClaimlineError):
    """The configuration is wrong; the message names the setting to mend."""


class LocalProtocolError(ClaimlineError):
    """Our own code broke a protocol: a bug, loud."""


class RemoteProtocolError(ClaimlineError):
    """The far end broke a protocol: the call ends politely."""
