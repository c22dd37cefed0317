"""Puts what arrives into causal order: what comes early waits for what it comes after.

No clocks, no Redis: time is given, and what to do about what does not come is decided by the caller
(`absent`), by patience (`ripen`) or by the bound. The rule of delivery is that of Birman, Schiper
and Stephenson (1991), see `causal.py`; each message that waits watches one of its predecessors at a
time, so that an arrival looks at those alone that waited for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

from coordq.bus.causal import Clock, Missing, Stream

STREAMS_MAX: Final = 10_000
"""Of how many channels and publishers it is known how far they are."""
LOST_MAX: Final = 1_000
HOLES_MAX: Final = 16
"""Of one channel and publisher."""

T = TypeVar("T")


class Released(NamedTuple, Generic[T]):
    """Something that may be handed out now."""

    item: T
    missing: tuple[Missing, ...] = ()
    """Direct predecessors that did not come: it is not in order with them."""


class Loss(NamedTuple, Generic[T]):
    """A predecessor that is waited for no longer."""

    missing: Missing
    item: T
    """What was to come after it."""
    why: str
    """lost (there is none), patience, bound."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    item: T
    channel: str
    clock: Clock
    since_s: float
    watched: Stream | None = None

    @property
    def stream(self) -> Stream:
        return self.channel, self.clock.publisher


@dataclass(slots=True)
class _Hole:
    """Numbers of a stream that were not waited for: whoever comes after one may be early."""

    above: int
    upto: int
    came: set[int]
    """Those of them that came late."""


class CausalBuffer(Generic[T]):
    """What one reader was given and may not be handed out yet.

    sees: whether the reader hears a channel. bound: how many wait at most. patience_s: for how
    long. Where either ends, what is waited for counts as missing.
    """

    def __init__(self, sees: Callable[[str], bool], *, bound: int, patience_s: float) -> None:
        self.losses: list[Loss[T]] = []
        """Predecessors that were given up; whoever tells of them empties it."""
        self._sees = sees
        self._bound = bound
        self._patience_s = patience_s
        self._upto: dict[Stream, int] = {}
        self._met: set[Stream] = set()
        """Streams of which something was released; of others some may be older than we are."""
        self._returned: dict[Stream, set[int]] = {}
        self._lost: dict[Missing, None] = {}
        self._holes: dict[Stream, list[_Hole]] = {}
        self._waiting: dict[_Waiting[T], None] = {}  # in order of arrival
        self._inside: dict[Stream, dict[int, _Waiting[T]]] = {}
        self._watchers: dict[Stream, list[tuple[int, int, _Waiting[T]]]] = {}
        """Heaps: who waits for the smallest number stands first."""
        self._watches = count()
        self._out: list[Released[T]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        return (each.item for each in self._waiting)

    # -- what the reader does ------------------------------------------------------------------

    def add(self, item: T, channel: str, clock: Clock | None, now_s: float) -> list[Released[T]]:
        """Something has come; what may be handed out now, in order.

        What waits already and comes again takes its own place: it was given out anew.
        """
        if clock is None:
            return [Released(item)]
        stream = channel, clock.publisher
        same = self._inside.get(stream, {}).get(clock.number)
        if same is not None:
            same.item = item
            return []
        new = _Waiting(item, channel, clock, now_s)
        self._waiting[new] = None
        self._inside.setdefault(stream, {})[clock.number] = new
        self._lost.pop(Missing(*stream, clock.number), None)
        if self._is_free(new):
            self._release(new)
        while len(self._waiting) > self._bound:
            self._force(next(iter(self._waiting)), "bound")
        return self._taken_out()

    def gave_back(self, channel: str, clock: Clock | None) -> None:
        """It was released and not handled: it comes again, and is waited for until it does."""
        if clock is not None:
            self._returned.setdefault((channel, clock.publisher), set()).add(clock.number)

    def ripen(self, now_s: float) -> list[Released[T]]:
        """Give up what was waited for too long."""
        while self._waiting:
            oldest = next(iter(self._waiting))
            if now_s - oldest.since_s < self._patience_s:
                break
            self._force(oldest, "patience")
        return self._taken_out()

    def ripe_s(self) -> float | None:
        """When patience ends next, on the caller's clock; None when nothing waits."""
        for oldest in self._waiting:
            return oldest.since_s + self._patience_s
        return None

    def doubts(self) -> set[str]:
        """Channels from which something is waited for that is not here."""
        return {stream[0] for stream in list(self._watchers) if self._first_lacking(stream)}

    def absent(self, channels: Collection[str]) -> list[Released[T]]:
        """Nothing that was published to these by now is still to come.

        What somebody waits for was lost; or is older than this reader, when it was never given
        anything of that publisher and channel.
        """
        while lacking := [dot for dot in self._lacking() if dot[0][0] in channels]:
            for stream, each in lacking:
                number = each.clock.after[stream]
                if stream in self._met and each in self._waiting and self._is_open(stream, number):
                    self._lose(stream, number, each, "lost")
                self._go_past(stream, number)
        return self._taken_out()

    # -- how -----------------------------------------------------------------------------------

    def _taken_out(self) -> list[Released[T]]:
        out, self._out = self._out, []
        return out

    def _is_open(self, stream: Stream, number: int) -> bool:
        if not self._sees(stream[0]):
            return False
        back = self._returned.get(stream)
        return self._upto.get(stream, 0) < number or (back is not None and min(back) <= number)

    def _open(self, each: _Waiting[T]) -> Iterator[tuple[Stream, int]]:
        return (dot for dot in each.clock.after.items() if self._is_open(*dot))

    def _first_lacking(self, stream: Stream) -> _Waiting[T] | None:
        """Who waits for the smallest number of a stream, when nothing in here has to come first."""
        heap = self._watchers[stream]
        while heap and (heap[0][2] not in self._waiting or heap[0][2].watched != stream):
            heappop(heap)  # it was released by force
        if not heap:
            del self._watchers[stream]
            return None
        number, _, each = heap[0]
        inside = self._inside.get(stream)
        return None if inside is not None and min(inside) <= number else each

    def _lacking(self) -> list[tuple[Stream, _Waiting[T]]]:
        found = ((stream, self._first_lacking(stream)) for stream in list(self._watchers))
        return [(stream, each) for stream, each in found if each is not None]

    def _is_free(self, each: _Waiting[T]) -> bool:
        """Whether it waits for nothing; else it watches something that it waits for."""
        for stream, number in self._open(each):
            each.watched = stream
            heappush(self._watchers.setdefault(stream, []), (number, next(self._watches), each))
            return False
        each.watched = None
        return True

    def _freed(self, stream: Stream) -> list[_Waiting[T]]:
        """Those that waited for what has come of a stream, and now for nothing."""
        heap, upto, woken = self._watchers.get(stream, []), self._upto[stream], []
        while heap and heap[0][0] <= upto:
            woken.append(heappop(heap)[2])
        if not heap:
            self._watchers.pop(stream, None)
        there = [each for each in woken if each in self._waiting and each.watched == stream]
        return [each for each in there if self._is_free(each)]

    def _release(self, *free: _Waiting[T]) -> None:
        todo = deque(free)
        while todo:
            each = todo.popleft()
            self._remove(each)
            self._out.append(Released(each.item, self._missing(each)))
            self._met.add(each.stream)
            for hole in self._holes.get(each.stream, ()):
                if hole.above < each.clock.number <= hole.upto:
                    hole.came.add(each.clock.number)
            back = self._returned.get(each.stream, set())
            back.discard(each.clock.number)
            if not back:
                self._returned.pop(each.stream, None)
            self._pass(each.stream, each.clock.number)
            todo += self._freed(each.stream)

    def _missing(self, each: _Waiting[T]) -> tuple[Missing, ...]:
        if not self._lost and not self._holes:
            return ()
        after = (Missing(*stream, number) for stream, number in each.clock.after.items())
        return tuple(dot for dot in after if dot in self._lost or self._is_in_a_hole(dot))

    def _is_in_a_hole(self, dot: Missing) -> bool:
        if not self._sees(dot.channel):
            return False
        return any(
            hole.above < dot.number <= hole.upto and dot.number not in hole.came
            for hole in self._holes.get((dot.channel, dot.publisher), ())
        )

    def _remove(self, each: _Waiting[T]) -> None:
        del self._waiting[each]
        inside = self._inside[each.stream]
        del inside[each.clock.number]
        if not inside:
            del self._inside[each.stream]

    def _pass(self, stream: Stream, number: int) -> None:
        self._upto[stream] = max(number, self._upto.pop(stream, 0))
        if len(self._upto) > STREAMS_MAX:
            oldest = next(iter(self._upto))
            del self._upto[oldest]
            self._met.discard(oldest)
            self._returned.pop(oldest, None)

    def _go_past(self, stream: Stream, number: int) -> None:
        """Nobody waits for it any more, nor for what came before it."""
        back = {each for each in self._returned.pop(stream, ()) if each > number}
        if back:
            self._returned[stream] = back
        self._pass(stream, number)
        self._release(*self._freed(stream))

    def _lose(self, stream: Stream, number: int, each: _Waiting[T], why: str) -> None:
        missing = Missing(*stream, number)
        self.losses.append(Loss(missing, each.item, why))
        self._lost[missing] = None
        if len(self._lost) > LOST_MAX:
            del self._lost[next(iter(self._lost))]
        upto = self._upto.get(stream, 0)
        if upto < number:
            holes = self._holes.pop(stream, [])
            self._holes[stream] = [*holes[1 - HOLES_MAX :], _Hole(upto, number, set())]
            if len(self._holes) > LOST_MAX:
                del self._holes[next(iter(self._holes))]

    def _force(self, chosen: _Waiting[T], why: str) -> None:
        """Release it, after what it waits for in here; what is not here counts as missing."""
        path = {chosen: None}
        while chosen in self._waiting:
            top = next(reversed(path))
            if top not in self._waiting:
                path.pop(top)
                continue
            first = self._first_inside(top, path)
            if first is not None:
                path[first] = None
                continue
            lacking = list(self._open(top))
            for stream, number in lacking:
                self._lose(stream, number, top, why)
            for stream, number in lacking:
                self._go_past(stream, number)
            if top in self._waiting:  # clocks that go round in a circle: nobody honest wrote them
                self._release(top)

    def _first_inside(self, top: _Waiting[T], path: Collection[_Waiting[T]]) -> _Waiting[T] | None:
        for stream, number in self._open(top):
            inside = self._inside.get(stream)
            first = inside and inside[min(inside)]
            if first and first.clock.number <= number and first not in path:
                return first
        return None
