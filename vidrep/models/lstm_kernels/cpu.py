"""The recurrence of one LSTM layer over a sequence, fast: the same as `reference_sequence`, with gradients of our own.

Shapes: T time, B batch, D input width, H hidden width. Time comes first: a time step is one piece of memory.

Forward, with h', c' the state before, * elementwise, s the activation (tanh or relu), x only if the layer has input and
the diagonal peepholes w only if it has them (Graves 2013, arXiv 1308.0850, section 2; Srivastava et al. 2015, arXiv
1502.04681, section 2.1); everything is (B, H), U and W the rows of one gate, (H, H) and (H, D):

    i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
    a = s      (Wa x + Ua h' + ba)                c = f*c' + i*a
    o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*s(c)

Backward, with dh and dc what the loss says of h and c beyond the gates of their own time step, dz what it says of what
stands in a gate's brackets, and s'(.) the activation's derivative:

    dzo = dh * s(c)*o*(1-o)                       dc <- dc + dh * (o*s'(c) + wo*s(c)*o*(1-o))
    dzi = dc * a*i*(1-i)        dzf = dc * c'*f*(1-f)        dza = dc * i*s'(za)
    dc' = dc * (f + wi*a*i*(1-i) + wf*c'*f*(1-f))
    dh' = dz U, (B, 4H) by (4H, H), and what the loss says of h' itself

What dh and dc are multiplied by is known for all time steps beforehand; going back in time is one matrix product and
four products of elements a time step. What the weights get are sums over time steps and batch, so one matrix product
each over all of them:

    dU = sum dz^T h'    dW = sum dz^T x    db = sum dz    dx = dz W    dwi, dwf = sum dzi*c', dzf*c'    dwo = sum dzo*c

Kept for the gradient: 7 B H numbers a time step, the four gates, c, s(c) and h, and the inputs; of h and the inputs, if
products are of another type, what they were rounded to for them.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .matmul import add_product, linear, product
from .reference import Activation, LayerWeights

_aten = torch.ops.aten


def cpu_sequence(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    *,
    num_steps: int,
    activation: Activation = "tanh",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Run one layer from the state h, c, (B, H) each: its h at every time step, (T, B, H), and its last c, (B, H).

    products: the type that operands of matrix products are rounded to, and their results, or None; weights are rounded
    once a sequence. State, sums over time steps of a product's terms and all else keep the type of h.
    """
    if inputs is None or weights.input is None:
        inputs, weights = None, weights._replace(input=None)
    else:
        inputs = inputs[:num_steps]
    tensors = (inputs, h, c, *weights)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        outputs, c_last = _Sequence.apply(*tensors, num_steps, activation, compute_dtype)
        return outputs, c_last
    rounded = _rounded(weights, compute_dtype or h.dtype)
    gates = _input_gates(inputs, rounded, num_steps, len(h))
    # h, and where there is input its products, are of all time steps at once; all else has room for one.
    run = _Run(
        h=h.new_empty(num_steps, *h.shape),
        c=torch.empty_like(c).expand(num_steps, *c.shape),
        gates=h.new_empty(len(h), 4 * h.shape[1]).expand(num_steps, -1, -1) if gates is None else gates,
        tanh_c=torch.empty_like(h).expand(num_steps, *h.shape),
        operand=None
        if compute_dtype is None
        else h.new_empty(1, *h.shape, dtype=compute_dtype).expand(num_steps, *h.shape),
    )
    _run(h, c, rounded, activation, run, is_input_in_gates=gates is not None)
    return run.h, run.c[-1]


class _Run(NamedTuple):
    """A layer's values over a sequence."""

    h: Tensor
    """(T, B, H)"""
    c: Tensor
    """(T, B, H)"""
    gates: Tensor
    """(T, B, 4H): i, f, a, o, after their activations"""
    tanh_c: Tensor
    """(T, B, H): s(c)"""
    operand: Tensor | None
    """(T, B, H): h before each time step, rounded for its product; None if that is of the same type"""


def _rounded(weights: LayerWeights, compute_dtype: torch.dtype) -> LayerWeights:
    """Return the weights with the matrices in the type of products."""
    matrix = None if weights.input is None else weights.input.to(compute_dtype)
    return weights._replace(input=matrix, recurrent=weights.recurrent.to(compute_dtype))


def _input_gates(inputs: Tensor | None, weights: LayerWeights, num_steps: int, batch_size: int) -> Tensor | None:
    """Return W x + b of all time steps, (T, B, 4H), if there is input."""
    if inputs is None or weights.input is None:
        return None
    return linear(inputs.flatten(0, 1), weights.input, weights.bias).view(num_steps, batch_size, -1)


def _run(
    h: Tensor, c: Tensor, weights: LayerWeights, activation: Activation, run: _Run, *, is_input_in_gates: bool
) -> None:
    """Go through the sequence from the state h, c, (B, H) each; `run.gates` may hold W x + b."""
    num_steps, (batch_size, size) = len(run.h), h.shape
    buffer = h.new_empty(batch_size, 4 * size)
    in_buffer = _parts(buffer)
    i_and_f, only_o = None, None
    if weights.peepholes is not None:
        i_and_f, only_o = weights.peepholes[:2], weights.peepholes[2]
    operands = [None] * num_steps if run.operand is None else run.operand.unbind()
    starts = run.gates.unbind() if is_input_in_gates else [weights.bias] * num_steps
    by_gate = run.gates.unflatten(2, (4, size))  # type: ignore[no-untyped-call]
    gates = zip(by_gate[:, :, :2].unbind(), *(gate.unbind() for gate in by_gate.unbind(2)), strict=True)
    steps = zip(run.h.unbind(), run.c.unbind(), run.tanh_c.unbind(), gates, starts, operands, strict=True)
    is_moved = not _is_zero(h)
    for next_h, next_c, tanh_c, (to_i_and_f, to_i, to_f, to_a, to_o), start, operand in steps:
        if is_moved:
            moved = h if operand is None else operand.copy_(h)
            summed = add_product(start, moved, weights.recurrent, buffer=buffer)
        else:
            summed = buffer.copy_(start)
            if operand is not None:
                operand.zero_()
            is_moved = True
        of_i_and_f, of_a, of_o = in_buffer if summed is buffer else _parts(summed)
        if i_and_f is not None:
            of_i_and_f.addcmul_(i_and_f, c[:, None])
        torch.sigmoid(of_i_and_f, out=to_i_and_f)
        _activate(of_a, activation, out=to_a)
        c = torch.mul(to_f, c, out=next_c).addcmul_(to_i, to_a)
        if only_o is not None:
            of_o.addcmul_(only_o, c)
        torch.sigmoid(of_o, out=to_o)
        _activate(c, activation, out=tanh_c)
        h = torch.mul(to_o, tanh_c, out=next_h)


def _is_zero(h: Tensor) -> bool:
    """Say whether a state needs no product, as the one that an encoder starts from; where it costs nothing to know."""
    return h.device.type == "cpu" and not h.any()


def _parts(summed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what stands in the brackets of i and f, (B, 2, H), of a and of o, (B, H) each, of (B, 4H)."""
    by_gate = summed.view(len(summed), 4, -1)
    return by_gate[:, :2], by_gate[:, 2], by_gate[:, 3]


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
        """Run the layer and keep what the gradients need."""
        weights = _rounded(LayerWeights(input_weight, recurrent, bias, peepholes), compute_dtype or h.dtype)
        batch_size, size = h.shape
        # Kept as products take them: what the layer below says need not be kept twice.
        inputs = None if inputs is None else inputs.to(compute_dtype or h.dtype)
        gates = _input_gates(inputs, weights, num_steps, batch_size)
        # h and c begin with those before the first time step.
        all_h, all_c = (h.new_empty(num_steps + 1, batch_size, size) for _ in range(2))
        all_h[0].copy_(h)
        all_c[0].copy_(c)
        run = _Run(
            h=all_h[1:],
            c=all_c[1:],
            gates=h.new_empty(num_steps, batch_size, 4 * size) if gates is None else gates,
            tanh_c=h.new_empty(num_steps, batch_size, size),
            operand=None if compute_dtype is None else h.new_empty(num_steps, batch_size, size, dtype=compute_dtype),
        )
        _run(h, c, weights, activation, run, is_input_in_gates=gates is not None)
        operand = all_h[:-1] if run.operand is None else run.operand
        ctx.save_for_backward(
            inputs, weights.input, weights.recurrent, peepholes, operand, all_c, run.gates, run.tanh_c
        )
        ctx.activation = activation
        ctx.set_materialize_grads(False)
        # A copy: a view of it would keep all time steps for who only wants the state.
        return run.h, all_c[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Go back through time, then collect over it what the inputs and weights get."""
        inputs, input_weight, recurrent, peepholes, operand, c, gates, tanh_c = ctx.saved_tensors
        needed = dict(zip(("inputs", "h", "c", *LayerWeights._fields), ctx.needs_input_grad, strict=False))
        d_gates, d_operand, d_h, d_c = _back_through_time(
            _Kept(c, gates, tanh_c, peepholes, ctx.activation), recurrent, d_outputs, d_c_last, to_start=needed["h"]
        )
        rows = d_operand.flatten(0, 1)
        num_zeros = len(operand[0]) if _is_zero(operand[0]) else 0

        def over_time(values: Tensor, *, skipped: int = 0) -> Tensor:
            return product(rows[skipped:].t(), values.flatten(0, 1)[skipped:]).to(d_gates.dtype)

        d_inputs = d_input_weight = None
        if inputs is not None and input_weight is not None:
            if needed["inputs"]:
                d_inputs = product(rows, input_weight).to(d_gates.dtype).view(inputs.shape)
            if needed["input"]:
                d_input_weight = over_time(inputs)
        return (
            d_inputs,
            d_h,
            d_c if needed["c"] else None,
            d_input_weight,
            over_time(operand, skipped=num_zeros) if needed["recurrent"] else None,
            d_gates.sum((0, 1)) if needed["bias"] else None,
            _peepholes_gradient(d_gates, c) if needed["peepholes"] else None,
            None,
            None,
            None,
        )


class _Kept(NamedTuple):
    """What going back through time needs of the way there: c (T+1, B, H), gates (T, B, 4H), tanh_c (T, B, H)."""

    c: Tensor
    gates: Tensor
    tanh_c: Tensor
    peepholes: Tensor | None
    activation: Activation


def _back_through_time(
    kept: _Kept, recurrent: Tensor, d_outputs: Tensor | None, d_c_last: Tensor | None, *, to_start: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Return what the loss says of the gates before their activations, (T, B, 4H), and of the first h and c.

    The former twice, as it is and in the type of products, that of `recurrent`; the same tensor if types are the same.
    What is said of the first h costs a product, done only if `to_start`.
    """
    d_gates, of_h, of_c = _factors(kept)
    d_operand = d_gates if recurrent.dtype == d_gates.dtype else torch.empty_like(d_gates, dtype=recurrent.dtype)
    if d_outputs is None:
        d_outputs = kept.c.new_zeros(()).expand_as(kept.tanh_c)
    d_c = torch.zeros_like(kept.c[0]) if d_c_last is None else d_c_last.clone()
    buffer, to_before = torch.empty_like(d_c), recurrent.t()
    by_gate, after = d_gates.view(*d_gates.shape[:2], 4, -1), None
    steps = [part.unbind() for part in (d_outputs, d_operand, d_gates, by_gate[:, :, :3], by_gate[:, :, 3], of_h, of_c)]
    for d_h, operand, gates, by_c, by_h, to_c, to_c_before in reversed(list(zip(*steps, strict=True))):
        if after is not None:
            d_h = add_product(d_h, after, to_before, buffer=buffer)
        d_c.addcmul_(d_h, to_c)
        by_c.mul_(d_c[:, None])
        by_h.mul_(d_h)
        d_c.mul_(to_c_before)
        after = operand if d_operand is d_gates else operand.copy_(gates)
    d_h_start = product(d_operand[0], recurrent).to(d_c.dtype) if to_start else None
    return d_gates, d_operand, d_h_start, d_c


def _factors(kept: _Kept) -> tuple[Tensor, Tensor, Tensor]:
    """Return what dh and dc are multiplied by, for all time steps.

    (T, B, 4H): on their way to zi, zf and za (dc), and zo (dh). (T, B, H): dh on its way to c of the same time step,
    and dc to c of the one before.
    """
    i, f, a, o = kept.gates.chunk(4, dim=2)
    factors = torch.empty_like(kept.gates)
    to_i, to_f, to_a, to_o = factors.chunk(4, dim=2)
    _aten.sigmoid_backward(a, i, grad_input=to_i)
    _aten.sigmoid_backward(kept.c[:-1], f, grad_input=to_f)
    _aten.sigmoid_backward(kept.tanh_c, o, grad_input=to_o)
    if kept.activation == "tanh":
        _aten.tanh_backward(i, a, grad_input=to_a)
        to_c = _aten.tanh_backward(o, kept.tanh_c)
    else:
        _aten.threshold_backward(i, a, 0, grad_input=to_a)
        to_c = _aten.threshold_backward(o, kept.tanh_c, 0)
    if kept.peepholes is None:
        return factors, to_c, f
    to_c.addcmul_(to_o, kept.peepholes[2])
    return factors, to_c, torch.addcmul(f, to_i, kept.peepholes[0]).addcmul_(to_f, kept.peepholes[1])


def _peepholes_gradient(d_gates: Tensor, c: Tensor) -> Tensor:
    """Return what the peepholes get, (3, H), of d_gates (T, B, 4H) and c (T+1, B, H)."""
    d_i, d_f, _, d_o = d_gates.chunk(4, dim=2)
    return torch.stack([(d * seen).sum((0, 1)) for d, seen in ((d_i, c[:-1]), (d_f, c[:-1]), (d_o, c[1:]))])


def _activate(values: Tensor, activation: Activation, *, out: Tensor) -> None:
    """Write the activation to `out`, which may be `values`."""
    if activation == "relu":
        torch.clamp(values, min=0, out=out)
    elif values.dtype == torch.float32:
        # tanh(x) = 2 sigmoid(2x) - 1 takes a third of the time of torch's tanh. It is off by 2e-7 at most, as much as
        # the sum in the brackets: next to nothing of a, but relatively much of an x below 1e-4.
        torch.add(values, values, out=out).sigmoid_().mul_(2).sub_(1)
    else:
        torch.tanh(values, out=out)
