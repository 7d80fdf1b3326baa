"""One model between finished siblings, turned while it serves: theta = base + sum_i a_i (sibling_i - base).

Two fine-tunings of one base lie close enough that the weights between them are models too ("task arithmetic",
Ilharco et al. 2023); a direction of training is then a dial that costs no further training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError, check_number

State = Mapping[str, Tensor]


def changed_weights(base: State, sibling: State) -> dict[str, Tensor]:
    """What training changed: the sibling's tensors that are not the base's, all others left out.

    They are kept as they are and not as differences: base + (sibling - base) would not round back to the sibling.

    Args:
        base: a model's state.
        sibling: the state of a model of the same shape.

    Raises:
        ConfigError: if names or shapes differ.
    """
    differing = sorted(
        name
        for name in base.keys() | sibling.keys()
        if name not in base or name not in sibling or base[name].shape != sibling[name].shape
    )
    if differing:
        raise ConfigError(
            "only models of one shape can be mixed",
            where="toward",
            got=differing,
            mend="Use runs with the same model, user, tuning and data.",
        )
    return {name: tensor.detach().clone() for name, tensor in sibling.items() if not torch.equal(tensor, base[name])}


class Dial:
    """A model with a dial for each direction in which its base was trained further.

    Args:
        model: of the base's shape; its weights are overwritten at each turn.
        base: state in which every dial stands at 0.
        changes: what `changed_weights` gave, by the name of its dial.
    """

    def __init__(self, model: nn.Module, base: State, changes: Mapping[str, State]) -> None:
        self.model, self.names = model, tuple(changes)
        self._base = {name: tensor.detach().clone() for name, tensor in base.items()}
        self._changes = list(changes.values())
        self.set(*[0.0] * len(self._changes))

    @property
    def amounts(self) -> tuple[float, ...]:
        """Where the dials stand."""
        return self._amounts

    def set(self, *amounts: float) -> None:
        """Turn all dials.

        Args:
            *amounts: one for each of `names`: 0 = the base, exactly; 1 (the others at 0) = the sibling, exactly; beyond
                1 the model goes on along the line. What cannot be mixed (integers, flags) is the base's in between.
                The weights are linear in the amounts; the product of two low-rank factors (LoRA) is quadratic.

        Raises:
            ConfigError: another number of amounts than of dials, or an amount that is no finite number.
        """
        if len(amounts) != len(self._changes):
            raise ConfigError(f"needs {len(self._changes)} numbers, one for each dial", where="amounts", got=amounts)
        for amount in amounts:
            check_number("amounts", amount)
        self.model.load_state_dict({name: self._mixed(name, amounts) for name in self._base})
        self._amounts = tuple(float(amount) for amount in amounts)
        self._forget_vectors()

    def _forget_vectors(self) -> None:
        """A model may keep item vectors from its last evaluation; a change of mode makes it drop them."""
        mode, modes = self.model.training, {module: module.training for module in self.model.modules()}
        self.model.train(not mode).train(mode)
        for module, own in modes.items():
            module.training = own

    def _mixed(self, name: str, amounts: Sequence[float]) -> Tensor:
        base = self._base[name]
        turned = [
            (amount, change[name])
            for amount, change in zip(amounts, self._changes, strict=True)
            if amount != 0 and name in change
        ]
        if len(turned) == 1 and turned[0][0] == 1:
            return turned[0][1]
        if not turned or not base.is_floating_point():
            return base
        start = base.double()
        steps = [amount * (tensor.to(start) - start) for amount, tensor in turned]
        return (start + torch.stack(steps).sum(0)).to(base.dtype)
