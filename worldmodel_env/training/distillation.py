"""Teach a prior to draw in few passes what it draws in many.

In a pass a MaskGit prior draws several codes that do not know of one another; the fewer the passes,
the worse frames fit together. The student begins as the teacher, sees frames that the teacher has
drawn in many passes, and raises the probability of drawing just them in few: the cross-entropy of
its N passes along the order in which it would fix the codes. Up to the teacher's entropy, which
does not change, that is the divergence from the teacher's frames to its own.
"""

import torch
from torch import Tensor

from worldmodel_env.models.maskgit import Maskgit
from worldmodel_env.models.sampling import Sampling


def distillation_loss(
    student: Maskgit,
    teacher: Maskgit,
    h: Tensor,
    few: Sampling,
    many: Sampling,
    generator: torch.Generator,
) -> Tensor:
    """Mean cross-entropy of the teacher's frames under the student's draft, nats a frame.

    Args:
        student: learns.
        teacher: does not.
        h: (N, e, g, g) of the frames to draw, the local path included; no gradient goes there.
        few: how the student will draw.
        many: how the teacher draws.
        generator: of all random numbers, on the CPU.
    """
    h = h.detach()
    shape = (2, student.grid**2)

    def uniform(passes: int) -> Tensor:
        return torch.rand((len(h), passes, *shape), generator=generator).to(h.device)

    with torch.no_grad():
        drawn = teacher.sample(h, uniform(teacher.passes(many)), many)
    return -student.log_prob(drawn, h, uniform(few.steps), few).mean()
