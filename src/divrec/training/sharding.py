"""A model's weights in pieces on several devices (FSDP2): which modules gather theirs together, and how they come back.

Rajbhandari et al. 2020 (ZeRO, arXiv:1910.02054), stage 3; Zhao et al. 2023 (PyTorch FSDP, arXiv:2304.11277).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from divrec.errors import ConfigError
from divrec.models import layer_stack

DATA_PARALLEL = "data_parallel"  # Lightning's name of the dimension of a mesh along which processes share a batch


def shard(module: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """Cut every parameter, frozen ones too, into one piece a device; a module gathers its own for as long as it runs.

    Groups that are gathered at once: each layer of each language model; the rest of the language model (embeddings,
    norms); what is left of each child of the module (item tower, user encoder); what is left of the module. The
    language model's groups are let go after each pass. The others stay gathered until their gradients are there: they
    are smaller, an item tower returns its table of IDs as it is, and processes may evaluate other numbers of batches.

    Args:
        module: changed in place; its forward is the one way in.
        mesh: of one dimension.

    Returns:
        The module.

    Raises:
        ConfigError: for a parameter without dimensions, which cannot be cut.
    """
    for name, parameter in module.named_parameters():
        if parameter.ndim == 0:
            raise ConfigError(
                "a parameter without dimensions cannot be cut into pieces",
                where="trainer",
                got=name,
                mend="Give it the shape (1,), or use trainer=ddp.",
            )
    models = language_models(module)
    for model in models:
        for part in (*layer_stack(model), model):
            _group(part, mesh, reshard_after_forward=True)
    if module not in models:
        for part in module.children():
            if part not in models and not isinstance(part, nn.ModuleList | nn.ModuleDict):  # these two run nothing
                _group(part, mesh, reshard_after_forward=False)
        _group(module, mesh, reshard_after_forward=False)
    return module


def language_models(module: nn.Module) -> list[nn.Module]:
    """The outermost parts that are transformers of the library of that name, by their config."""
    if hasattr(getattr(module, "config", None), "num_hidden_layers"):
        return [module]
    return list(dict.fromkeys(model for part in module.children() for model in language_models(part)))


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of a module's state on the CPU, whole, under a plain one's names; every process has to take part."""
    return put_together(module.state_dict())


def put_together(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Copies on the CPU, whole whatever lies in pieces; every process has to take part. Numbers stay as they are."""
    return {name: _together(value) for name, value in tensors.items()}


def load_whole(module: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load a state that is whole, or in this process's own pieces, into a module in pieces or not."""
    own = module.state_dict()
    module.load_state_dict({name: _cut_like(value, own.get(name)) for name, value in weights.items()})


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's FSDP2 over all devices, with checkpoints as those of a run whose model is whole.

    A checkpoint is one file, written by the first process, that a training on any number of devices can go on from.
    The model is cut by `RecommenderModule.configure_model`.
    """

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """The optimizers' states come from the checkpoint, as in a run whose model is whole."""
        return True

    def setup_environment(self) -> None:
        """All devices of all nodes hold pieces."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        # It would harm to change in place what a module returns; nobody does.
        warnings.filterwarnings("ignore", message=".*returned a view tensor", category=UserWarning)
        super().setup_environment()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Of the whole module."""
        assert self.lightning_module is not None
        return whole_weights(self.lightning_module)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Of the whole weights."""
        state = optimizer.state_dict()
        return {**state, "state": {place: put_together(values) for place, values in state["state"].items()}}

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:  # noqa: ANN401
        """What lies in the file."""
        return self.checkpoint_io.load_checkpoint(checkpoint_path, map_location="cpu", weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Into the pieces."""
        assert self.lightning_module is not None
        load_whole(self.lightning_module, checkpoint["state_dict"])

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Into the pieces."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            places = [place for group in state["param_groups"] for place in group["params"]]
            like = dict(zip(places, weights, strict=True))
            own = {
                place: {key: _cut_like(value, like[place]) for key, value in values.items()}
                for place, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": own})

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:  # noqa: ANN401
        """By the first process, which alone knows where."""
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(checkpoint, filepath, storage_options=storage_options)


def _group(part: nn.Module, mesh: DeviceMesh, reshard_after_forward: bool) -> None:
    if any(True for _ in part.parameters()):
        fully_shard(part, mesh=mesh, reshard_after_forward=reshard_after_forward)


def _together(value: Any) -> Any:  # noqa: ANN401 - a tensor, in pieces or not, or a number
    if isinstance(value, DTensor):
        value = value.full_tensor()
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value


def _cut_like(value: Any, own: Any) -> Any:  # noqa: ANN401 - as above
    """This process's piece of a whole tensor; what does not lie in pieces stays as it is."""
    if not isinstance(own, DTensor) or not isinstance(value, Tensor) or isinstance(value, DTensor):
        return value
    if value.shape != own.shape:
        return value  # a count of steps; for a weight, loading it says which shape was expected
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements, src_data_rank=None)
