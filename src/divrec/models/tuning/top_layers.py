"""The uppermost layers of the language model are trained."""

from __future__ import annotations

from torch import nn

from divrec.errors import check_number
from divrec.models.text_table import TableSettings
from divrec.models.tuning.layers import first_trained_layer, layer_stack
from divrec.models.tuning.trained import TrainedTuning


class TopLayers(TrainedTuning):
    """The top layers are trained whole; what is below them stays.

    Args:
        layers: how many of them.
        cached: the hidden states below them are computed once and kept on disk in half precision, so that a step runs
            the top layers only; False = every step runs the whole model, in its own precision and with dropout
            everywhere.
        table: how the vectors of the texts that carry no gradient stay up to date.
    """

    depth_key = "tuning.layers"

    def __init__(self, layers: int = 2, cached: bool = True, table: TableSettings | None = None) -> None:
        check_number(self.depth_key, layers, least=1, whole=True)
        super().__init__(table, layers if cached else None)
        self.layers = layers

    def adapt(self, model: nn.Module) -> nn.Module:
        """Train the top layers."""
        if self.cached_below_top is None:
            first_trained_layer(model, self.layers, self.depth_key)  # for its check
        for layer in layer_stack(model)[-self.layers :]:
            for name, parameter in layer.named_parameters():
                # T5's position bias belongs to its lowest layer, whoever holds it.
                parameter.requires_grad_("relative_attention_bias" not in name)
        return model
