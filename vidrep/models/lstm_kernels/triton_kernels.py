"""The pointwise maths of an LSTM's time step and of its gradient, each one Triton kernel.

Shapes: B batch, H hidden width; the equations are those of `lstm_kernels.cpu`. Every program has a tile of rows of the
batch by columns of units, with all four gates of it, so that nothing but its own tile is read or written.

Importing this imports triton, which is there on Linux with a GPU.
"""

import triton
import triton.language as tl
from torch import Tensor

from .reference import Activation

# A tile's rows and columns: a row of 64 is two to four of the memory's 64-byte pieces, and 1024 units a program make
# 160 programs of a batch of 80 by 2048 units, more than the largest GPUs have multiprocessors.
TILE_ROWS = 16
TILE_COLUMNS = 64
# Rows of `sums` of a tile: the gates i, f, a, o, then the peepholes of i, f, o.
NUM_SUMS = 7


@triton.jit
def _tanh(x):  # type: ignore[no-untyped-def]
    """The tanh, to 2e-7 absolutely, as its own instruction is only to 1e-3."""
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def _squash(x, is_relu: tl.constexpr):  # type: ignore[no-untyped-def]
    """The activation s; a value that is not a number stays so."""
    return tl.where(x < 0.0, 0.0, x) if is_relu else _tanh(x)


@triton.jit
def _slope(tanh_c, is_relu: tl.constexpr):  # type: ignore[no-untyped-def]
    """The activation's derivative s', of its value."""
    return tl.where(tanh_c > 0.0, 1.0, 0.0) if is_relu else 1.0 - tanh_c * tanh_c


@triton.jit
def _gates(  # type: ignore[no-untyped-def]
    z, bias, peepholes, c_before, rows, columns, mask, num_units, has_peepholes: tl.constexpr, is_relu: tl.constexpr
):
    """Return i, f, a, o and c of a tile, from z (B, 4H), what the matrix products gave."""
    inside = columns < num_units
    place = rows * (4 * num_units) + columns
    z_i = tl.load(z + place, mask=mask, other=0.0).to(tl.float32)
    z_f = tl.load(z + place + num_units, mask=mask, other=0.0).to(tl.float32)
    z_a = tl.load(z + place + 2 * num_units, mask=mask, other=0.0).to(tl.float32)
    z_o = tl.load(z + place + 3 * num_units, mask=mask, other=0.0).to(tl.float32)
    z_i += tl.load(bias + columns, mask=inside, other=0.0)
    z_f += tl.load(bias + columns + num_units, mask=inside, other=0.0)
    z_a += tl.load(bias + columns + 2 * num_units, mask=inside, other=0.0)
    z_o += tl.load(bias + columns + 3 * num_units, mask=inside, other=0.0)
    if has_peepholes:
        z_i += tl.load(peepholes + columns, mask=inside, other=0.0) * c_before
        z_f += tl.load(peepholes + columns + num_units, mask=inside, other=0.0) * c_before
    i, f, a = tl.sigmoid(z_i), tl.sigmoid(z_f), _squash(z_a, is_relu)
    c = f * c_before + i * a
    if has_peepholes:
        z_o += tl.load(peepholes + columns + 2 * num_units, mask=inside, other=0.0) * c
    return i, f, a, tl.sigmoid(z_o), c


@triton.jit
def _forward_kernel(  # type: ignore[no-untyped-def]
    z,
    bias,
    peepholes,
    c_before,
    c_after,
    h,
    rounded_h,
    batch_size,
    num_units,
    has_peepholes: tl.constexpr,
    is_relu: tl.constexpr,
    rounds: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
):
    rows = (tl.program_id(0) * tile_rows + tl.arange(0, tile_rows))[:, None]
    columns = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns))[None, :]
    mask = (rows < batch_size) & (columns < num_units)
    place = rows * num_units + columns
    before = tl.load(c_before + place, mask=mask, other=0.0)
    _, _, _, o, c = _gates(z, bias, peepholes, before, rows, columns, mask, num_units, has_peepholes, is_relu)
    outputs = o * _squash(c, is_relu)
    tl.store(c_after + place, c, mask=mask)
    tl.store(h + place, outputs, mask=mask)
    if rounds:
        tl.store(rounded_h + place, outputs.to(rounded_h.dtype.element_ty), mask=mask)


@triton.jit
def _backward_kernel(  # type: ignore[no-untyped-def]
    z,
    bias,
    peepholes,
    c_before,
    d_output,
    d_from_after,
    d_c,
    d_z,
    sums,
    batch_size,
    num_units,
    has_peepholes: tl.constexpr,
    is_relu: tl.constexpr,
    num_sums: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
):
    rows = (tl.program_id(0) * tile_rows + tl.arange(0, tile_rows))[:, None]
    columns = (tl.program_id(1) * tile_columns + tl.arange(0, tile_columns))[None, :]
    mask = (rows < batch_size) & (columns < num_units)
    inside = columns < num_units
    place = rows * num_units + columns
    before = tl.load(c_before + place, mask=mask, other=0.0)
    i, f, a, o, c = _gates(z, bias, peepholes, before, rows, columns, mask, num_units, has_peepholes, is_relu)
    tanh_c = _squash(c, is_relu)
    d_h = tl.load(d_output + place, mask=mask, other=0.0)
    d_h += tl.load(d_from_after + place, mask=mask, other=0.0).to(tl.float32)
    d_cell = tl.load(d_c + place, mask=mask, other=0.0)

    d_o = d_h * tanh_c * o * (1.0 - o)
    d_cell += d_h * o * _slope(tanh_c, is_relu)
    if has_peepholes:
        d_cell += d_o * tl.load(peepholes + columns + 2 * num_units, mask=inside, other=0.0)
    d_i = d_cell * a * i * (1.0 - i)
    d_f = d_cell * before * f * (1.0 - f)
    d_a = d_cell * i * _slope(a, is_relu)
    d_before = d_cell * f
    if has_peepholes:
        d_before += d_i * tl.load(peepholes + columns, mask=inside, other=0.0)
        d_before += d_f * tl.load(peepholes + columns + num_units, mask=inside, other=0.0)
    tl.store(d_c + place, d_before, mask=mask)

    place_z = rows * (4 * num_units) + columns
    kind = d_z.dtype.element_ty
    tl.store(d_z + place_z, d_i.to(kind), mask=mask)
    tl.store(d_z + place_z + num_units, d_f.to(kind), mask=mask)
    tl.store(d_z + place_z + 2 * num_units, d_a.to(kind), mask=mask)
    tl.store(d_z + place_z + 3 * num_units, d_o.to(kind), mask=mask)

    # What stands outside of the batch or the units is zero: d_h and d_c were loaded as such.
    unit = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    own, units = sums + tl.program_id(0) * (num_sums * num_units) + unit, unit < num_units
    _add(own, tl.sum(d_i, 0), units)
    _add(own + num_units, tl.sum(d_f, 0), units)
    _add(own + 2 * num_units, tl.sum(d_a, 0), units)
    _add(own + 3 * num_units, tl.sum(d_o, 0), units)
    if has_peepholes:
        _add(own + 4 * num_units, tl.sum(d_i * before, 0), units)
        _add(own + 5 * num_units, tl.sum(d_f * before, 0), units)
        _add(own + 6 * num_units, tl.sum(d_o * c, 0), units)


@triton.jit
def _add(place, values, mask):  # type: ignore[no-untyped-def]
    """Add to sums that no other program touches."""
    tl.store(place, tl.load(place, mask=mask, other=0.0) + values, mask=mask)


def _grid(batch_size: int, num_units: int) -> tuple[int, int]:
    return triton.cdiv(batch_size, TILE_ROWS), triton.cdiv(num_units, TILE_COLUMNS)


def new_sums(like: Tensor) -> Tensor:
    """Return room for what `step_back` sums over the batch, zero: (tiles, 7, H), for a state such as `like`, (B, H)."""
    return like.new_zeros(_grid(*like.shape)[0], NUM_SUMS, like.shape[1])


def step_forward(
    z: Tensor,
    bias: Tensor,
    peepholes: Tensor | None,
    c_before: Tensor,
    *,
    activation: Activation,
    c_after: Tensor,
    h: Tensor,
    rounded_h: Tensor,
) -> None:
    """Do what a time step does with its products z, (B, 4H): write c and h after it, (B, H), and h in another type.

    c_after may be c_before. rounded_h may be h, and is not written then.
    """
    _forward_kernel[_grid(*h.shape)](
        z,
        bias,
        bias if peepholes is None else peepholes,
        c_before,
        c_after,
        h,
        rounded_h,
        *h.shape,
        has_peepholes=peepholes is not None,
        is_relu=activation == "relu",
        rounds=rounded_h.dtype != h.dtype,
        tile_rows=TILE_ROWS,
        tile_columns=TILE_COLUMNS,
    )


def step_back(
    z: Tensor,
    bias: Tensor,
    peepholes: Tensor | None,
    c_before: Tensor,
    *,
    activation: Activation,
    d_output: Tensor,
    d_from_after: Tensor,
    d_c: Tensor,
    d_z: Tensor,
    sums: Tensor,
) -> None:
    """Go back through a time step whose products were z, computing the gates anew.

    d_output, d_from_after, (B, H): what the loss says of h, by itself and by way of the time step after this one.
    d_c, (B, H): what it says of c, turned into what it says of c before. d_z, (B, 4H), is written: what it says of z.
    sums, of `new_sums`: over the batch, d_z of each gate and what the peepholes get, are added.
    """
    _backward_kernel[_grid(*d_c.shape)](
        z,
        bias,
        bias if peepholes is None else peepholes,
        c_before,
        d_output,
        d_from_after,
        d_c,
        d_z,
        sums,
        *d_c.shape,
        has_peepholes=peepholes is not None,
        is_relu=activation == "relu",
        num_sums=NUM_SUMS,
        tile_rows=TILE_ROWS,
        tile_columns=TILE_COLUMNS,
    )
