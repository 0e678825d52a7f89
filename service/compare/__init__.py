"""`claimline compare`: recorded caller turns transcribed in every way there is, with costs and latencies."""
