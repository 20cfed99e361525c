"""A meta-training in two processes, in which a logged term is infinite in one of them: run by test_meta_learning.

usage: infinite_on_one_rank.py FOLDER [arguments of meta-train]
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import distributed

from talkinghead.commands import meta_train
from talkinghead.portrait.training.meta_learning import MetaLearning

step, reduce = MetaLearning._discriminator_step, distributed.all_reduce
traffic = 0


def broken_step(self, *arguments):
    terms = step(self, *arguments)
    if self.step == 2 and self.global_rank == 1 and not self.rollbacks:
        terms["realism_fake"] = torch.tensor(float("inf"))  # its gradient, a sign, is finite
    return terms


def counted_reduce(tensor, *more, **settings):
    global traffic
    traffic += tensor.numel()
    return reduce(tensor, *more, **settings)


def write(self):
    weights = hashlib.sha256()
    for name, value in sorted(self.state_dict().items()):
        if not name.startswith("content."):
            weights.update(value.reshape(-1).numpy().tobytes())
    sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in self.head.named_children()}
    found = {
        "steps": self.step, "rollbacks": self.rollbacks, "rate": self.rate_scale, "weights": weights.hexdigest(),
        "traffic": traffic, "sizes": sizes, "by_ddp": self.by_ddp,
    }  # fmt: skip
    (Path(sys.argv[1]) / f"rank{self.global_rank}.json").write_text(json.dumps(found))


def watch_ddp(self):
    def hook(state, bucket):
        self.by_ddp += 1
        raise AssertionError("DDP reduces too")

    self.by_ddp = 0
    self.trainer.strategy.model.register_comm_hook(None, hook)


MetaLearning._discriminator_step = broken_step
MetaLearning.on_train_start, MetaLearning.on_train_end = watch_ddp, write
distributed.all_reduce = counted_reduce
meta_train.main(sys.argv[2:])
