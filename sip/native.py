"""C functions of PJSIP that pjsua2 does not wrap, called in the loaded extension itself."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from pjsua2 import _pjsua2

from service.errors import ConfigError


def silence_start() -> None:
    """Stop PJSIP from printing to standard output before it knows its log settings."""
    set_level = _function("pj_log_set_level")
    if set_level is not None:
        set_level(0)


def call_slots() -> int:
    """Calls that this build can hold (PJSUA_MAX_CALLS), once `libInit` has clamped a larger wish.

    Raises `ConfigError` where the build hides the function.
    """
    max_count = _function("pjsua_call_get_max_count")
    if max_count is None:
        raise ConfigError("this pjsua2 build does not tell how many calls it can hold: set sip.pjsua_slots")
    return int(max_count())


def used_slots() -> int | None:
    """Slots that are taken now, also by calls that are being refused. May be called on any thread.

    None where the build hides the function.
    """
    count = _function("pjsua_call_get_count")
    return None if count is None else int(count())


def respond_in_dialog(received: Any, code: int) -> None:
    """Answer a request inside a dialog; `received` is the `pjRxData` of pjsua2's `SipRxData`.

    Where the build hides the functions, PJSIP answers by itself.
    """
    dialog_of, respond = _function("pjsip_rdata_get_dlg"), _function("pjsip_dlg_respond")
    if dialog_of is None or respond is None:
        return
    dialog_of.restype = ctypes.c_void_p
    request = ctypes.c_void_p(int(received))
    dialog = dialog_of(request)
    if dialog:
        respond(ctypes.c_void_p(dialog), request, code, None, None, None)


def _function(name: str) -> Any:
    return getattr(_extension(), name, None)


@cache
def _extension() -> ctypes.CDLL:
    return ctypes.CDLL(str(_pjsua2.__file__))
