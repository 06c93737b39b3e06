"""The search space of a sweep, as written in YAML."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from optuna.trial import Trial

from seqmodels.config.quoting import quoted
from seqmodels.errors import ConfigError, nearest

RULES = ("low", "high", "step", "log", "choices", "when")
SYNTAX = "a list of choices, or {low: ..., high: ...} with step: or log: true"


@dataclass(frozen=True)
class Parameter:
    """One configuration key that a sweep varies, over choices or over a range of numbers.

    ``when`` maps other parameters to the values for which this one exists.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the range consists of whole numbers: both ends and the step are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step or 1, int)

    def values(self) -> list[Any]:
        """Return every value, for a grid.

        Raises:
            ConfigError: the range has no step, and so no finite set of values.
        """
        if self.choices:
            return [_scalar(value) for value in self.choices]
        step = self.step or (1 if self.whole and not self.log else None)
        if step is None:
            raise ConfigError(f"sweep.space: a grid needs every value of {self.key}: give it choices, or a step")
        count = round((self.high - self.low) / step) + 1
        return [self.low + i * step if isinstance(step, int) else round(self.low + i * step, 12) for i in range(count)]

    def suggest(self, trial: Trial) -> Any:
        """Return the value that a trial suggests."""
        if self.choices:
            return trial.suggest_categorical(self.key, [_scalar(value) for value in self.choices])
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.key, self.low, self.high, log=self.log, step=self.step)

    def original(self, value: Any) -> Any:
        """Return the choice that a trial's value encodes; a number is returned as is."""
        same = [choice for choice in self.choices if _scalar(choice) == value and type(_scalar(choice)) is type(value)]
        return same[0] if same else value


class Space:
    """The parameters of a sweep, each after those that its conditions depend on.

    Raises:
        ConfigError: a range is invalid, or a condition names an unknown parameter or value.
    """

    def __init__(self, node: Mapping[str, Any]) -> None:
        parameters = {parameter.key: parameter for parameter in _parameters(node)}
        if not parameters:
            raise ConfigError(f"sweep.space is empty: it needs a key to vary, with {SYNTAX}")
        for parameter in parameters.values():
            _check_condition(parameter, parameters)
        self.parameters = _ordered(parameters)

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Return the values that a trial suggests for all parameters whose conditions hold."""
        chosen: dict[str, Any] = {}
        for parameter in self.parameters:
            if self._exists(parameter, chosen):
                chosen[parameter.key] = parameter.suggest(trial)
        return chosen

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Return the values of a trial as command-line overrides."""
        return [f"{p.key}={quoted(p.original(values[p.key]))}" for p in self.parameters if p.key in values]

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield points that together contain every choice, and both ends of every range, at least once."""
        by_key = {parameter.key: parameter for parameter in self.parameters}
        seen = []
        for parameter in self.parameters:
            for value in [_scalar(v) for v in parameter.choices] or [parameter.low, parameter.high]:
                point = self._point(_required(parameter, by_key) | {parameter.key: value})
                if point not in seen:
                    seen.append(point)
                    yield point

    def grid(self) -> list[dict[str, Any]]:
        """Return every combination once; a parameter whose conditions do not hold adds no combinations.

        Raises:
            ConfigError: a range has no step.
        """
        points: list[dict[str, Any]] = [{}]
        for parameter in self.parameters:
            values = parameter.values()
            points = [
                {**point, parameter.key: value} if exists else point
                for point in points
                for exists in [self._exists(parameter, point)]
                for value in (values if exists else values[:1])
            ]
        return points

    def _point(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        point: dict[str, Any] = {}
        for parameter in self.parameters:
            if self._exists(parameter, point):
                first = _scalar(parameter.choices[0]) if parameter.choices else parameter.low
                point[parameter.key] = fixed.get(parameter.key, first)
        return point

    @staticmethod
    def _exists(parameter: Parameter, chosen: Mapping[str, Any]) -> bool:
        return all(key in chosen and chosen[key] in values for key, values in parameter.when.items())


def _scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else quoted(value)


def _parameters(node: Mapping[str, Any], place: str = "") -> Iterator[Parameter]:
    """Yield the parameters of a node, whose keys are dotted, or nested as in the configuration."""
    for name, rule in node.items():
        key = f"{place}.{name}" if place else str(name)
        if isinstance(rule, list):
            yield _parameter(key, {"choices": rule})
        elif isinstance(rule, Mapping) and not set(rule) & set(RULES) and _has_nodes(rule):
            yield from _parameters(rule, key)
        elif isinstance(rule, Mapping):
            yield _parameter(key, rule)
        elif rule is not None:  # null removes a parameter
            raise ConfigError(f"sweep.space: {key} must be {SYNTAX}, got {rule!r}")


def _has_nodes(rule: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Mapping | list) for value in rule.values())


def _parameter(key: str, rule: Mapping[str, Any]) -> Parameter:
    where = f"sweep.space: {key}"
    for name in rule:
        if name not in RULES:
            raise ConfigError(f"{where} has no rule {name!r}{nearest(str(name), RULES)} (rules: {', '.join(RULES)})")
    when = {str(k): tuple(v) if isinstance(v, list) else (v,) for k, v in (rule.get("when") or {}).items()}
    if "choices" in rule:
        choices = rule["choices"]
        if not isinstance(choices, list) or not choices or set(rule) - {"choices", "when"}:
            raise ConfigError(f"{where} must have either choices, a list of at least one, or low and high; got {rule}")
        if len({repr(value) for value in choices}) < len(choices):
            raise ConfigError(f"{where} has a choice twice: {choices}")
        return Parameter(key, choices=tuple(choices), when=when)
    numbers = {name: rule[name] for name in ("low", "high", "step") if rule.get(name) is not None}
    for name, value in numbers.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ConfigError(f"{where}.{name} must be a number, got {value!r}")
    if "low" not in numbers or "high" not in numbers:
        raise ConfigError(f"{where} must be {SYNTAX}, got {dict(rule)}")
    parameter = Parameter(key, **numbers, log=bool(rule.get("log", False)), when=when)
    _check_range(where, parameter)
    return parameter


def _check_range(where: str, parameter: Parameter) -> None:
    low, high, step = parameter.low, parameter.high, parameter.step
    if low >= high:
        raise ConfigError(f"{where}: low must be below high, got {low} and {high}")
    if parameter.log and low <= 0:
        raise ConfigError(f"{where}: a logarithmic range must lie above 0, got low {low}")
    if parameter.log and step is not None:
        raise ConfigError(f"{where}: a logarithmic range has no step, got {step}")
    if step is not None:
        count = (high - low) / step if step > 0 else 0
        if count < 1 or abs(count - round(count)) > 1e-6:
            raise ConfigError(f"{where}: high must be low and a whole number of steps, got {low}, {high} by {step}")


def _check_condition(parameter: Parameter, parameters: Mapping[str, Parameter]) -> None:
    for key, values in parameter.when.items():
        where = f"sweep.space: {parameter.key} when {key}"
        if key not in parameters:
            raise ConfigError(f"{where}: that is not a parameter of the space{nearest(key, parameters)}")
        choices = parameters[key].choices
        for value in values:
            if value not in choices:
                raise ConfigError(f"{where}={value}: that is not one of its choices, {', '.join(map(str, choices))}")


def _ordered(parameters: Mapping[str, Parameter]) -> list[Parameter]:
    """Sort every parameter after those of its conditions."""
    try:
        order = TopologicalSorter({key: parameter.when for key, parameter in parameters.items()}).static_order()
        return [parameters[key] for key in order]
    except CycleError as error:
        raise ConfigError(f"sweep.space: the conditions form a cycle: {' -> '.join(error.args[1])}") from error


def _required(parameter: Parameter, by_key: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return values of other parameters for which this one exists."""
    required: dict[str, Any] = {}
    for key, values in parameter.when.items():
        required |= _required(by_key[key], by_key) | {key: values[0]}
    return required
