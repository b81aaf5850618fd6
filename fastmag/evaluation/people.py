"""Judge every method on rendered people whose truth is known: reading, magnifying, and leaving alone."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import Any, Protocol

from fastmag import models
from fastmag.evaluation.cases import Ask
from fastmag.evaluation.judging import Row, judge_case
from fastmag.evaluation.record import Record
from fastmag.gradients import InputGradient
from fastmag.processes import pool

SEED = 790_000  # of the held-out people: no training run uses seeds from here on
SIZE = (492, 658)  # of the paper's recordings
MOST_PEOPLE = 100  # a task: seeds of tasks lie so far apart
CAST = 25  # people in the paper, and in the cast
KNOWN = 0.8  # of the time of a recording of the cast is trained on; the rest judges


class Asked(Protocol):
    """A clip that can be made: an Ask, or an Injection."""

    task: str
    seed: int

    @property
    def name(self) -> str: ...

    @property
    def present(self) -> bool: ...

    def case(self) -> Any: ...


Job = tuple[Asked, tuple[str, ...], str | None]  # clip, methods, model
Progress = Callable[[list, int, int], object]  # rows of a clip, clips done, clips in all


def held_out(tasks: str, people: int, without: int, seed: int, render: dict, kind: Any = Ask) -> list:
    """`people` unseen people a task, then `without` clips without a pulse (or breath) a task, tasks in turn; kind: what
    a clip is asked for by."""
    asks = [kind(task, seed + MOST_PEOPLE * i + k, True, render) for i, task in enumerate(tasks) for k in range(people)]
    n = len(tasks)
    return asks + [kind(tasks[k % n], seed + 10 * MOST_PEOPLE + k, False, render) for k in range(n * without)]


def known_people(tasks: str, people: int, without: int, seed: int, render: dict) -> list[Ask]:
    """The last 20 % of the recordings of the first `people` of the paper's cast, for a network that was trained on the
    rest of them; `without`: so many recordings a task with the pulse taken away."""
    from fastmag.synthetic import recordings

    start = round(KNOWN * round(render["seconds"] * render.get("fps", 30.0)))
    every = sorted(recordings(seed, CAST, tasks), key=lambda r: tasks.index(r.task))

    def asks(pulse: bool, count: int) -> list[Ask]:
        return [Ask(r.task, r.seed, pulse, render | {"person": r.member}, start) for r in every if r.person < count]

    return asks(True, people) + asks(False, without)


def jobs_of(asks: Sequence[Any], methods: Sequence[str], model=None, paper: int | None = None) -> list[Job]:
    """A job for every clip. paper: how many clips a task are judged with the paper's form, which takes 19 gradients a
    frame; None for all."""
    jobs: list[Job] = []
    counts: dict[tuple[str, bool], int] = {}
    for ask in asks:
        key = (ask.task, ask.present)
        counts[key] = counts.get(key, 0) + 1
        few = paper is not None and counts[key] > paper
        own = tuple(name for name in methods if not (few and name.partition("@")[0].endswith("-paper")))
        jobs.append((ask, own, model))
    return jobs


@functools.lru_cache(maxsize=4)
def network_of(model: str | None) -> InputGradient:
    """A network of one's own, or the shipped one, on one thread; loaded once in each process."""
    return InputGradient(model or models.path("pulse_gradient"), threads=1, expect=(3, 36, 36))


def judge_clip(job: tuple[Any, tuple[str, ...], str | None]) -> list[Row]:
    """Make one clip (an Ask or Injection) and judge every method on it."""
    ask, methods, model = job
    judged = judge_case(ask.case(), methods, network_of(model))
    return [Row(ask.name, ask.task, ask.seed, ask.pulse, name, *judged[name]) for name in methods]


def evaluate(
    jobs: list[Job], processes: int = 2, record: Record | None = None, progress: Progress | None = None,
    judge: Callable[[Job], list[Any]] = judge_clip,
) -> list:  # fmt: skip
    """Rows of all jobs, in their order; what the record has already is not done again.

    processes: each judges one clip at a time on one core; 1 stays in this process.
    """
    record = record or Record(None, {})
    waiting = [job for job in jobs if not record.has(job[0].name, job[1])]
    for done, rows in enumerate(_results(judge, waiting, processes), 1 + len(jobs) - len(waiting)):
        record.add(rows)
        if progress is not None:
            progress(rows, done, len(jobs))
    order = {job[0].name: i for i, job in enumerate(jobs)}
    return sorted((row for row in record.rows if row.clip in order), key=lambda row: order[row.clip])


def _results(judge: Callable[[Job], list[Any]], waiting: list[Job], processes: int) -> Iterator[list[Any]]:
    """Rows of every job, as they are done."""
    if processes == 1:
        yield from map(judge, waiting)
        return
    with pool(processes) as workers:
        for future in as_completed([workers.submit(judge, job) for job in waiting]):
            yield future.result()


class Sayer:
    """Says one line about every clip on standard error, with the time that is left."""

    def __init__(self) -> None:
        self._began, self._first = time.monotonic(), 0

    def __call__(self, rows: list, done: int, total: int) -> None:
        self._first = self._first or done
        spent = time.monotonic() - self._began
        left = (total - done) * spent / (done - self._first + 1)
        row = next((row for row in rows if row.method == row.MAIN), rows[-1])
        print(f"[{done}/{total}, {left / 60:.0f} min left] {row.clip}: {row.said()}", file=sys.stderr, flush=True)
