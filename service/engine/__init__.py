"""The embedded engine: a Realtime server on loopback with ears, a voice and a deterministic dialogue.

It is no language model. A websocket connection (`server`) is one `session`: client events (`client_events`), recognised
text and time go in; server events and work orders (`effects`) come out. Beneath it: `turns` (the caller's audio),
`conversation` (items), `responses` and `response_stream` (their events in order), `exchange` (what the dialogue has yet
to answer), `hearings` (what was recognised), `usage` (tokens). `ports` names what it needs of `vad`, `asr`, `voice` and
`dialogue`; `main` joins them.
"""
