"""C, the controller: policies, CMA-ES, the agent (V, M and C together), training, evaluation and statistics.

`controller.agent.load_agent` is the way in for those who want an agent that acts on frames.
"""

from experiment.keras_settings import use_tensorflow

use_tensorflow()
