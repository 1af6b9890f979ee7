"""What is summed over all rows, a block at a time: tasks for :class:`~dosift.rows.RowBlocks`.

Each task is a small picklable object that takes the codes and counts of a block and returns arrays
whose size does not depend on the number of rows. Pure array code.
"""
