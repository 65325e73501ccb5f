"""Optimisers and learning-rate schedules."""

import math

import torch
from torch import nn

from ..config import OptimiserSettings

_CLASSES = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def build_optimiser(model: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Build torch's fused optimiser over the parameters that learn; weight decay is for matrices alone."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimiser: torch.optim.Optimizer = _CLASSES[settings.name](groups, lr=settings.learning_rate, fused=True)
    return optimiser


def learning_rate(step: int, total_steps: int, settings: OptimiserSettings) -> float:
    """Return the learning rate of a step, 0 being the first: linear warm-up, then constant or half a cosine to zero."""
    warmup = min(settings.warmup_steps, total_steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.decay == "none":
        return settings.learning_rate
    progress = (step - warmup) / max(1, total_steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
