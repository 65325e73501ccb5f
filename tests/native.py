"""A preparation for frames that have the right size already: workers need not wait for torch."""

from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.extraction.preparation import Preparation


class Native(Preparation):
    """Leaves frames as they are."""

    def load(self) -> None:
        """Import nothing."""


class NativePatches(PatchExtractor):
    """Patches of frames that have the right size."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.preparation = Native(**vars(self.preparation))
