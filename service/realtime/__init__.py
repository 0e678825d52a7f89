"""The Realtime protocol (GA) from the client's side: events, wire, session payload, websocket."""
