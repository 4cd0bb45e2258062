"""The HTML page of a report: self-contained, with everything in it also written beside it."""

import base64
import contextlib
import html
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from reporting.figures import save

from experiment.files import atomic_write

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
img,video{max-width:100%}video{width:600px;image-rendering:pixelated}h2{margin-top:2em;border-bottom:1px solid #ddd}
table{border-collapse:collapse}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}
.missing{color:#777}details{margin:.6em 0;padding-left:.5em;border-left:3px solid #ddd}summary{cursor:pointer}"""


class Page:
    """The HTML page under construction; what is added is written beside it too."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.parts, self.count = folder, [], 0
        self.failed: list[str] = []

    def heading(self, text: str, comment: str = "") -> None:
        """Start a section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2><p>{html.escape(comment)}</p>")

    @contextlib.contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Within, what fails is named on the page, which goes on without it."""
        try:
            yield
        except Exception as error:
            text = f"{what} ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
            self.failed.append(text)
            self.parts.append(f'<p class="missing">Could not be made: {html.escape(text)}</p>')

    def note(self, text: str) -> None:
        """Add a line of text."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def folded(self, head: str, text: str, details: list[tuple[str, str]]) -> None:
        """Add a head in bold and a text, with details (name, text) that open with a click."""
        rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(what)}</td></tr>" for name, what in details)
        summary = f"<summary><b>{html.escape(head)}</b><br>{html.escape(text)}</summary>"
        self.parts.append(f"<details>{summary}<table>{rows}</table></details>")

    def missing(self, text: str) -> None:
        """Say which figure could not be made, and why."""
        self.parts.append(f'<p class="missing">Not there yet: {html.escape(text)}</p>')

    def figure(self, name: str, figure: Figure, alt: str) -> None:
        """Add a Matplotlib figure, as PNG in the page, and as PNG and SVG beside it."""
        with self.attempt(f"figure {name}"):
            png = save(figure, self.folder / name)
            self._embed(f'<img alt="{html.escape(alt)}" src="data:image/png;base64,', png, '">')
        plt.close(figure)

    def video(self, name: str, frames: np.ndarray, fps: int) -> None:
        """Add an mp4 of frames uint8 [T, height, width, 3]."""
        path = self.folder / f"{name}.mp4"
        with self.attempt(f"video {name}"):
            path.unlink(missing_ok=True)  # an older one would tell of another run
            try:
                write_video(path, frames, fps)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            self._embed('<video controls loop muted src="data:video/mp4;base64,', path.read_bytes(), '"></video>')

    def dream(self, command: str) -> None:
        """Add a link to the playable dream beside the page, or the command that makes it."""
        if (self.folder / "dream.html").exists():
            self.parts.append('<p><a href="dream.html">Play in this dream</a>, in the browser.</p>')
        else:
            self.parts.append(f"<p>To play in it in the browser: <code>{html.escape(command)}</code></p>")

    def table(self, rows: list[tuple[str, ...]]) -> None:
        """Add rows of text, the first of which are the heads."""
        lines = [
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
            for tag, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
        ]
        self.parts.append("<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>")

    def _embed(self, opening: str, data: bytes, closing: str) -> None:
        self.parts.append(f"<p>{opening}{base64.b64encode(data).decode()}{closing}</p>")
        self.count += 1

    def save(self, title: str) -> Path:
        """Write the page; returns where."""
        head = f"<meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
        body = f"<h1>{html.escape(title)}</h1>" + "\n".join(self.parts)
        atomic_write(self.folder / "index.html", f"<!doctype html><html lang=en>{head}{body}</html>\n".encode())
        return self.folder / "index.html"


def write_video(path: Path, frames: np.ndarray, fps: int, scale: int = 4) -> None:
    """Write frames uint8 [T, height, width, 3] as an H.264 mp4, enlarged without smoothing; OSError for half a one."""
    import imageio_ffmpeg  # which may find no ffmpeg

    large = np.repeat(np.repeat(frames, scale, axis=1), scale, axis=2)
    size = (large.shape[2], large.shape[1])
    writer = imageio_ffmpeg.write_frames(str(path), size, fps=fps, codec="libx264", macro_block_size=8, quality=7)
    writer.send(None)
    for frame in large:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
    if b"moov" not in path.read_bytes():  # the index, which comes last: ffmpeg says on its own why it is not there
        raise OSError("ffmpeg did not finish it; is the disk full?")
