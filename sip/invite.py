"""What an INVITE says, read out of its text. A pure parser: everything in the text comes from a stranger."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import unquote

from service.call.leg import Invite

MAX_VALUE_CHARS = 512
"""Of one header value and of one URI; what is longer is cut."""
MAX_HEADERS = 128
MAX_LINE_CHARS = 64

_COMPACT = {"f": "from", "t": "to", "i": "call-id", "v": "via"}  # RFC 3261 §7.3.3
_FOLD = re.compile(r"\r?\n[ \t]+")  # RFC 3261 §7.3.1
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"?')
_TRANSPORTS: dict[str, Literal["udp", "tcp", "tls"]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}


def parse_invite(message: str, source: str, record_headers: Iterable[str]) -> Invite:
    """Read one request.

    `message` is the request as it came, `source` its address as PJSIP prints it (``host:port``, ``[v6]:port``),
    `record_headers` the names to keep, in the spelling the record shall have. Never raises: what cannot be read is
    empty.
    """
    head = _FOLD.sub(" ", message[:65536].partition("\r\n\r\n")[0])
    request_line, *lines = re.split(r"\r?\n", head, maxsplit=MAX_HEADERS + 1)
    found: dict[str, list[str]] = {}
    for line in lines[:MAX_HEADERS]:
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            found.setdefault(_COMPACT.get(key, key), []).append(value.strip())

    def first(name: str) -> str:
        return found.get(name, [""])[0]

    request = request_line.split()
    return Invite(
        sip_call_id=_clean(first("call-id")),
        from_uri=_uri(first("from")),
        to_uri=_uri(first("to")),
        line=_user(request[1] if len(request) > 1 else ""),
        peer=host_of(source),
        transport=_transport(first("via")),
        headers={name: _clean(", ".join(found[name.lower()])) for name in record_headers if name.lower() in found},
    )


def host_of(source: str) -> str:
    """The address out of ``host:port`` or ``[v6]:port``; empty where it is no IP address."""
    host, _, _ = source.rpartition(":")
    host = (host or source).strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)


def user_of(uri: str) -> str:
    """The user part of a SIP or tel URI, without its parameters; empty where there is none."""
    return _user(_uri(uri))


def address_in(uri: str) -> str:
    """The IP address in the host part of a SIP URI; empty where a name stands there."""
    rest = _uri(uri).partition(":")[2].rpartition("@")[2]
    host = re.split(r"[;?]", rest, maxsplit=1)[0]
    return host_of(host) or host_of(f"{host}:0")


def _clean(value: str) -> str:
    return _CONTROL.sub(" ", value[: 2 * MAX_VALUE_CHARS]).strip()[:MAX_VALUE_CHARS]


def _uri(value: str) -> str:
    """addr-spec of a name-addr: what stands in the brackets, or the bare URI without header parameters."""
    bare = _QUOTED.sub("", value[: 4 * MAX_VALUE_CHARS], count=1)
    _, bracket, rest = bare.partition("<")
    return _clean(rest.partition(">")[0] if bracket else bare.partition(";")[0])


def _user(uri: str) -> str:
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        user = rest
    elif "@" in rest:
        user = rest.partition("@")[0].partition(":")[0]
    else:
        return ""
    return _CONTROL.sub("", unquote(user.partition(";")[0][:MAX_VALUE_CHARS], errors="replace"))[:MAX_LINE_CHARS]


def _transport(via: str) -> Literal["udp", "tcp", "tls"]:
    protocol = via.split(None, 1)[0] if via.split() else ""
    return _TRANSPORTS.get(protocol.rpartition("/")[2].lower(), "udp")
