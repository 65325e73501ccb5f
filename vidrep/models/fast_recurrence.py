"""The recurrence of one LSTM layer over a sequence, fast: the same as `plain_sequence`, with gradients of our own.

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

Kept for the gradient: 7 B H numbers a time step, the four gates, c, s(c) and h.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .recurrence import Activation, LayerWeights

_aten = torch.ops.aten


def fast_sequence(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    *,
    num_steps: int,
    activation: Activation = "tanh",
    products: torch.dtype | None = None,
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
        outputs, c_last = _Sequence.apply(*tensors, num_steps, activation, products)
        return outputs, c_last
    # h, and where there is input its products, are of all time steps at once; all else has room for one.
    shape = (num_steps, *h.shape)
    run = _Run(
        h=h.new_empty(shape),
        c=h.new_empty(h.shape).expand(shape),
        gates=h.new_empty(1 if inputs is None else num_steps, len(h), 4 * h.shape[1]).expand(num_steps, -1, -1),
        squashed=h.new_empty(h.shape).expand(shape),
    )
    _run(inputs, h, c, weights, activation, products, run)
    return run.h, run.c[-1]


class _Run(NamedTuple):
    """A layer's values over a sequence. Kept for the gradient, h and c begin with those before the first time step."""

    h: Tensor
    """(T, B, H)"""
    c: Tensor
    """(T, B, H)"""
    gates: Tensor
    """(T, B, 4H): i, f, a, o, after their activations"""
    squashed: Tensor
    """(T, B, H): s(c)"""


def _run(
    inputs: Tensor | None,
    h: Tensor,
    c: Tensor,
    weights: LayerWeights,
    activation: Activation,
    products: torch.dtype | None,
    run: _Run,
) -> None:
    """Go through the sequence from the state h, c, (B, H) each."""
    if inputs is not None and weights.input is not None:
        matrix = weights.input.to(products or h.dtype).t()
        _product(weights.bias, inputs.flatten(0, 1), matrix, out=run.gates.flatten(0, 1))
    matrix, i_and_f_size = weights.recurrent.to(products or h.dtype).t(), 2 * h.shape[1]
    peepholes = None if weights.peepholes is None else weights.peepholes.unbind()
    for next_h, next_c, gates, squashed in zip(*(values.unbind() for values in run), strict=True):
        _product(weights.bias if inputs is None else gates, h, matrix, out=gates)
        i, f, a, o = gates.chunk(4, dim=1)
        if peepholes is not None:
            i.addcmul_(peepholes[0], c)
            f.addcmul_(peepholes[1], c)
        gates[:, :i_and_f_size].sigmoid_()
        _activate(a, activation, out=a)
        c = torch.mul(f, c, out=next_c).addcmul_(i, a)
        if peepholes is not None:
            o.addcmul_(peepholes[2], c)
        o.sigmoid_()
        _activate(c, activation, out=squashed)
        h = torch.mul(o, squashed, out=next_h)


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
        products: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]:
        """Run the layer and keep what the gradients need."""
        weights = LayerWeights(input_weight, recurrent, bias, peepholes)
        batch_size, size = h.shape
        run = _Run(
            h=h.new_empty(num_steps + 1, batch_size, size),
            c=h.new_empty(num_steps + 1, batch_size, size),
            gates=h.new_empty(num_steps, batch_size, 4 * size),
            squashed=h.new_empty(num_steps, batch_size, size),
        )
        run.h[0].copy_(h)
        run.c[0].copy_(c)
        _run(inputs, h, c, weights, activation, products, run._replace(h=run.h[1:], c=run.c[1:]))
        ctx.save_for_backward(inputs, input_weight, recurrent, peepholes, *run)
        ctx.activation, ctx.products = activation, products
        ctx.set_materialize_grads(False)
        # A copy: a view of it would keep all time steps for who only wants the state.
        return run.h[1:], run.c[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Go back through time, then collect over it what the inputs and weights get."""
        inputs, input_weight, recurrent, peepholes, *kept = ctx.saved_tensors
        run, products = _Run(*kept), ctx.products or recurrent.dtype
        needed = dict(zip(("inputs", "h", "c", *LayerWeights._fields), ctx.needs_input_grad, strict=False))
        d_gates, d_h, d_c = _back_through_time(
            run, recurrent.to(products), peepholes, ctx.activation, d_outputs, d_c_last, to_start=needed["h"]
        )
        rows = d_gates.flatten(0, 1)
        rounded = rows.to(products)

        def over_time(values: Tensor) -> Tensor:
            return (rounded.t() @ values.flatten(0, 1).to(products)).to(rows.dtype)

        d_inputs = d_input_weight = None
        if inputs is not None and input_weight is not None:
            if needed["inputs"]:
                d_inputs = (rounded @ input_weight.to(products)).to(rows.dtype).view(inputs.shape)
            if needed["input"]:
                d_input_weight = over_time(inputs)
        return (
            d_inputs,
            d_h,
            d_c if needed["c"] else None,
            d_input_weight,
            over_time(run.h[:-1]) if needed["recurrent"] else None,
            rows.sum(0) if needed["bias"] else None,
            _peepholes_gradient(d_gates, run.c) if needed["peepholes"] else None,
            None,
            None,
            None,
        )


def _back_through_time(
    run: _Run,
    recurrent: Tensor,
    peepholes: Tensor | None,
    activation: Activation,
    d_outputs: Tensor | None,
    d_c_last: Tensor | None,
    *,
    to_start: bool,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return what the loss says of the gates before their activations, (T, B, 4H), and of the first h and c.

    That of the first h costs a product, done only if `to_start`.
    """
    d_gates, of_h, of_c = _factors(run, peepholes, activation)
    if d_outputs is None:
        d_outputs = run.c.new_zeros(()).expand_as(run.squashed)
    d_c = torch.zeros_like(run.c[0]) if d_c_last is None else d_c_last.clone()
    room = torch.empty_like(d_c)
    by_gate = d_gates.view(*d_gates.shape[:2], 4, -1)
    steps = [values.unbind() for values in (d_outputs, d_gates, by_gate[:, :, :3], by_gate[:, :, 3], of_h, of_c)]
    after = None
    for d_output, gates, by_c, by_h, to_c, to_c_before in reversed(list(zip(*steps, strict=True))):
        d_h = d_output if after is None else _product(d_output, after, recurrent, out=room)
        d_c.addcmul_(d_h, to_c)
        by_c.mul_(d_c[:, None])
        by_h.mul_(d_h)
        d_c.mul_(to_c_before)
        after = gates
    d_h_start = (d_gates[0].to(recurrent.dtype) @ recurrent).to(d_c.dtype) if to_start else None
    return d_gates, d_h_start, d_c


def _factors(run: _Run, peepholes: Tensor | None, activation: Activation) -> tuple[Tensor, Tensor, Tensor]:
    """Return what dh and dc are multiplied by, for all time steps.

    (T, B, 4H): on their way to zi, zf and za (dc), and zo (dh). (T, B, H): dh on its way to c of the same time step,
    and dc to c of the one before.
    """
    i, f, a, o = run.gates.chunk(4, dim=2)
    factors = torch.empty_like(run.gates)
    to_i, to_f, to_a, to_o = factors.chunk(4, dim=2)
    _aten.sigmoid_backward(a, i, grad_input=to_i)
    _aten.sigmoid_backward(run.c[:-1], f, grad_input=to_f)
    _aten.sigmoid_backward(run.squashed, o, grad_input=to_o)
    if activation == "tanh":
        _aten.tanh_backward(i, a, grad_input=to_a)
        to_c = _aten.tanh_backward(o, run.squashed)
    else:
        _aten.threshold_backward(i, a, 0, grad_input=to_a)
        to_c = _aten.threshold_backward(o, run.squashed, 0)
    if peepholes is None:
        return factors, to_c, f
    to_c.addcmul_(to_o, peepholes[2])
    return factors, to_c, torch.addcmul(f, to_i, peepholes[0]).addcmul_(to_f, peepholes[1])


def _peepholes_gradient(d_gates: Tensor, c: Tensor) -> Tensor:
    """Return what the peepholes get, (3, H), of d_gates (T, B, 4H) and c (T+1, B, H)."""
    d_i, d_f, _, d_o = d_gates.chunk(4, dim=2)
    return torch.stack([(d * seen).sum((0, 1)) for d, seen in ((d_i, c[:-1]), (d_f, c[:-1]), (d_o, c[1:]))])


def _activate(values: Tensor, activation: Activation, *, out: Tensor) -> None:
    if activation == "tanh":
        torch.tanh(values, out=out)
    else:
        torch.clamp(values, min=0, out=out)


def _product(start: Tensor, values: Tensor, matrix: Tensor, *, out: Tensor) -> Tensor:
    """Write start + values @ matrix to `out`, the product in the type of `matrix`."""
    if matrix.dtype == out.dtype:
        return torch.addmm(start, values, matrix, out=out)
    return torch.add(start, values.to(matrix.dtype) @ matrix, out=out)
