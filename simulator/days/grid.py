"""Numbers on a grid of time, a block at a time: a day of any length keeps a few blocks, and draws any other anew.

What is remembered of a block is the state that its generator had there: one in 4,096 steps, whatever the steps hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

import numpy as np

BLOCK: Final = 4_096  # steps
_KEPT: Final = 8  # blocks; with steps of a second, nine hours

Draw: TypeAlias = Callable[[np.random.Generator, int], np.ndarray]
T = TypeVar("T")


def blocks_of(steps: int) -> int:
    return -(-steps // BLOCK)


def steps_in(number: int, steps: int) -> int:
    """How many of a grid's ``steps`` are in this block."""
    return min(BLOCK, steps - number * BLOCK)


class Draws:
    """The generator's next draws, a block after the other, which leaves it where it is after all of them.

    The generator is a PCG64, whose state is one number and half a drawn one.
    """

    __slots__ = ("_again", "_draw", "_states")

    def __init__(self, rng: np.random.Generator, blocks: int, draw: Draw) -> None:
        """``draw(rng, number)`` draws block ``number``, the same from the same state."""
        self._draw = draw
        self._states: list[tuple[int, int, int]] = []
        self._again = np.random.Generator(np.random.PCG64(0))
        self._again.bit_generator.state = rng.bit_generator.state
        for number in range(blocks):
            state = rng.bit_generator.state
            self._states.append((state["state"]["state"], state["has_uint32"], state["uinteger"]))
            draw(rng, number)

    def block(self, number: int) -> np.ndarray:
        state, has_uint32, uinteger = self._states[number]
        before = self._again.bit_generator.state
        self._again.bit_generator.state = {
            **before,
            "state": {**before["state"], "state": state},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }
        return self._draw(self._again, number)


def normal_draws(rng: np.random.Generator, steps: int) -> Draws:
    """A standard normal number for each step."""
    return Draws(rng, blocks_of(steps), lambda again, number: again.standard_normal(steps_in(number, steps)))


class Blocks(Generic[T]):
    """The latest few of a grid's blocks. ``kept[number] or make(number)`` is the block, without a call when kept."""

    __slots__ = ("_build", "_order", "kept")

    def __init__(self, blocks: int, build: Callable[[int], T]) -> None:
        self._build = build
        self._order: deque[int] = deque()
        self.kept: list[T | None] = [None] * blocks

    def make(self, number: int) -> T:
        if len(self._order) == _KEPT:
            self.kept[self._order.popleft()] = None
        self._order.append(number)
        block = self.kept[number] = self._build(number)
        return block
