"""Sees in the longer prefixes of a state's own response how far that response will go."""

from sveb import Problem


def predict(problem: Problem):
    def length(state):
        mine = state.token_ids.tolist()
        return max(other.n_tokens for other in problem.states if other.token_ids.tolist()[: len(mine)] == mine)

    correct = [len(tokens) for tokens, r in zip(problem.group.token_ids, problem.group.returns, strict=True) if r == 1]
    return [sum(n >= length(state) for n in correct) / (1 + len(problem.group)) for state in problem.states]
