"""The SIP side: the only code that imports pjsua2."""
