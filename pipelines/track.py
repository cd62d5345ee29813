"""Records finished results in MLflow: `recsys track STUDY...`.

It sends what another program wrote beside its results (record.json), for results that MLflow did
not take when they were made. A store that has a record already does not get it again.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import recsys
from pipelines.program import Outcome, Output, carried_out, way_in
from pipelines.report.terminal import print_run
from pipelines.storage.results import STUDIES, TRAININGS, study_folder, training_folder
from pipelines.tracking.addresses import shown
from pipelines.tracking.background import leave
from pipelines.tracking.record import RECORD, read_record
from pipelines.tracking.tracker import Kept, Recorded, opened
from pipelines.trust import read_config, words_of
from recsys.core.errors import ConfigError, UserError, nearest

main = way_in("track")


def execute(words: Sequence[str], output: Output, *, trust: bool = False) -> int:
    """Records results, and prints where they are.

    Args:
        words: folders that programs wrote, or the configs of studies and training runs.
        output: how much is printed.
        trust: whether classes that configs name as module:Class may be loaded.

    Returns:
        The exit code.
    """
    return carried_out(
        lambda: _track(words, trust),
        output,
        lambda: "Interrupted; the same command records what is still missing.",
    )


def _track(words: Sequence[str], trust: bool) -> Outcome:
    folders = list(dict.fromkeys(folder for word in words for folder in _folders(word, trust)))
    records = [(read_record(folder), folder) for folder in folders]
    names = sorted({record.experiment for record, _ in records})
    trackers = {name: opened(name, patient=True) for name in names}
    kept = [Kept(trackers[record.experiment], record, folder, "") for record, folder in records]

    def show_runs(console: Console, runs: Sequence[Recorded | None]) -> None:
        for (record, folder), run in zip(records, runs, strict=True):
            if run is not None:
                word = "recorded" if run.is_new else "recorded before, and not again"
                console.print(f"{record.run.name} ({folder}): {word}", soft_wrap=True)
                print_run(console, [run])

    rows = [{"name": record.run.name, "folder": folder} for record, folder in records]
    folder = folders[0] if len(folders) == 1 else None
    return Outcome(
        f"{len(rows)} results for {shown()}", folder, [], lambda _: None, kept, show_runs, rows
    )


def _folders(word: str, trust: bool) -> list[Path]:
    """The folders of the results that a word names."""
    place = Path(word)
    if place.is_dir():
        return [place]
    if place.suffix in (".yaml", ".yml") and place.is_file():
        return _of_config(word, trust)
    known = [path.parent for path in Path("data").glob(f"*/*/{RECORD}")]
    found = [path for path in known if path.name == word or path.name.rpartition("-")[0] == word]
    if len(found) == 1:
        return found
    if found:
        raise ConfigError(
            f"{word}: there are {len(found)} results of this name; name folders: "
            f"{', '.join(map(str, sorted(found)))}"
        )
    raise ConfigError(
        f"{word}: neither the folder nor the config of finished results; "
        f"{nearest(word, (path.name for path in known)) if known else 'there are none in data/'}"
    )


def _of_config(path: str, trust: bool) -> list[Path]:
    """The folders of a study, of its variants, or of a training run."""
    words = words_of(path, (), trust)
    try:
        folders = [study_folder(study) for study in read_config(recsys.load_studies, words)]
        root = STUDIES
    except UserError as error:
        try:
            folders = [training_folder(read_config(recsys.load_training, words))]
            root = TRAININGS
        except UserError:
            raise error from None
    missing = [folder for folder in folders if not (folder / RECORD).is_file()]
    if missing:
        raise ConfigError(f"{path}: it has no finished results in {root} ({missing[0]} is missing)")
    return folders


if __name__ == "__main__":
    leave(main())
