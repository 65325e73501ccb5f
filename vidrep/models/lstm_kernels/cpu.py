"""The recurrence of one LSTM layer over a sequence, fast: `reference_sequence` with hand-written gradients.

Shapes: T time, B batch, D input width, H hidden width. Time comes first: a time step is contiguous in memory.

Forward: h' and c' are the state before, * is elementwise, and s is the activation (tanh, relu or softsign). Without
input there is no x, and without peepholes there are no diagonal weights w (Graves 2013, arXiv 1308.0850, section 2;
Srivastava et al. 2015, arXiv 1502.04681, section 2.1). U and W are the rows of one gate, (H, H) and (H, D); all else is
(B, H):

    i = sigmoid(Wi x + Ui h' + wi*c' + bi)        f = sigmoid(Wf x + Uf h' + wf*c' + bf)
    g = s      (Wg x + Ug h' + bg)                c = f*c' + i*g
    o = sigmoid(Wo x + Uo h' + wo*c + bo)         h = o*s(c)

Backward: zi, zf, zg and zo are the pre-activations, the arguments of sigmoid and s above; dz is the gradient of the
loss in them. dh and dc start as the gradient of the loss in h and c through everything but the gates of their own time
step. s' is the derivative of the activation:

    dzo = dh * s(c)*o*(1-o)                       dc <- dc + dh * (o*s'(c) + wo*s(c)*o*(1-o))
    dzi = dc * g*i*(1-i)        dzf = dc * c'*f*(1-f)        dzg = dc * i*s'(zg)
    dc' = dc * (f + wi*g*i*(1-i) + wf*c'*f*(1-f))
    dh' = dz U, (B, 4H) by (4H, H), plus the gradient of the loss in the output h'

The factors of dh and dc depend on forward values alone, so they are computed for all time steps at once. What is left
of a backward time step is one matrix product and four elementwise ones. The gradients of the weights are sums over time
and batch, each one matrix product over all time steps:

    dU = sum dz^T h'    dW = sum dz^T x    db = sum dz    dx = dz W    dwi, dwf = sum dzi*c', dzf*c'    dwo = sum dzo*c

Memory for the gradient: 7 B H numbers a time step (the four gates, c, s(c) and h), and the inputs. If products have a
type of their own, h and the inputs are kept rounded to it.
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

    compute_dtype: the type to which operands and results of matrix products are rounded, None for that of h; weights
    are rounded once a sequence. The state and everything else keep the type of h.
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
    # h spans all time steps, and so do the gates if there is input; every other buffer holds one time step.
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
    """(T, B, 4H): i, f, g, o, after their activations"""
    tanh_c: Tensor
    """(T, B, H): s(c)"""
    operand: Tensor | None
    """(T, B, H): h before each time step, rounded to the type of products; None if that is the type of h"""


def _rounded(weights: LayerWeights, compute_dtype: torch.dtype) -> LayerWeights:
    """Return the weights with both matrices in the type of products."""
    input_weight = None if weights.input is None else weights.input.to(compute_dtype)
    return weights._replace(input=input_weight, recurrent=weights.recurrent.to(compute_dtype))


def _input_gates(inputs: Tensor | None, weights: LayerWeights, num_steps: int, batch_size: int) -> Tensor | None:
    """Return W x + b of all time steps, (T, B, 4H), if there is input."""
    if inputs is None or weights.input is None:
        return None
    return linear(inputs.flatten(0, 1), weights.input, weights.bias).view(num_steps, batch_size, -1)


def _run(
    h: Tensor, c: Tensor, weights: LayerWeights, activation: Activation, run: _Run, *, is_input_in_gates: bool
) -> None:
    """Compute the sequence from the state h, c, (B, H) each, into `run`.

    is_input_in_gates: `run.gates` holds W x + b, which the gates replace.
    """
    num_steps, (batch_size, size) = len(run.h), h.shape
    buffer = h.new_empty(batch_size, 4 * size)
    buffer_views = _split_gates(buffer)
    peepholes_if, peephole_o = None, None
    if weights.peepholes is not None:
        peepholes_if, peephole_o = weights.peepholes[:2], weights.peepholes[2]
    operands = [None] * num_steps if run.operand is None else run.operand.unbind()
    starts = run.gates.unbind() if is_input_in_gates else [weights.bias] * num_steps
    by_gate = run.gates.unflatten(2, (4, size))  # type: ignore[no-untyped-call]
    gates = zip(by_gate[:, :, :2].unbind(), *(gate.unbind() for gate in by_gate.unbind(2)), strict=True)
    steps = zip(run.h.unbind(), run.c.unbind(), run.tanh_c.unbind(), gates, starts, operands, strict=True)
    is_zero = _is_zero(h)
    for next_h, next_c, tanh_c, (i_f, i, f, g, o), start, operand in steps:
        if is_zero:
            z = buffer.copy_(start)
            if operand is not None:
                operand.zero_()
            is_zero = False
        else:
            rounded_h = h if operand is None else operand.copy_(h)
            z = add_product(start, rounded_h, weights.recurrent, buffer=buffer)
        z_if, z_g, z_o = buffer_views if z is buffer else _split_gates(z)
        if peepholes_if is not None:
            z_if.addcmul_(peepholes_if, c[:, None])
        torch.sigmoid(z_if, out=i_f)
        _activate(z_g, activation, out=g)
        c = torch.mul(f, c, out=next_c).addcmul_(i, g)
        if peephole_o is not None:
            z_o.addcmul_(peephole_o, c)
        torch.sigmoid(z_o, out=o)
        _activate(c, activation, out=tanh_c)
        h = torch.mul(o, tanh_c, out=next_h)


def _is_zero(h: Tensor) -> bool:
    """Return whether h is all zeros, as an encoder's initial state is, so that no product is needed.

    Always False on other devices than the CPU, where the check would wait for the device.
    """
    return h.device.type == "cpu" and not h.any()


def _split_gates(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split pre-activations, (B, 4H), into views: those of i and f, (B, 2, H), of g and of o, (B, H) each."""
    by_gate = z.view(len(z), 4, -1)
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
        """Run the layer and save what the gradients need."""
        weights = _rounded(LayerWeights(input_weight, recurrent, bias, peepholes), compute_dtype or h.dtype)
        batch_size, size = h.shape
        # Rounded before they are saved, so that the inputs are not kept in two types.
        inputs = None if inputs is None else inputs.to(compute_dtype or h.dtype)
        gates = _input_gates(inputs, weights, num_steps, batch_size)
        # The first h and c are those before the first time step.
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
        # A copy, since a view would keep c of all time steps alive.
        return run.h, all_c[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Go back through time, then compute the gradients of inputs and weights over all time steps at once."""
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
    """Forward values that the gradient needs: c (T+1, B, H), gates (T, B, 4H), tanh_c (T, B, H)."""

    c: Tensor
    gates: Tensor
    tanh_c: Tensor
    peepholes: Tensor | None
    activation: Activation


def _back_through_time(
    kept: _Kept, recurrent: Tensor, d_outputs: Tensor | None, d_c_last: Tensor | None, *, to_start: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Return the gradients of the loss in the pre-activations, (T, B, 4H), and in the first h and c, (B, H) each.

    The first of them comes twice: as it is and in the type of products, that of `recurrent`; as one tensor if the types
    are the same. to_start: whether the gradient in the first h, which costs a product, is computed; else it is None.
    """
    d_gates, h_factors, c_factors = _factors(kept)
    d_operand = d_gates if recurrent.dtype == d_gates.dtype else torch.empty_like(d_gates, dtype=recurrent.dtype)
    if d_outputs is None:
        d_outputs = kept.c.new_zeros(()).expand_as(kept.tanh_c)
    d_c = torch.zeros_like(kept.c[0]) if d_c_last is None else d_c_last.clone()
    buffer, transposed = torch.empty_like(d_c), recurrent.t()
    by_gate, d_z_after = d_gates.view(*d_gates.shape[:2], 4, -1), None
    d_ifg, d_o = by_gate[:, :, :3], by_gate[:, :, 3]  # factors, until they are multiplied by dc and dh
    steps = [part.unbind() for part in (d_outputs, d_operand, d_gates, d_ifg, d_o, h_factors, c_factors)]
    for d_h, operand, d_z, d_z_ifg, d_z_o, h_to_c, c_to_c_before in reversed(list(zip(*steps, strict=True))):
        if d_z_after is not None:
            d_h = add_product(d_h, d_z_after, transposed, buffer=buffer)
        d_c.addcmul_(d_h, h_to_c)
        d_z_ifg.mul_(d_c[:, None])
        d_z_o.mul_(d_h)
        d_c.mul_(c_to_c_before)
        d_z_after = operand if d_operand is d_gates else operand.copy_(d_z)
    d_h_start = product(d_operand[0], recurrent).to(d_c.dtype) if to_start else None
    return d_gates, d_operand, d_h_start, d_c


def _factors(kept: _Kept) -> tuple[Tensor, Tensor, Tensor]:
    """Return the factors of dh and dc in the equations above, for all time steps.

    (T, B, 4H): of dc in dzi, dzf and dzg, of dh in dzo. (T, B, H): of dh in dc. (T, B, H): of dc in dc'.
    """
    i, f, g, o = kept.gates.chunk(4, dim=2)
    factors = torch.empty_like(kept.gates)
    to_i, to_f, to_g, to_o = factors.chunk(4, dim=2)
    _aten.sigmoid_backward(g, i, grad_input=to_i)
    _aten.sigmoid_backward(kept.c[:-1], f, grad_input=to_f)
    _aten.sigmoid_backward(kept.tanh_c, o, grad_input=to_o)
    if kept.activation == "tanh":
        _aten.tanh_backward(i, g, grad_input=to_g)
        to_c = _aten.tanh_backward(o, kept.tanh_c)
    elif kept.activation == "softsign":
        torch.mul(i, (1 - g.abs()).square_(), out=to_g)
        to_c = o * (1 - kept.tanh_c.abs()).square_()
    else:
        _aten.threshold_backward(i, g, 0, grad_input=to_g)
        to_c = _aten.threshold_backward(o, kept.tanh_c, 0)
    if kept.peepholes is None:
        return factors, to_c, f
    to_c.addcmul_(to_o, kept.peepholes[2])
    return factors, to_c, torch.addcmul(f, to_i, kept.peepholes[0]).addcmul_(to_f, kept.peepholes[1])


def _peepholes_gradient(d_gates: Tensor, c: Tensor) -> Tensor:
    """Return the gradient of the peepholes, (3, H): d_gates (T, B, 4H), c (T+1, B, H)."""
    d_i, d_f, _, d_o = d_gates.chunk(4, dim=2)
    return torch.stack([(d * cell).sum((0, 1)) for d, cell in ((d_i, c[:-1]), (d_f, c[:-1]), (d_o, c[1:]))])


def _activate(values: Tensor, activation: Activation, *, out: Tensor) -> None:
    """Write the activation to `out`, which may be `values`."""
    if activation == "relu":
        torch.clamp(values, min=0, out=out)
    elif activation == "softsign":
        torch.div(values, values.abs().add_(1), out=out)
    elif values.dtype == torch.float32:
        # tanh(x) = 2 sigmoid(2x) - 1 takes a third of the time of torch's tanh. Its absolute error is 2e-7 at most, no
        # more than that of the sum x; only the relative error is large, where x is below 1e-4.
        torch.add(values, values, out=out).sigmoid_().mul_(2).sub_(1)
    else:
        torch.tanh(values, out=out)
