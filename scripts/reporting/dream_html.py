"""One HTML file of a page's sources and data: nothing is left to fetch."""

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from reporting.dream_data import PageData

SOURCES = Path(__file__).parent / "dream_page"
WORKER = ("dream.js", "worker.js")  # runs in the Web Worker
INTERFACE = ("ui.js", "charts.js", "play.js", "look.js", "main.js")
KINDS = {"float16": "f2", "float32": "f4", "uint8": "u1"}


def dream_html(data: PageData) -> bytes:
    """Return the page: style, scripts, description and weights (base64) in one self-contained file."""
    directory, blob = pack(data.arrays)
    spec = {**data.spec, "arrays": directory, "bytes": len(blob)}
    parts = {
        "title": html.escape(f"Inside the dream: {data.spec['words']['title']}"),
        "style": (SOURCES / "style.css").read_text(encoding="utf-8"),
        "worker": _scripts(WORKER),
        "interface": _scripts(INTERFACE),
        "spec": json.dumps(spec, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "arrays": base64.b64encode(blob).decode(),
    }
    template = (SOURCES / "page.html").read_text(encoding="utf-8")
    return re.sub(r"{{(\w+)}}", lambda found: parts[found[1]], template).encode()


def pack(arrays: dict[str, np.ndarray]) -> tuple[dict[str, dict[str, Any]], bytes]:
    """Return the directory {name: kind, offset, count} and the bytes of all arrays, little-endian, each at a multiple
    of 4."""
    directory, parts, size = {}, [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        directory[name] = {"kind": KINDS[array.dtype.name], "offset": size, "count": array.size}
        data += bytes(-len(data) % 4)
        parts.append(data)
        size += len(data)
    return directory, b"".join(parts)


def _scripts(names: tuple[str, ...]) -> str:
    source = "\n".join((SOURCES / name).read_text(encoding="utf-8") for name in names)
    assert "</script" not in source, "a script that ends itself"
    return source
