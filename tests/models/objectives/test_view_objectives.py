"""Contrast and balanced prototypes, against NumPy in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_networks import lstm_spec, pretraining_network, random
from torch import Tensor

from vidrep.errors import ConfigError
from vidrep.models.inputs import InputTransforms
from vidrep.models.objectives.balanced_prototypes import BalancedPrototypes, balanced_assignment
from vidrep.models.objectives.contrast import nt_xent
from vidrep.models.objectives.objective import Views
from vidrep.models.objectives.view_objective import ViewObjective
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.sequences.window_batch import WindowBatch

N, P, T, D, H = 5, 4, 3, 5, 6
GROUPS = torch.tensor([0, 1, 0, 1, 1])
Doubles = NDArray[np.float64]


def reference_nt_xent(projected: Doubles, temperature: float) -> float:
    """Equation 1 of Chen et al. 2020, term by term."""
    unit = projected / np.linalg.norm(projected, axis=-1, keepdims=True)
    views = [(clip, view) for clip in range(len(unit)) for view in (0, 1)]
    losses = []
    for clip, view in views:
        similarities = {other: float(unit[clip, view] @ unit[other]) / temperature for other in views}
        denominator = sum(np.exp(value) for other, value in similarities.items() if other != (clip, view))
        losses.append(-np.log(np.exp(similarities[clip, 1 - view]) / denominator))
    assert len(losses) == 2 * len(unit)
    return float(np.mean(losses))


def reference_assignment(scores: Doubles, group: NDArray[np.int64], iterations: int) -> Doubles:
    """Sinkhorn for one group after the other."""
    assigned = np.exp(scores)
    for one in np.unique(group):
        rows = assigned[group == one]
        for _ in range(iterations):
            rows = rows / rows.sum(axis=0, keepdims=True)
            rows = rows / rows.sum(axis=1, keepdims=True)
        assigned[group == one] = rows
    return assigned


def views_of(representations: Tensor) -> Views:
    return Views(representations, torch.arange(len(representations)), GROUPS)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_contrast_is_nt_xent_over_all_other_views(temperature: float) -> None:
    projected = random(N, 2, P)
    expected = reference_nt_xent(projected.numpy(), temperature)
    assert nt_xent(projected, temperature).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradients_of_both_losses_are_those_of_differences() -> None:
    projected = random(N, 2, P).requires_grad_()
    assert torch.autograd.gradcheck(lambda one: nt_xent(one, 0.5), (projected,))
    prototypes = objective_of("balanced_prototypes")
    assert isinstance(prototypes, BalancedPrototypes)
    other = random(N, 2, P).requires_grad_()
    # Assignments have no gradient; kept fixed, they leave a smooth loss.
    fixed = [balanced_assignment(random(N, 24), GROUPS, 5) for _ in (0, 1)]

    def loss(projected: Tensor) -> Tensor:
        unit = torch.nn.functional.normalize(projected, dim=-1)
        cosines = unit @ torch.nn.functional.normalize(prototypes.prototypes, dim=-1).T
        return -(fixed[0] * (cosines[:, 0] / 0.2).log_softmax(-1)).sum()

    assert torch.autograd.gradcheck(loss, (other,))


def test_assignments_are_balanced_within_each_group_and_add_up_to_one_for_each_clip() -> None:
    scores = 3 * random(N, 3)
    found = balanced_assignment(scores, GROUPS, 5)
    np.testing.assert_allclose(found.numpy(), reference_assignment(scores.numpy(), GROUPS.numpy(), 5), rtol=1e-12)
    np.testing.assert_allclose(found.sum(dim=1), 1.0)
    converged = balanced_assignment(scores, GROUPS, 500)
    for group, size in ((0, 2), (1, 3)):
        np.testing.assert_allclose(converged[group == GROUPS].sum(dim=0), size / 3, rtol=1e-6)


def test_balanced_prototypes_are_the_swapped_prediction() -> None:
    objective = objective_of("balanced_prototypes")
    assert isinstance(objective, BalancedPrototypes)
    projected, prototypes = random(N, 2, P), objective.prototypes.detach()
    unit = projected / projected.norm(dim=-1, keepdim=True)
    cosines = (unit @ (prototypes / prototypes.norm(dim=-1, keepdim=True)).T).numpy()
    losses = []
    for view in (0, 1):
        logits = cosines[:, view] / 0.2
        predicted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses.append(-(reference_assignment(cosines[:, 1 - view] / 0.1, GROUPS.numpy(), 5) * predicted).sum(axis=1))
    assert objective.mean_loss(projected, views_of(projected)).item() == pytest.approx(np.mean(losses), rel=1e-12)


def objective_of(name: str) -> ViewObjective:
    one = network_of(name).objectives[name]
    assert isinstance(one, ViewObjective)
    return one


def network_of(*names: str) -> PretrainingNetwork:
    settings = {name: {"projection_size": P} if name not in ("reconstruction", "future") else {} for name in names}
    return pretraining_network(
        objectives=settings, stack=lstm_spec(hidden_size=H), num_context=T if "reconstruction" in names else 0
    )


def batch_of(num_context: int) -> WindowBatch:
    return WindowBatch(random(num_context, N, D), video=torch.arange(N), group=GROUPS, views=random(T + 1, N, 2, D))


def inputs_of() -> InputTransforms:
    return InputTransforms(D, {}).double()


def test_views_are_encoded_on_their_own_and_their_last_output_is_compared() -> None:
    network, batch = network_of("contrast"), batch_of(0)
    assert network.needs_whole_batch == ["contrast"] and network.needs_one_rank == []
    losses = network.losses(inputs_of(), batch)
    assert batch.views is not None
    last = torch.stack([network.encode(batch.views[:, :, view]).outputs[-1] for view in (0, 1)], dim=1)
    objective = network.objectives["contrast"]
    assert isinstance(objective, ViewObjective)
    projected = objective.projection(last)
    expected = reference_nt_xent(projected.detach().numpy(), 0.5)
    # A share of the whole: the mean, times the clips of this batch.
    assert losses.by_name["contrast"].total.item() == pytest.approx(N * expected, rel=1e-6)
    validation, _ = network.validation(inputs_of(), batch)
    assert validation.by_name["contrast"].total.item() == pytest.approx(N * expected, rel=1e-6)


def test_objectives_of_windows_do_not_change_beside_contrast() -> None:
    both, batch = network_of("reconstruction", "contrast"), batch_of(T)
    alone = network_of("reconstruction")
    alone.load_state_dict({name: value for name, value in both.state_dict().items() if "contrast" not in name})
    found = both.losses(inputs_of(), batch).by_name
    assert torch.equal(found["reconstruction"].total, alone.losses(inputs_of(), batch).by_name["reconstruction"].total)
    assert set(found) == {"reconstruction", "contrast"}


def test_two_shards_that_gather_each_other_have_the_loss_and_the_gradient_of_the_whole() -> None:
    network, batch = network_of("contrast", "balanced_prototypes"), batch_of(0)
    torch.autograd.backward(sum_of(network, batch))
    whole = {name: one.grad.clone() for name, one in network.named_parameters() if one.grad is not None}
    network.zero_grad()
    shards = [slice(0, 2), slice(2, N)]
    gathered: dict[int, list[Tensor]] = {}

    def losses(number: int) -> Tensor:
        calls = iter(range(3))

        def gather(local: Tensor) -> Tensor:
            parts = gathered[next(calls)]
            return torch.cat([*parts[:number], local, *parts[number + 1 :]])

        return torch.stack(
            [
                one.total
                for one in network.losses(inputs_of(), batch.windows(shards[number]), None, gather).by_name.values()
            ]
        ).sum()

    # What each shard has, with its graph: gradients flow to the weights through the other's views too.
    for shard in shards:
        calls = iter(range(3))

        def keep(local: Tensor, calls: object = calls) -> Tensor:
            gathered.setdefault(next(calls), []).append(local)  # type: ignore[call-overload]
            return local

        network.losses(inputs_of(), batch.windows(shard), None, keep)
    total = losses(0) + losses(1)
    torch.autograd.backward(total)
    for name, one in network.named_parameters():
        if name in whole:
            assert one.grad is not None
            torch.testing.assert_close(one.grad, whole[name])


def sum_of(network: PretrainingNetwork, batch: WindowBatch) -> Tensor:
    return torch.stack([one.total for one in network.losses(inputs_of(), batch).by_name.values()]).sum()


def test_a_batch_without_views_is_refused() -> None:
    with pytest.raises(ValueError, match="without views"):
        network_of("contrast").losses(inputs_of(), batch_of(0)._replace(views=None))
    with pytest.raises(ConfigError, match="temperature is 0"):
        pretraining_network(objectives={"contrast": {"temperature": 0.0}})
