"""The recurrence of one LSTM layer on a CUDA device: one matrix product and one kernel a time step.

Shapes and equations are those of `lstm_kernels.cpu`. With a small batch, a time step takes as long as reading U,
(4H, H), from memory, so all other traffic must stay small. P is the type of products (bf16 or fp32), z the products
without the bias. Besides U, a time step moves:

    forward    z = x W + h' U: reads x W, writes z in its place (P), and reads z; reads c', writes c; writes h in fp32
               and in P
    backward   reads z, c', dz U (P) and dh (fp32), and computes the gates again from them; reads and writes dc (fp32);
               writes dz (P)

Memory for the gradient, a time step: z, 4 B H in P; c, B H in fp32; h, B H in P. That is 3.5 B H floats in bf16 and
6 B H in fp32. Once a sequence: inputs and weights in P, so that nothing is rounded twice. The state, pointwise maths,
sums over time and batch, and gradients of weights are in fp32.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .reference import Activation, LayerWeights
from .triton_kernels import new_sums, step_backward, step_forward


def cuda_sequence(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    *,
    num_steps: int,
    activation: Activation = "tanh",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one layer as `cpu_sequence` does, with a state in fp32.

    compute_dtype: the type of the operands and results of matrix products, fp32 if None. The sum of a time step's two
    products is rounded once, where `cpu_sequence` rounds each.
    """
    if inputs is None or weights.input is None:
        inputs, weights = None, weights._replace(input=None)
    else:
        inputs = inputs[:num_steps]
    tensors = (inputs, h, c, *weights)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        outputs, c_last = _Sequence.apply(*tensors, num_steps, activation, compute_dtype)
        return outputs, c_last
    run, _ = _run(inputs, h, c, weights, num_steps, activation, compute_dtype or h.dtype, keep=False)
    return run.outputs, run.c[-1]


class _Run(NamedTuple):
    """A layer's values over a sequence; the first c and rounded h are those before the first time step.

    outputs (T, B, H): h. z (T, B, 4H): the products, without bias. c (T+1, B, H). rounded (T+1, B, H): h in P.
    """

    outputs: Tensor
    z: Tensor
    c: Tensor
    rounded: Tensor


class _Operands(NamedTuple):
    """Operands of the products of a whole sequence, in P: inputs (T, B, D), input (4H, D), recurrent (4H, H)."""

    inputs: Tensor | None
    input: Tensor | None
    recurrent: Tensor


def _run(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    num_steps: int,
    activation: Activation,
    compute_dtype: torch.dtype,
    *,
    keep: bool,
) -> tuple[_Run, _Operands]:
    """Compute the sequence from the state h, c, (B, H) each.

    keep: whether all values are kept for the gradient; else buffers hold one time step where they can.
    """
    operands = _Operands(
        None if inputs is None else inputs.to(compute_dtype),
        None if weights.input is None else weights.input.to(compute_dtype),
        weights.recurrent.to(compute_dtype),
    )
    run = _buffers(operands.inputs, h, num_steps, compute_dtype, keep=keep)
    run.c[0].copy_(c)
    run.rounded[0].copy_(h)
    if operands.inputs is not None and operands.input is not None:
        torch.mm(operands.inputs.flatten(0, 1), operands.input.t(), out=run.z.flatten(0, 1))
    bias, peepholes = weights.bias.contiguous(), _contiguous(weights.peepholes)
    matrix = operands.recurrent.t()
    for step in range(num_steps):
        z = run.z[step]
        if inputs is None:
            torch.mm(run.rounded[step], matrix, out=z)
        else:
            z.addmm_(run.rounded[step], matrix)
        step_forward(
            z,
            bias,
            peepholes,
            run.c[step],
            activation=activation,
            c_after=run.c[step + 1],
            h=run.outputs[step],
            rounded_h=run.rounded[step + 1],
        )
    return run, operands


def _buffers(inputs: Tensor | None, h: Tensor, num_steps: int, compute_dtype: torch.dtype, *, keep: bool) -> _Run:
    batch_size, size = h.shape

    def buffer(steps: int, width: int, dtype: torch.dtype, *, of_all_steps: bool) -> Tensor:
        held = h.new_empty(steps if of_all_steps else 1, batch_size, width, dtype=dtype)
        return held.expand(steps, -1, -1)

    rounded = buffer(num_steps + 1, size, compute_dtype, of_all_steps=keep or compute_dtype == h.dtype)
    return _Run(
        outputs=rounded[1:] if compute_dtype == h.dtype else buffer(num_steps, size, h.dtype, of_all_steps=True),
        z=buffer(num_steps, 4 * size, compute_dtype, of_all_steps=keep or inputs is not None),
        c=buffer(num_steps + 1, size, h.dtype, of_all_steps=keep),
        rounded=rounded,
    )


class _Sequence(torch.autograd.Function):
    """`_run` and its gradients; returns h at every time step, (T, B, H), and the last c, (B, H)."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor | None,
        h: Tensor,
        c: Tensor,
        input_weight: Tensor | None,
        recurrent: Tensor,
        bias: Tensor,
        peepholes: Tensor | None,
        num_steps: int,
        activation: Activation,
        compute_dtype: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]:
        """Run the layer and save what the gradients need."""
        weights = LayerWeights(input_weight, recurrent, bias, peepholes)
        run, operands = _run(inputs, h, c, weights, num_steps, activation, compute_dtype or h.dtype, keep=True)
        # The gradient reads `rounded` alone, so outputs in fp32 are not saved beside it.
        ctx.save_for_backward(*operands, bias, peepholes, run.z, run.c, run.rounded)
        ctx.activation = activation
        ctx.set_materialize_grads(False)
        # A copy, since a view would keep c of all time steps alive.
        return run.outputs, run.c[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Go back through time, then compute the gradients of inputs and weights over all time steps at once."""
        inputs, input_weight, recurrent, bias, peepholes, z, c, rounded = ctx.saved_tensors
        needed = dict(zip(("inputs", "h", "c", *LayerWeights._fields), ctx.needs_input_grad, strict=False))
        d_outputs = torch.zeros_like(c[1:]) if d_outputs is None else d_outputs.contiguous()
        d_c = torch.zeros_like(c[0]) if d_c_last is None else d_c_last.clone(memory_format=torch.contiguous_format)
        d_z, sums = torch.empty_like(z), new_sums(d_c)
        d_from_after = torch.zeros_like(rounded[0])
        bias, peepholes = bias.contiguous(), _contiguous(peepholes)
        for step in reversed(range(len(z))):
            if step + 1 < len(z):
                torch.mm(d_z[step + 1], recurrent, out=d_from_after)
            step_backward(
                z[step],
                bias,
                peepholes,
                c[step],
                activation=ctx.activation,
                d_output=d_outputs[step],
                d_from_after=d_from_after,
                d_c=d_c,
                d_z=d_z[step],
                sums=sums,
            )
        rows, totals = d_z.flatten(0, 1), sums.sum(0)
        d_inputs = d_input_weight = None
        if inputs is not None and input_weight is not None:
            if needed["inputs"]:
                d_inputs = _product(rows, input_weight).view(inputs.shape)
            if needed["input"]:
                d_input_weight = _product(rows.t(), inputs.flatten(0, 1))
        return (
            d_inputs,
            _product(d_z[0], recurrent) if needed["h"] else None,
            d_c if needed["c"] else None,
            d_input_weight,
            _product(rows.t(), rounded[:-1].flatten(0, 1)) if needed["recurrent"] else None,
            totals[:4].flatten() if needed["bias"] else None,
            totals[4:] if needed["peepholes"] else None,
            None,
            None,
            None,
        )


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right in fp32, without rounding the result to the type of the operands."""
    if left.dtype == torch.float32:
        return left @ right
    # Only CUDA has such a product. The CPU comes here in tests alone, which run the kernels in Triton's interpreter.
    return torch.mm(left, right, out_dtype=torch.float32) if left.is_cuda else left.float() @ right.float()


def _contiguous(peepholes: Tensor | None) -> Tensor | None:
    return None if peepholes is None else peepholes.contiguous()
