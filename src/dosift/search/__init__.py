"""Search for the targets of a mixture: splitting, pricing, moves, score."""
