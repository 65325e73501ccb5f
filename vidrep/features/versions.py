"""The versions of the libraries that made a feature file."""

from importlib.metadata import PackageNotFoundError, version

from ..version import __version__


def library_versions(*packages: str) -> dict[str, str]:
    """Return the versions of vidrep and of those of `packages` that are installed."""
    versions = {"vidrep": __version__}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
