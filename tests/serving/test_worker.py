"""The thread that runs the model: batches, order, failures, requests that are given up."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from seqmodels.serving.problems import Problem
from seqmodels.serving.worker import Worker


def with_worker(work: Callable[[Worker, list[int]], Any], **options: Any) -> list[int]:
    """Run a coroutine with a worker; return the sizes of its batches."""
    sizes: list[int] = []
    given = {"batch_size": 5, "window": 0.05, "waiting": 9, "around": nullcontext, "observe": sizes.append, **options}
    worker = Worker(**given)
    worker.start()
    try:
        asyncio.run(work(worker, sizes))
    finally:
        worker.stop()
    return sizes


def squares(numbers: list[int]) -> list[int]:
    return [number**2 for number in numbers]


def test_jobs_of_a_key_share_batches_up_to_their_size_and_others_share_none() -> None:
    async def work(worker: Worker, _: list[int]) -> None:
        jobs = [worker.do(number, squares, "same") for number in range(7)] + [
            worker.do(9, squares),
            worker.do(8, squares),
        ]
        assert await asyncio.gather(*jobs) == [*squares(list(range(7))), 81, 64]

    assert sorted(with_worker(work)) == [1, 1, 2, 5]


def test_a_job_that_fails_does_not_fail_those_of_its_batch() -> None:
    async def work(worker: Worker, sizes: list[int]) -> None:
        def inverse(numbers: list[int]) -> list[float]:
            return [1 / number for number in numbers]

        found = await asyncio.gather(
            *(worker.do(number, inverse, "same") for number in (2, 0, 4)), return_exceptions=True
        )
        assert found[::2] == [0.5, 0.25]
        assert isinstance(found[1], ZeroDivisionError)
        assert sizes == [3]

    with_worker(work)


def test_jobs_that_are_given_up_are_left_out_and_too_many_are_refused() -> None:
    async def work(worker: Worker, sizes: list[int]) -> None:
        free, busy = threading.Event(), threading.Event()

        def block(_: list[int]) -> list[int]:
            busy.set()
            free.wait(20)
            return [0]

        first = asyncio.ensure_future(worker.do(0, block))
        await asyncio.to_thread(busy.wait, 20)
        heavy = asyncio.ensure_future(worker.do(1, squares, "same", weight=9))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="too many") as refused:
            await worker.do(2, squares, "same")
        assert refused.value.status == 503
        heavy.cancel()
        third = asyncio.ensure_future(worker.do(3, squares, "same"))
        await asyncio.sleep(0)
        assert worker.queued() == 1, "what was given up still counts"
        free.set()
        assert await first == 0
        assert await third == 9
        assert sizes == [1, 1]

    with_worker(work)


def test_a_worker_that_stops_finishes_what_waits_and_refuses_more() -> None:
    async def work(worker: Worker, _: list[int]) -> None:
        job = asyncio.ensure_future(worker.do(3, squares, "same"))
        await asyncio.sleep(0)
        await asyncio.to_thread(worker.stop)
        assert await job == 9
        assert not worker.alive
        with pytest.raises(Problem, match="shutting down"):
            await worker.do(1, squares)

    with_worker(work, window=30.0)
