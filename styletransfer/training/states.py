"""All that a training depends on at a step: kept in memory to go back to, and in checkpoints."""

import copy
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from styletransfer.training.trainer import Trainer

_KEPT = 2


class States:
    """Takes a trainer's state and puts it back."""

    def __init__(self, trainer: "Trainer") -> None:
        self.trainer = trainer
        self.good: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def remember(self) -> None:
        """Keep weights and Adam's moments as a state to go back to."""
        self.good.append(copy.deepcopy(self._weights()))

    def go_back(self, states: int) -> int:
        """Return to the last state, or one further back; say which step it was."""
        while len(self.good) > 1 and states > 1:
            self.good.pop()
            states -= 1
        self._put_weights(copy.deepcopy(self.good[-1]))
        return int(self.good[-1]["done"])

    def collect(self) -> dict[str, Any]:
        """Return everything, for a checkpoint; in the first process only, yet called in all."""
        trainer = self.trainer
        adversary, processes = trainer.learning.adversary, trainer.processes
        pools = processes.gather(adversary.pool.state()) if adversary else []
        seen = processes.gather(trainer.diversity.state())
        return {
            "config": trainer.config.to_json(),
            "done": trainer.done,
            "weights": self._weights(),
            "good": list(self.good),
            "slowed": [learner.slowed for learner in self.trainer.learning.learners],
            "scalers": [learner.scaler.state_dict() for learner in self.trainer.learning.learners],
            "feeder": trainer.feeder.state(),
            "guards": trainer.guards.state(),
            "rollbacks": trainer.rollbacks,
            "pools": pools,
            "seen": seen,
            "torch": torch.get_rng_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``collect`` returned."""
        trainer, rank = self.trainer, self.trainer.processes.rank
        trainer.done, trainer.rollbacks = state["done"], state["rollbacks"]
        self._put_weights(state["weights"])
        self.good = deque(state["good"], maxlen=_KEPT)
        learners = zip(
            self.trainer.learning.learners, state["slowed"], state["scalers"], strict=True
        )
        for learner, slowed, scaler in learners:
            learner.slowed = slowed
            learner.scaler.load_state_dict(scaler)
        trainer.feeder.restore(state["feeder"])
        trainer.guards.restore(state["guards"])
        if trainer.learning.adversary and rank < len(state["pools"]):
            trainer.learning.adversary.pool.restore(state["pools"][rank], trainer.device)
        if rank < len(state["seen"]):
            trainer.diversity.restore(state["seen"][rank])
        torch.set_rng_state(state["torch"])

    def _parts(self) -> dict[str, Any]:
        """Name what has weights or moments."""
        trainer = self.trainer
        parts: dict[str, Any] = {
            "generator": trainer.generator,
            "adam": trainer.learning.learner.adam,
        }
        if trainer.learning.adversary:
            parts["discriminator"] = trainer.learning.adversary.network
            parts["discriminator_adam"] = trainer.learning.adversary.learner.adam
        if trainer.average:
            parts["average"] = trainer.average.network
        return parts

    def _weights(self) -> dict[str, Any]:
        return {
            "done": self.trainer.done,
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def _put_weights(self, weights: Mapping[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(weights[name])
