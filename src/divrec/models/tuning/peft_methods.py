"""Methods that the library peft adds to a language model in place."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from torch import nn

from divrec.errors import ConfigError

if TYPE_CHECKING:
    from peft import PeftConfig


def inject(config: PeftConfig, model: nn.Module) -> nn.Module:
    """Add a method's weights to the model; they alone are trained.

    Args:
        config: of the method.
        model: changed in place.

    Raises:
        ConfigError: if peft knows no modules to change in this model.
    """
    from peft import inject_adapter_in_model

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "fan_in_fan_out")  # GPT-2's transposed weights: peft adapts by itself
            return inject_adapter_in_model(config, model)
    except ValueError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(
            f"does not fit this language model ({lines[0]})",
            where="tuning.targets",
            got=getattr(config, "target_modules", None),
            mend="Name modules of the model in tuning.targets.",
        ) from error
