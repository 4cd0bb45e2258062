"""C, the controller: policies, CMA-ES, rollouts spread over MPI ranks, the agent, training and evaluation.

`controller.play.load_agent` is the way in for those who want to play; `controller.farm` spreads rollouts over ranks.
"""
