"""Hooks of modules that compute without being called: the names that ``torch.nn.Module`` keeps hooks under are here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from seqmodels.system.graphs import outside_graphs

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_OPTIONS = (
    *("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_is_full_backward_hook",
)
_OF_STATE_DICTS = (
    *("_state_dict_pre_hooks", "_state_dict_hooks"),
    *("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)

ATTRIBUTES = frozenset((*_HOOKS, *_OPTIONS, *_OF_STATE_DICTS))
"""Attributes of a module that only a call of it, or of its ``state_dict``, reads."""


def has_hooks(module: nn.Module) -> bool:
    """Return whether a call of this module, or of one inside it, would run hooks."""
    if module._forward_pre_hooks or module._forward_hooks or module._backward_pre_hooks or module._backward_hooks:
        return True
    inner = module._modules  # checked at every call, where a generator costs several times as much
    return len(inner) > 0 and any(has_hooks(one) for one in inner.values() if one is not None)


@outside_graphs
def call(module: nn.Module, forward: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``forward(*arguments)``, with the hooks of ``module`` run as in a call of it."""
    return _StandIn(module, forward)(*arguments)


@outside_graphs
def run_pre_hooks(module: nn.Module, *arguments: Any) -> bool:
    """Run the forward pre-hooks of a module; return whether one of them returned other arguments."""
    options = module._forward_pre_hooks_with_kwargs
    hooks = [*module._forward_pre_hooks.items()]
    results = [hook(module, arguments, {}) if key in options else hook(module, arguments) for key, hook in hooks]
    return any(result is not None for result in results)


class _StandIn(nn.Module):
    """A module with the hooks of another, which are given that one."""

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = forward
        for name in _HOOKS:
            hooks = getattr(module, name).items()
            setattr(self, name, {key: partial(_with, module, hook) for key, hook in hooks})
        for name in _OPTIONS:
            setattr(self, name, getattr(module, name))


def _with(module: nn.Module, hook: Callable[..., Any], stand_in: nn.Module, *arguments: Any) -> Any:
    del stand_in
    return hook(module, *arguments)
