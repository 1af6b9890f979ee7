"""Whether the fitted mixture describes the rows, and which rows it does not."""
