"""What a run shows while it runs: a line a phase, a line a fault. Moving on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console


class Progress:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    @contextmanager
    def phase(self, name: str, doing: str) -> Iterator[list[str]]:
        """Shows ``doing`` while it lasts, then the phase's line; texts appended to what is yielded end that line."""
        started = time.monotonic()
        results: list[str] = []
        if self._console.is_terminal:
            with self._console.status(f"[bold]{name:<8}[/bold] {doing}"):
                yield results
        else:
            yield results
        took = f"{time.monotonic() - started:6.1f} s"
        self._console.print(f"[bold]{name:<8}[/bold] {took}  {', '.join(results) or doing}", markup=True)

    def line(self, text: str) -> None:
        self._console.print(f"                   {text}", markup=False)

    def plain(self, text: str) -> None:
        self._console.print(text, markup=False)
