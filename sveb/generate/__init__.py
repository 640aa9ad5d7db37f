"""From a task and a policy to a suite: rollouts, states, sibling steps, truth, draws."""
