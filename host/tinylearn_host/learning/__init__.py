"""The learning benchmark: few-shot tasks, each method in the board's integers and in float32, and what it all costs."""
