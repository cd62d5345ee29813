"""Recording results in MLflow, so that no store can hold a program up or end its work.

Importing MLflow and opening a store take seconds, so `tracked` begins both in a thread of its own
while the cells run. Records are sent when the files of a result are complete. A server gets 12
seconds for that, whatever it does: then the program goes on, and `recsys track` sends them later.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipelines.storage.locks import locked
from pipelines.tracking import describe, local, mlflow_store, server
from pipelines.tracking.addresses import is_local, is_server, masked, shown
from pipelines.tracking.background import begun, waited
from pipelines.tracking.record import RECORD, Record, write_record
from pipelines.tracking.send import Sender
from pipelines.tracking.views import views_of
from recsys.config import Study, Training

if TYPE_CHECKING:
    from mlflow import MlflowClient

LIMIT = 12.0
"""Seconds that a server gets to take all records of a program; of `recsys track`, each answer."""
_TABLES = 60.0
"""Seconds for each answer of a database to `recsys track`: MLflow may have to make all tables.
Also what a database on this machine gets that is not the local one."""
_ENDING, _ENDING_HERE = 5.0, 30.0
"""Seconds that a server, or the local database, gets to learn that a program was stopped."""


class TrackingError(Exception):
    """MLflow cannot be reached or written to. The files of the results are complete without it.

    Attributes:
        done: the records that it took before.
    """

    def __init__(self, message: str, done: "Sequence[Recorded]" = ()) -> None:
        super().__init__(message)
        self.done = tuple(done)


class Recorded(NamedTuple):
    """The place of results in MLflow: the store, and the ids of experiment, run and model.

    Attributes:
        is_new: whether they were recorded now, and not before.
        view: what the address of the table of its runs ends in; None if they have no table.
        charts: the same for their charts.
    """

    uri: str
    is_local: bool
    experiment_id: str
    run_id: str
    model_id: str | None = None
    is_new: bool = True
    view: str | None = None
    charts: str | None = None


class Kept(NamedTuple):
    """A record that is on disk and that MLflow may get.

    Attributes:
        tracker: the tracker that sends it; None if MLflow is switched off.
        record: the record.
        folder: the folder of its files.
        off: the option that switches MLflow off, such as `--no-tracking`.
    """

    tracker: "Tracker | None"
    record: Record
    folder: Path
    off: str = "tracking.enabled=false"


class Store(NamedTuple):
    """An opened store."""

    client: "MlflowClient"
    experiment_id: str


@contextmanager
def tracked(study: Study | Training, role: str = "study") -> "Iterator[Tracker | None]":
    """Opens the store in the background; if the block fails, its run is FAILED or KILLED.

    What is wrong with the store is said on stderr before the block, as far as it shows at once.

    Args:
        study: the study. If its `tracking.enabled` is false, the block gets None and MLflow is not
            imported.
        role: role of the run: `study`, `training`, `tuning`, `validation` or `proof`.
    """
    enabled = study.tracking.enabled
    with tracked_as(lambda: describe.begun(study, role), study.tracking.experiment, enabled) as run:
        yield run


@contextmanager
def tracked_as(
    begin: Callable[[], Record], experiment: str, enabled: bool = True
) -> "Iterator[Tracker | None]":
    """As `tracked`, for a run that is not about a study.

    Args:
        begin: makes the record of a run that ends without figures.
        experiment: the experiment.
        enabled: if false, the block gets None and MLflow is not imported.
    """
    if not enabled:
        yield None
        return
    tracker = opened(experiment)
    with tracker.told(begin):
        yield tracker


def opened(experiment: str, *, patient: bool = False) -> "Tracker":
    """Says what is wrong with a store, and begins to open it if nothing is.

    Args:
        experiment: the experiment of the runs.
        patient: whether this is about results of before: they are sent once, a slow server is
            waited for as long as it goes on answering, and what is wrong is said in the end.
    """
    trouble = _said_before(experiment)
    if trouble is None or patient:
        store = begun(lambda: Store(*mlflow_store.connect(experiment)))
        return Tracker(store, experiment, patient=patient)
    print(
        f"MLflow at {shown()} will not take the results: {masked(trouble)}\n"
        "The work is done nevertheless; recsys track FOLDER records it afterwards.",
        file=sys.stderr,
    )
    return Tracker(None, experiment)


class Tracker:
    """Records results; `tracked` and `opened` make it.

    Args:
        store: the store that is being opened; None opens it when it is needed.
        experiment: the experiment.
        patient: as in `opened`.
    """

    def __init__(
        self, store: "Future[Store] | None", experiment: str = "recsys", *, patient: bool = False
    ) -> None:
        self._store, self._experiment, self._patient = store, experiment, patient
        self._moved = time.monotonic()
        self._started = int(time.time() * 1000)

    def record(self, records: Sequence[tuple[Record, Path]]) -> list[Recorded]:
        """Sends records, those that the store does not have yet.

        Args:
            records: records, each with the folder of its files.

        Raises:
            TrackingError: if anything goes wrong with MLflow.
        """
        done: list[Recorded] = []
        given_up = threading.Event()

        def moved() -> None:
            self._has_moved()
            if given_up.is_set():  # so that nobody waits for what this thread holds
                raise TimeoutError("nobody waits for it any more")

        def send() -> None:
            with self._taken() as store, _alone():
                done.extend(self._sent(store, *record, moved) for record in records)

        if mlflow_store.unusable() is None:
            mlflow_store.quieten()  # the import takes seconds that are not the server's
        self._has_moved()
        try:
            waited(begun(send), self._limit(), (lambda: self._moved) if self._patient else None)
        except TimeoutError as error:
            given_up.set()
            raise TrackingError(_refused(error), done) from error
        except TrackingError as error:
            raise TrackingError(str(error), done) from error
        return done

    @contextmanager
    def told(self, begin: Callable[[], Record]) -> Iterator[None]:
        """If the block fails, its run is FAILED or KILLED.

        Args:
            begin: makes the record of a run that ends without figures.
        """
        try:
            yield
        except BaseException as error:
            with suppress(Exception):
                self.fail(begin(), error)
            raise

    def fail(self, record: Record, error: BaseException) -> None:
        """Records that a program was stopped (KILLED) or went wrong (FAILED), if MLflow is quick.

        Args:
            record: what was begun.
            error: what ended it.
        """
        if self._store is None:  # it takes nothing, as was said before the work
            return
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        reason = masked(f"{type(error).__name__}: {error}")[:5000]

        def end() -> None:
            with self._taken() as store, _alone():
                Sender(*store).end(record, status, reason, self._started)

        with suppress(TimeoutError, TrackingError):
            waited(begun(end), _ENDING if is_server() else _ENDING_HERE)

    def _limit(self) -> float | None:
        """Seconds that the store gets; all that it needs if nobody but this machine is asked."""
        if is_local():
            return None
        is_database = not shown().startswith("http")
        return _TABLES if not is_server() or (self._patient and is_database) else LIMIT

    def _sent(
        self, store: Store, record: Record, folder: Path, moved: Callable[[], None]
    ) -> Recorded:
        """Sends a record, or brings the runs up to date that the store has of it already."""
        sender, place = Sender(*store, moved), (mlflow_store.address(), is_local())
        with locked(folder):
            tree, left = sender.find(record, alone=is_local() or self._patient)
            sender.delete(left)
            if tree:
                run_id, model_id = sender.update(tree, record, folder)
            else:
                finished = int((folder / RECORD).stat().st_mtime * 1000)
                started = finished if self._patient else self._started
                run_id, model_id = sender.send(record, folder, started)
        views = views_of(record.view, record.run.name, run_id, record.tags.get("group"))
        with suppress(Exception):  # the results are there, and so is the page of their run
            sender.save_views(views)
        queries = [view.query for view in views]
        table, charts = (*queries, None, None)[:2]
        return Recorded(*place, store.experiment_id, run_id, model_id, not tree, table, charts)

    @contextmanager
    def _taken(self) -> Iterator[Store]:
        """The store; any error of it becomes a `TrackingError`."""
        try:
            if self._store is None:
                self._store = begun(lambda: Store(*mlflow_store.connect(self._experiment)))
            yield self._store.result()
        except Exception as error:
            self._store = None
            raise TrackingError(_refused(error)) from error

    def _has_moved(self) -> None:
        self._moved = time.monotonic()


def keep(
    tracker: Tracker | None, record: Record, folder: Path, off: str = "tracking.enabled=false"
) -> Kept:
    """Writes a record beside its files, from where MLflow gets it now or later.

    Args:
        tracker: the tracker that is to send it; None if MLflow is switched off.
        record: the record.
        folder: the folder of its files.
        off: the option that switches MLflow off, such as `--no-tracking`.

    Raises:
        StorageError: if the folder cannot be written.
    """
    write_record(record, folder)
    return Kept(tracker, record, folder, off)


def _said_before(experiment: str) -> str | None:
    """What is wrong with a store, as far as it shows without MLflow; local faults are mended."""
    if (trouble := mlflow_store.unusable()) is not None:
        return trouble
    if is_server():
        return server.trouble(experiment)
    if not is_local():
        return None
    found = local.look(experiment)
    if found.trouble is None and (found.damaged or found.moved_from):
        with suppress(OSError, TimeoutError), local.alone():
            if (line := local.mended(local.look(experiment))) is not None:
                print(line, file=sys.stderr)
    return found.trouble


def _alone() -> AbstractContextManager[None]:
    return local.alone() if is_local() else nullcontext()


def _refused(error: Exception) -> str:
    return f"MLflow at {shown()} did not take the results: {_reason(error)}"


def _reason(error: Exception) -> str:
    """The error in one line, without what SQLAlchemy adds on its own pages, and no password."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("(Background", "[SQL:"))]
    return masked(" ".join(kept)[:500]) or type(error).__name__
