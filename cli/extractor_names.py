"""`vidrep extract NAME` for the extractors that plug-ins register: each name is a command."""

import glob
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from .extraction import ExtractionOptions, run_extraction
from .group import VidrepGroup, add_command
from .help import features_option
from .options import CommonOptions, Device, GroupedAnnotationOptions, SamplingOptions, SourceOptions

if TYPE_CHECKING:
    from vidrep.extraction.extractors.extractor import Extractor

ExtractorSettings = Annotated[
    list[str] | None,
    features_option("--set", metavar="KEY=VALUE", help="Change a setting of the extractor; its class lists them."),
]


class ExtractGroup(VidrepGroup):
    """The built-in commands, and one for every other registered extractor."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the built-in commands; to complete one, those of installed plug-ins' extractors too."""
        names = super().list_commands(ctx)
        if not ctx.resilient_parsing:  # help is to be quick: it imports no plug-in
            return names
        from vidrep.registry import EXTRACTORS

        return [*names, *(name for name in EXTRACTORS.names() if name not in names)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name, None if it has none."""
        if cmd_name in self.commands:
            return super().get_command(ctx, cmd_name)
        from vidrep.registry import EXTRACTORS

        return _extractor_command(cmd_name) if cmd_name in EXTRACTORS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names, with the plug-ins that the others name.

        Raises ConfigError, with the nearest names, if there is none.
        """
        name, *others = args
        if name not in self.commands:
            from vidrep.plugins import load_plugins

            load_plugins(list(_plugins_in(others)))
            if not ctx.resilient_parsing and self.get_command(ctx, name) is None:
                raise self._not_registered(name)
        return super().resolve_command(ctx, args)

    def _not_registered(self, name: str) -> Exception:
        from vidrep.errors import ConfigError, nearest_names
        from vidrep.registry import EXTRACTORS

        if Path(name).exists() or glob.has_magic(name):
            return ConfigError(
                f"{name} is what to extract from, and the extractor is missing: `vidrep extract cnn {name} ...`"
            )
        names = sorted({*self.commands, *EXTRACTORS.names()})
        hint = nearest_names(name, names) or f"known are {', '.join(names)}"
        return ConfigError(f"extractor {name!r} is not registered; {hint}; a plug-in's needs --plugin MODULE")


def _plugins_in(words: Sequence[str]) -> Iterator[str]:
    """Yield what `--plugin` names in a command line that is not parsed yet."""
    for word, following in pairwise([*words, ""]):
        if word == "--":
            return
        if word == "--plugin" and following:
            yield following
        elif word.startswith("--plugin="):
            yield word.partition("=")[2]


def _extractor_command(name: str) -> Any:
    """Make the command of a registered extractor."""
    from vidrep.registry import EXTRACTORS

    extractor = EXTRACTORS[name]

    def command(
        source: SourceOptions,
        sampling: SamplingOptions,
        annotations: GroupedAnnotationOptions,
        work: ExtractionOptions,
        common: CommonOptions,
        settings: ExtractorSettings = None,
        device: Device = "auto",
    ) -> None:
        def build() -> "Extractor":
            return _build_extractor(extractor, settings or [], device)

        run_extraction(build, source, sampling, annotations, work, common)

    command.__doc__ = extractor.__doc__ or f"Features of the extractor {name!r}."
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    add_command(app, name, command)
    return get_command(app)


def _build_extractor(extractor: type[Any], settings: Sequence[str], device: str) -> "Extractor":
    """Build a registered extractor; "key=value" in `settings` change its `Settings`.

    Raises ConfigError for a setting that it does not have.
    """
    from vidrep.config.reader import parse_change

    built: Extractor = extractor(device=device, **dict(parse_change(text) for text in settings))
    return built
