"""Times at which flows run by themselves: each once, whatever clocks, processes and machines do meanwhile."""
