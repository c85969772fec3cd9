"""Makes what will be asked for next, in threads, a few batches ahead."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Prefetcher:
    """Calls `make(epoch, index)` before it is asked for, at rising indices.

    What `make` raises is raised by `get`, for the batch that it belongs to and not
    earlier.

    Args:
        make: Function of an epoch and an index, called in several threads at once.
        workers: Number of threads; `0` calls `make` when it is asked for.
        ahead: Most batches that wait to be asked for, those under way included.
    """

    def __init__(self, make: Callable, workers: int, ahead: int):
        self._make = make
        self._workers = workers
        self._ahead = ahead
        self._pool = None
        self._futures = {}
        self._lock = threading.Lock()

    def get(self, epoch: int, index: int, count: int):
        """Returns `make(epoch, index)`, where the epoch has `count` batches."""
        if not self._workers:
            return self._make(epoch, index)
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, "kseg-loader")
            end = min(index + 1 + self._ahead, count)
            keys = [(epoch, number) for number in range(index, end)]
            for key in self._futures.keys() - keys:
                self._futures.pop(key).cancel()
            for key in keys:
                if key not in self._futures:
                    self._futures[key] = self._pool.submit(self._make, *key)
            future = self._futures.pop(keys[0])
        return future.result()

    def clear(self):
        """Drops what was made and not asked for, and ends the threads."""
        with self._lock:
            self._futures.clear()
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None
