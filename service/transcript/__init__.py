"""The sidecar: a verbatim transcript of every caller turn, asked of the same model out of band."""
