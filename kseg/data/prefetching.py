"""Makes what will be asked for next, in threads, a few batches ahead."""

import concurrent.futures
import threading
from collections.abc import Callable

_SECONDS = 1.0  # between looks at the threads while they are waited for


class Prefetcher:
    """Calls `make(epoch, index)` before it is asked for, at rising indices.

    What `make` raises is raised by `get`, for the batch that it belongs to and not
    earlier. Threads that end, as they do in a process forked from this one, are an
    error and not a wait without end.

    Args:
        make: Function of an epoch and an index, called in several threads at once.
        workers: Number of threads; `0` calls `make` when it is asked for.
        ahead: Most batches that wait to be asked for, those under way included.
        name: Function of an epoch and an index, what to call them in messages.
    """

    def __init__(self, make: Callable, workers: int, ahead: int, name: Callable):
        self._make = make
        self._workers = workers
        self._ahead = ahead
        self._name = name
        self._pool = None
        self._threads = []
        self._futures = {}
        self._lock = threading.Lock()

    def get(self, epoch: int, index: int, count: int):
        """Returns `make(epoch, index)`, where the epoch has `count` batches."""
        if not self._workers:
            return self._make(epoch, index)
        with self._lock:
            if self._pool is None:
                self._pool = self._start()
            end = min(index + 1 + self._ahead, count)
            keys = [(epoch, number) for number in range(index, end)]
            for key in self._futures.keys() - keys:
                self._futures.pop(key).cancel()
            for key in keys:
                if key not in self._futures:
                    self._futures[key] = self._pool.submit(self._make, *key)
            future, threads = self._futures.pop(keys[0]), self._threads
        while not concurrent.futures.wait([future], _SECONDS).done:
            if not all(thread.is_alive() for thread in threads) and not future.done():
                raise RuntimeError(
                    "A worker of the loader ended before its work was done, which "
                    "forking the process or ending its threads does: make the loader "
                    "in the process that uses it. Waited for: "
                    f"{self._name(epoch, index)}"
                )
        return future.result()

    def clear(self):
        """Drops what was made and not asked for, and ends the threads."""
        with self._lock:
            self._futures.clear()
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None

    def _start(self):
        threads = self._threads = []
        return concurrent.futures.ThreadPoolExecutor(
            self._workers,
            "kseg-loader",
            initializer=lambda: threads.append(threading.current_thread()),
        )
