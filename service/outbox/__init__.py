"""Messages for the claims-intake endpoint: kept before they are sent, sent in the order of their call."""
