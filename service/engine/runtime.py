"""How the engine's networks are run: onnxruntime, one thread per session, no spinning, no carrier imported."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Session = Any
"""An onnxruntime.InferenceSession; the wheel has no types. `run` may be called from several threads at once."""


def load_session(model: Path | bytes) -> Session:
    """Load a network for the CPU, from a file (.onnx, .ort) or the bytes of one."""
    import onnxruntime  # noqa: PLC0415  half a second that only the engine pays

    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, _options(), providers=["CPUExecutionProvider"])


def to_onnx(ort_file: Path) -> bytes:
    """The ONNX form of a network in onnxruntime's own .ort format, unoptimised; passes through memory, not the disk."""
    import onnxruntime  # noqa: PLC0415  half a second that only the engine pays

    options = _options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ONNX")
    with os.fdopen(os.memfd_create("onnx"), "rb") as file:
        options.optimized_model_filepath = f"/proc/self/fd/{file.fileno()}"
        onnxruntime.InferenceSession(str(ort_file), options, providers=["CPUExecutionProvider"])
        file.seek(0)
        return file.read()


def package_folder(package: str, distribution: str) -> Path:
    """Folder of an installed package that only carries weights, without importing it.

    Raises ModuleNotFoundError, naming the distribution to install.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"The embedded engine needs {distribution}; install it with: pip install 'claimline[local]'", name=package
        )
    return Path(spec.origin).parent


def return_freed_memory() -> None:
    """Give the pages that loading left behind (about 270 MB) back to the system, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _options() -> Any:
    import onnxruntime  # noqa: PLC0415  half a second that only the engine pays

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
