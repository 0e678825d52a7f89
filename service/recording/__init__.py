"""The recording of a call: what the line carried both ways, tapped tick by tick, as a stereo WAV."""
