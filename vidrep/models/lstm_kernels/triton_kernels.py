"""The pointwise maths of an LSTM's time step and of its gradient, one Triton kernel each.

Shapes: B batch, H hidden width; the equations are those of `lstm_kernels.cpu`. Each program computes all four gates of
one tile, rows of the batch by columns of units, and reads and writes nothing outside of it.

This module imports triton, which torch installs on Linux alone.
"""

import triton
import triton.language as tl
from torch import Tensor

from .reference import Activation

# Rows and columns of a tile. A row of 64 values fills two to four 64-byte memory transactions. Tiles of 1024 values
# make 160 programs of a batch of 80 by 2048 units, more than the largest GPUs have multiprocessors.
TILE_ROWS = 16
TILE_COLUMNS = 64
# Rows of `sums` of a tile: the gates i, f, g, o, then the peepholes of i, f, o.
NUM_SUMS = 7


@triton.jit
def _tanh(x):  # type: ignore[no-untyped-def]
    """Return tanh(x) with an absolute error of 2e-7; that of the GPU's own instruction is 1e-3."""
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit
def _activate(x, is_relu: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the activation s(x); NaN stays NaN."""
    return tl.where(x < 0.0, 0.0, x) if is_relu else _tanh(x)


@triton.jit
def _derivative(activated, is_relu: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the derivative s'(x) of the activation, from its value s(x)."""
    return tl.where(activated > 0.0, 1.0, 0.0) if is_relu else 1.0 - activated * activated


@triton.jit
def _gates(  # type: ignore[no-untyped-def]
    z, bias, peepholes, c_before, rows, columns, mask, num_units, has_peepholes: tl.constexpr, is_relu: tl.constexpr
):
    """Return i, f, g, o and c of a tile; z (B, 4H) is the sum of the matrix products."""
    inside = columns < num_units
    offset = rows * (4 * num_units) + columns
    z_i = tl.load(z + offset, mask=mask, other=0.0).to(tl.float32)
    z_f = tl.load(z + offset + num_units, mask=mask, other=0.0).to(tl.float32)
    z_g = tl.load(z + offset + 2 * num_units, mask=mask, other=0.0).to(tl.float32)
    z_o = tl.load(z + offset + 3 * num_units, mask=mask, other=0.0).to(tl.float32)
    z_i += tl.load(bias + columns, mask=inside, other=0.0)
    z_f += tl.load(bias + columns + num_units, mask=inside, other=0.0)
    z_g += tl.load(bias + columns + 2 * num_units, mask=inside, other=0.0)
    z_o += tl.load(bias + columns + 3 * num_units, mask=inside, other=0.0)
    if has_peepholes:
        z_i += tl.load(peepholes + columns, mask=inside, other=0.0) * c_before
        z_f += tl.load(peepholes + columns + num_units, mask=inside, other=0.0) * c_before
    i, f, g = tl.sigmoid(z_i), tl.sigmoid(z_f), _activate(z_g, is_relu)
    c = f * c_before + i * g
    if has_peepholes:
        z_o += tl.load(peepholes + columns + 2 * num_units, mask=inside, other=0.0) * c
    return i, f, g, tl.sigmoid(z_o), c


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
    offset = rows * num_units + columns
    before = tl.load(c_before + offset, mask=mask, other=0.0)
    _, _, _, o, c = _gates(z, bias, peepholes, before, rows, columns, mask, num_units, has_peepholes, is_relu)
    outputs = o * _activate(c, is_relu)
    tl.store(c_after + offset, c, mask=mask)
    tl.store(h + offset, outputs, mask=mask)
    if rounds:
        tl.store(rounded_h + offset, outputs.to(rounded_h.dtype.element_ty), mask=mask)


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
    offset = rows * num_units + columns
    before = tl.load(c_before + offset, mask=mask, other=0.0)
    i, f, g, o, c = _gates(z, bias, peepholes, before, rows, columns, mask, num_units, has_peepholes, is_relu)
    tanh_c = _activate(c, is_relu)
    d_h = tl.load(d_output + offset, mask=mask, other=0.0)
    d_h += tl.load(d_from_after + offset, mask=mask, other=0.0).to(tl.float32)
    d_cell = tl.load(d_c + offset, mask=mask, other=0.0)

    d_o = d_h * tanh_c * o * (1.0 - o)
    d_cell += d_h * o * _derivative(tanh_c, is_relu)
    if has_peepholes:
        d_cell += d_o * tl.load(peepholes + columns + 2 * num_units, mask=inside, other=0.0)
    d_i = d_cell * g * i * (1.0 - i)
    d_f = d_cell * before * f * (1.0 - f)
    d_g = d_cell * i * _derivative(g, is_relu)
    d_before = d_cell * f
    if has_peepholes:
        d_before += d_i * tl.load(peepholes + columns, mask=inside, other=0.0)
        d_before += d_f * tl.load(peepholes + columns + num_units, mask=inside, other=0.0)
    tl.store(d_c + offset, d_before, mask=mask)

    offset_z = rows * (4 * num_units) + columns
    dtype = d_z.dtype.element_ty
    tl.store(d_z + offset_z, d_i.to(dtype), mask=mask)
    tl.store(d_z + offset_z + num_units, d_f.to(dtype), mask=mask)
    tl.store(d_z + offset_z + 2 * num_units, d_g.to(dtype), mask=mask)
    tl.store(d_z + offset_z + 3 * num_units, d_o.to(dtype), mask=mask)

    # Values outside of the batch or the units are 0, since d_h and d_c were loaded as 0 there.
    unit = tl.program_id(1) * tile_columns + tl.arange(0, tile_columns)
    own, units = sums + tl.program_id(0) * (num_sums * num_units) + unit, unit < num_units
    _add(own, tl.sum(d_i, 0), units)
    _add(own + num_units, tl.sum(d_f, 0), units)
    _add(own + 2 * num_units, tl.sum(d_g, 0), units)
    _add(own + 3 * num_units, tl.sum(d_o, 0), units)
    if has_peepholes:
        _add(own + 4 * num_units, tl.sum(d_i * before, 0), units)
        _add(own + 5 * num_units, tl.sum(d_f * before, 0), units)
        _add(own + 6 * num_units, tl.sum(d_o * c, 0), units)


@triton.jit
def _add(pointer, values, mask):  # type: ignore[no-untyped-def]
    """Add to sums that no other program reads or writes."""
    tl.store(pointer, tl.load(pointer, mask=mask, other=0.0) + values, mask=mask)


def _grid(batch_size: int, num_units: int) -> tuple[int, int]:
    return triton.cdiv(batch_size, TILE_ROWS), triton.cdiv(num_units, TILE_COLUMNS)


def new_sums(like: Tensor) -> Tensor:
    """Return zeros, (tiles, 7, H), for the sums over the batch of `step_backward`; like: a state, (B, H)."""
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
    """Do one time step from its products z, (B, 4H): write c and h after it, (B, H) each, and h in another type.

    c_after may be c_before. rounded_h may be h; it is not written if it has the type of h.
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


def step_backward(
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
    """Do the backward step of a time step whose products were z; the gates are computed again.

    d_output, d_from_after, (B, H): the gradient of the loss in h as an output, and through the time step after this
    one. d_c, (B, H): the gradient in c, replaced by that in c before. d_z, (B, 4H): receives the gradient in z.
    sums, of `new_sums`: the gradients of biases and peepholes, summed over the batch, are added to them.
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
