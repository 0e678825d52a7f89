"""`claimline check`: tries everything that the configuration names, and says what to mend."""
