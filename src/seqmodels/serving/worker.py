"""The thread that runs the model, and batches what concurrent requests ask of it."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from seqmodels.serving.problems import Problem

log = logging.getLogger("seqmodels")

Work = Callable[[list[Any]], Sequence[Any]]
"""From what each request of a batch asks to the result of each, or the exception that it gets."""


@dataclass
class Job:
    """What a request asks of the model."""

    key: Hashable  # jobs of the same key share a batch; None: this one shares none
    item: Any
    weight: int
    work: Work
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    arrived: float = field(default_factory=time.monotonic)


class Worker:
    """Runs work in one thread, in the order of requests; those that wait and have the same key run as one batch.

    The jobs of a batch whose work fails run again one by one, so that a request never fails because of another. Jobs
    whose request was given up before they begin are left out.

    Args:
        batch_size: sum of the weights in a batch; a larger job runs alone.
        window: seconds that a job waits for others to fill its batch; one that has waited for the thread as long does
            not wait again.
        waiting: sum of the weights that may wait.
        around: makes a context that the thread runs in, such as :func:`~seqmodels.system.threads.cpu_threads`.
        observe: called with the number of requests of each batch.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        window: float,
        waiting: int,
        around: Callable[[], AbstractContextManager[object]],
        observe: Callable[[int], None],
    ) -> None:
        self.batch_size = batch_size
        self.window = window
        self.waiting = waiting
        self._around = around
        self._observe = observe
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="seqmodels-model", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits and end the thread; later work is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread takes work."""
        return self._thread.is_alive() and not self._closed

    def queued(self) -> int:
        """Return the weight of what waits."""
        with self._changed:
            return self._size(self._jobs)

    async def do(self, item: Any, work: Work, key: Hashable = None, weight: int = 1) -> Any:
        """Return the result of work for what a request asks.

        Args:
            item: what it asks.
            work: called in the thread with the items of a batch; that of one of the jobs with the same key.
            key: of the jobs that may share a batch; None: no other.
            weight: number of inputs in the item.

        Raises:
            Problem: too much waits, or the server is shutting down (503).
            Exception: the one that work raises or returns for the item.
        """
        loop = asyncio.get_running_loop()
        job = Job(key, item, weight, work, loop.create_future(), loop)
        with self._changed:
            if self._closed:
                raise Problem(503, "the server is shutting down")
            waits = self._size(self._jobs)
            size = waits + weight
            if waits and size > self.waiting:
                raise Problem(503, "too many requests wait for the model: try again later")
            self._jobs.append(job)
            if len(self._jobs) == 1 or size >= self.batch_size:  # else it computes, or waits for a batch to fill
                self._changed.notify()
        return await job.future

    def _run(self) -> None:
        with self._around():
            while batch := self._take():
                self._observe(len(batch))
                _deliver(self._results(batch))

    def _take(self) -> list[Job]:
        """Return the next jobs to run together; none if there will be no more."""
        with self._changed:
            while True:
                self._jobs = deque(job for job in self._jobs if not job.future.cancelled())
                if not self._jobs:
                    if self._closed:
                        return []
                    self._changed.wait()
                    continue
                first = self._jobs[0]
                batch = self._together(first)
                left = first.arrived + self.window - time.monotonic()
                if first.key is None or self._closed or left <= 0 or self._size(batch) >= self.batch_size:
                    chosen = {id(job) for job in batch}
                    self._jobs = deque(job for job in self._jobs if id(job) not in chosen)
                    return batch
                self._changed.wait(left)

    def _together(self, first: Job) -> list[Job]:
        batch, size = [first], first.weight
        if first.key is None:
            return batch
        for job in self._jobs:
            if job is not first and job.key == first.key and size + job.weight <= self.batch_size:
                batch.append(job)
                size += job.weight
        return batch

    def _results(self, batch: list[Job]) -> list[tuple[Job, Any]]:
        """Return what each job gets, a value or an exception."""
        try:
            return list(zip(batch, batch[0].work([job.item for job in batch]), strict=True))
        except Exception as error:  # the thread must outlive whatever a request causes
            if len(batch) == 1:
                return [(batch[0], error)]
            return [result for job in batch for result in self._results([job])]

    @staticmethod
    def _size(jobs: Iterable[Job]) -> int:
        """Return the sum of weights, without those of requests that were given up."""
        return sum(job.weight for job in jobs if not job.future.cancelled())


def _deliver(results: Sequence[tuple[Job, Any]]) -> None:
    """Hand results to the requests that still wait for them, in the thread of their event loop."""

    def settle(mine: list[tuple[Job, Any]]) -> None:
        for job, result in mine:
            if job.future.done():
                continue
            if isinstance(result, BaseException):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)

    for loop in {job.loop for job, _ in results}:
        try:
            loop.call_soon_threadsafe(settle, [pair for pair in results if pair[0].loop is loop])
        except RuntimeError:  # the loop has ended
            log.debug("results of %d jobs had nobody to go to", len(results))
