"""C, the controller: policies, CMA-ES, the agent (V, M and C together), training, evaluation and statistics."""

from experiment.keras_settings import use_tensorflow
from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "controller",
    {
        "agent": ["Agent", "PlayingAgent", "load_agent"],
        "checkpoints": ["find_controller", "load_controller", "save_controller"],
        "cma_es": ["CMAES"],
        "config": ["ControllerConfig", "EvaluateConfig", "Preset", "Stages"],
        "dream_env": ["DreamEnv"],
        "evaluation": ["Evaluation"],
        "policies": ["Policy"],
        "policy_spec": ["PolicyShape"],
        "score_files": ["load_evaluations"],
        "statistics": ["bootstrap_interval"],
        "task": ["PublishedRow", "Task"],
        "training": ["ControllerTrainer", "read_evaluations"],
    },
)

use_tensorflow()
