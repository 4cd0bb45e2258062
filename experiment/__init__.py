"""What every stage stands on: settings, run folders, files, checkpoints, random streams, metrics and errors."""

from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "experiment",
    {
        "config": ["Settings", "setting"],
        "errors": ["InputError", "NumericalError"],
        "metrics": ["Metrics", "read_metrics"],
        "planning": ["open_run"],
        "random_streams": ["Purpose", "Stream"],
        "runs": ["Run", "load_run"],
        "training_loop": ["Schedule", "Trainee", "train"],
    },
)
