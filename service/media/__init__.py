"""PCM16 on its way: resampling, playout, and the rings between PJSIP's clock thread and the loop."""
