"""The least time that a training step of the composite model can take: its products and what must be moved, counted.

A product takes at least as long as its operations do at the machine's best rate, or as its operands and its result take
to be read and written, whichever is longer. Products that need each other, as those of a recurrence, cannot be joined,
so each counts as reading its weights anew from memory. A large GPU's cache may hold part of them over time steps (an
H200's has 60 MB, U of 2048 units 33.5 MB in bf16), so at a small batch more may be reached than this floor allows.
Beside products only the optimizer is counted. Rounding weights to the type of the products, clipping, pointwise maths,
the loss and the data are not: they could be joined with something else, or hidden.
"""

from dataclasses import dataclass

# Of one weight, in bytes: AdamW reads weight, gradient and two means in fp32 and writes all but the gradient.
OPTIMIZER_BYTES = 28


@dataclass(frozen=True)
class Sizes:
    """A composite model with a conditional future decoder: values of a frame, units, layers, frames, batch."""

    frame: int
    hidden: int
    layers: int
    frames: int
    batch: int


@dataclass(frozen=True)
class Product:
    """So many products of (rows, terms) by (terms, columns), with results of so many bytes a value."""

    rows: int
    columns: int
    terms: int
    count: int = 1
    result_bytes: int = 2

    @property
    def flops(self) -> int:
        """Operations of all of them."""
        return 2 * self.count * self.rows * self.columns * self.terms

    def bytes(self, operand_bytes: int) -> int:
        """Bytes that all of them read and write."""
        operands = operand_bytes * self.terms * (self.rows + self.columns)
        return self.count * (operands + self.result_bytes * self.rows * self.columns)


def products_of_step(sizes: Sizes, *, operand_bytes: int = 2) -> list[Product]:
    """Return all products of a step: forward, and of the gradient.

    The encoder starts at zero and a conditional decoder's first input is zero: neither needs a product. Frames get no
    gradient. Gradients of weights are in fp32.
    """
    batch, gates, found = sizes.batch, 4 * sizes.hidden, list[Product]()

    def linear(rows: int, width: int, columns: int, *, into_inputs: bool) -> None:
        found.append(Product(rows, columns, width, result_bytes=operand_bytes))
        found.append(Product(columns, width, rows, result_bytes=4))
        if into_inputs:
            found.append(Product(rows, width, columns, result_bytes=operand_bytes))

    # Frames that the first layer reads, and time steps whose h before is not zero.
    for num_read, num_steps in (
        (sizes.frames, sizes.frames - 1),
        (0, sizes.frames),
        (sizes.frames - 1, sizes.frames),
    ):
        for layer in range(sizes.layers):
            found.append(Product(batch, gates, sizes.hidden, num_steps, operand_bytes))
            found.append(Product(batch, sizes.hidden, gates, num_steps, operand_bytes))
            found.append(Product(gates, sizes.hidden, num_steps * batch, result_bytes=4))
            if layer:
                linear(sizes.frames * batch, sizes.hidden, gates, into_inputs=True)
            elif num_read:
                linear(num_read * batch, sizes.frame, gates, into_inputs=False)
    for _ in range(2):
        linear(sizes.frames * batch, sizes.hidden, sizes.frame, into_inputs=True)
    return found


@dataclass(frozen=True)
class Floor:
    """Seconds that a step takes at least.

    compute: of products that are bound by their operations. bandwidth: of products that are bound by what they read and
    write. weights: of the optimizer. flops: operations of all products.
    """

    compute: float
    bandwidth: float
    weights: float
    flops: int

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.compute + self.bandwidth + self.weights


def floor_of_step(
    sizes: Sizes, *, num_weights: int, flops_per_second: float, bytes_per_second: float, operand_bytes: int = 2
) -> Floor:
    """Return the floor of a step with AdamW, given the machine's best product and its bandwidth."""
    compute = bandwidth = 0.0
    products = products_of_step(sizes, operand_bytes=operand_bytes)
    for product in products:
        computing = product.flops / flops_per_second
        moving = product.bytes(operand_bytes) / bytes_per_second
        compute += computing if computing >= moving else 0.0
        bandwidth += moving if moving > computing else 0.0
    return Floor(
        compute=compute,
        bandwidth=bandwidth,
        weights=num_weights * OPTIMIZER_BYTES / bytes_per_second,
        flops=sum(product.flops for product in products),
    )
