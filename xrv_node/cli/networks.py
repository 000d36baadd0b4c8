"""What the commands share that run a network on a user's own images: options, progress, files that failed."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol, TypeVar

import typer

from xrv_node.cli.console import ConfigOption, progress_bar, say, tell

if TYPE_CHECKING:
    from xrv_node.lab.images.batches import Options, Progress, Provenance
    from xrv_node.lab.images.files import Unread

PathsArgument = Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM files, or folders of them.")]
FolderOption = Annotated[Path, typer.Option("--out", help="A folder for the results.")]
WeightsOption = Annotated[str, typer.Option("--weights", help="The network, see `models list`.")]
RunCodeOption = Annotated[
    bool, typer.Option("--run-code", help="Allow weights that are a program; only where you trust them.")
]
DirOption = Annotated[
    Path | None, typer.Option("--dir", help="The model directory.", show_default="the configured one")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps, or auto for the best there is.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Images that go through the network at a time.")]
ResamplerOption = Annotated[
    str, typer.Option(help="skimage (torchxrayvision's default), area or antialias. Moves the numbers.")
]
CommissioningOption = Annotated[
    bool, typer.Option("--commissioning", help="Run the network for phantoms; it answers for nothing else.")
]
MaxValueOption = Annotated[
    float | None,
    typer.Option(
        "--max-value",
        help="What white is in PNG and JPEG, where that is not the largest value: 4095 for 12 bits in 16.",
        show_default="255 or 65535",
    ),
]
CompatibleOption = Annotated[
    bool,
    typer.Option("--xrv-compatible", help="torchxrayvision's operating points, also where they are wrong."),
]


@dataclass(frozen=True, slots=True)
class Run:
    """How a command runs its network: the options that all such commands have."""

    weights: WeightsOption
    commissioning: CommissioningOption = False
    resampler: ResamplerOption = "skimage"
    device: DeviceOption = "auto"
    batch: BatchOption = 8
    max_value: MaxValueOption = None
    directory: DirOption = None
    config: ConfigOption = None

    @property
    def place(self) -> Path:
        """The model directory."""
        return model_directory(self.directory, self.config)

    @property
    def thresholds(self) -> dict[str, float]:
        """The configured operating points of these weights."""
        return site_thresholds(self.weights, self.place, self.config)

    def options(self, progress: Progress, passed_over: list[Path]) -> Options:
        """As the functions of ``lab.images`` take them."""
        return {
            "directory": self.place,
            "device": self.device,
            "batch": self.batch,
            "resampler": self.resampler,
            "commissioning": self.commissioning,
            "progress": progress,
            "max_value": self.max_value,
            "passed_over": passed_over,
        }


def runs_network(**defaults: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `Run` where it has the parameter ``run``, with defaults of its own."""
    given = {name: p for name, p in inspect.signature(Run, eval_str=True).parameters.items()}
    shared = [
        p.replace(kind=p.KEYWORD_ONLY, default=defaults.get(name, p.default)) for name, p in given.items()
    ]

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        every = [*(p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name != "run"), *shared]

        @wraps(command)
        def called(**values: Any) -> None:
            run = Run(**{name: values.pop(name) for name in given})
            command(**values, run=run)

        called.__annotations__ = {p.name: p.annotation for p in every}
        called.__dict__["__signature__"] = inspect.Signature(every)
        return called

    return with_options


class Told(Protocol):
    """What the result of every network tells."""

    @property
    def path(self) -> Path:
        """The image."""

    @property
    def note(self) -> str:
        """What to mind with it; or empty."""

    @property
    def by(self) -> Provenance:
        """What made it."""


Result = TypeVar("Result", bound=Told)


def model_directory(directory: Path | None, config: Path | None) -> Path:
    """The directory given, or the configured one."""
    from xrv_node import settings

    return directory or settings.load(config).models_dir


def site_thresholds(weights: str, directory: Path, config: Path | None) -> dict[str, float]:
    """The configured operating points, if these weights are the classifier that they were measured with."""
    from xrv_node import settings
    from xrv_node.models import catalog

    chosen = settings.load(config).models
    if not chosen.thresholds:
        return {}
    asked, measured = (catalog.find(name, directory=directory).name for name in (weights, chosen.classifier))
    return chosen.thresholds if asked == measured else {}


def sorted_out(items: Iterator[Result | Unread], use: Callable[[Result], Any]) -> tuple[int, list[Unread]]:
    """Use each result as it comes; return how many there were, and the files that gave none."""
    from xrv_node.lab.images.files import Unread

    count, unread = 0, []
    for item in items:
        if isinstance(item, Unread):
            unread.append(item)
        else:
            use(item)
            count += 1
    return count, unread


def carry_out(
    words: str,
    start: Callable[[Progress, list[Path]], Iterator[Result | Unread]],
    keep: Callable[[Result], str],
    finish: Callable[[], None] = lambda: None,
) -> NoReturn:
    """Run a network and keep each result, then finish; `keep` returns a line. Exit codes as `conclude`.

    `start` is given what it tells of its progress, and the list for files that are plainly no images."""
    lines: list[str] = []
    passed_over: list[Path] = []
    notices: dict[str, None] = {}

    def use(result: Result) -> None:
        lines.append(f"{result.path}: {keep(result)}")
        if result.note:
            lines.append(f"note: {result.path}: {result.note}")
        notices[result.by.notice] = None

    with progress_bar(words) as progress:
        count, unread = sorted_out(start(progress, passed_over), use)
    finish()
    for line in (*lines, *filter(None, notices)):
        say(line)
    conclude(count, unread, passed_over)


def conclude(count: int, unread: Sequence[Unread], passed_over: Sequence[Path] = ()) -> NoReturn:
    """Name the files that gave no result; exit code 1 where there are any, or no images at all."""
    if passed_over:
        kinds = Counter(path.suffix.lower() or "without a suffix" for path in passed_over)
        most = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        counts = ", ".join(f"{number} {kind}" for kind, number in most)
        files = "file" if len(passed_over) == 1 else "files"
        tell(f"{len(passed_over)} other {files} passed over: {counts}")
    for file in unread:
        tell(f"{file.path}: {file.why}")
    if unread:
        tell(f"{len(unread)} of {count + len(unread)} gave no result")
    elif not count:
        tell("there are no images")
    raise typer.Exit(1 if unread or not count else 0)
