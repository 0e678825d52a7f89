"""claimline: a telephone voice agent that takes insurance claims."""

__version__ = "0.1.0"
