"""For `torchrun -m worldmodel_env.cli`."""

from worldmodel_env.cli import main

main()
