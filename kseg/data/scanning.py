"""Runs one function over every file of a data set and collects what is wrong."""

import concurrent.futures
import os
import sys
from collections.abc import Callable, Iterable, Sequence

_BAR_FROM = 200  # fewer files are done before a bar could be read
_SHOWN = 20


def scan(function: Callable, items: Sequence, description: str) -> list:
    """Calls `function` on every item in threads, with a bar on a terminal.

    Args:
        function: Called with one item.
        items: Sequence of items.
        description: What is being done, for the progress bar.

    Returns:
        List with one entry per item: what `function` returned, or the `ValueError`
        or `OSError` that it raised.
    """

    def attempt(item):
        try:
            return function(item)
        except (ValueError, OSError) as error:
            return error

    # Decoding releases the interpreter lock, so threads are enough.
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        try:
            results = pool.map(attempt, items)
            return list(_with_bar(results, len(items), description))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C acts at once
            raise


def raise_problems(problems: Sequence[str], total: int, subject: str) -> None:
    """Raises one `ValueError` for all `problems`, naming the first 20 of them."""
    if not problems:
        return
    lines = [f"- {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"- … and {len(problems) - _SHOWN} more")
    raise ValueError(
        f"{len(problems)} of {total} {subject} cannot be used:\n" + "\n".join(lines)
    )


def _with_bar(results: Iterable, total: int, description: str) -> Iterable:
    if total < _BAR_FROM or not sys.stderr.isatty():
        return results
    from rich.console import Console
    from rich.progress import track

    return track(
        results, description, total=total, console=Console(stderr=True), transient=True
    )
