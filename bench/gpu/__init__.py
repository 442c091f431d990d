"""What is measured on a machine with an accelerator: see `bench/gpu.sh`.

`__main__` keeps to a budget of time and runs the parts, each in a process of its own; a part writes
each result into `OUT/gpu.json` as soon as it has it. `page` makes tables, sentences and a picture
of these rows.
"""
