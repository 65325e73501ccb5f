"""Constraints of cells, which a training keeps by projection after each optimizer step."""

from torch import nn

from ..models.cells.cell import Cell


class Constraints:
    """The constraints of all cells of a model, of its encoder and its decoders alike.

    Every rank projects, as every rank steps: equal weights stay equal. It is no part of a captured step.
    """

    def __init__(self, model: nn.Module) -> None:
        self._cells = {name: module for name, module in model.named_modules() if isinstance(module, Cell)}

    def project(self) -> None:
        """Put all weights back into what their cells' settings allow."""
        for cell in self._cells.values():
            cell.project()

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return {"bounded": {cell and quantity: what it is}} of all that is kept below a bound; {} if nothing is."""
        bounded = {
            f"{name}.{quantity}": float(value)
            for name, cell in self._cells.items()
            for quantity, value in cell.bounded().items()
        }
        return {"bounded": bounded} if bounded else {}
