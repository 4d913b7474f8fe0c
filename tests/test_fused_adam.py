"""Adam runs as one kernel, with the results of the plain one."""

import torch
from torch.optim import Adam

from datamodules.stage import Stage
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet


def test_steps_equal_those_of_the_plain_adam() -> None:
    torch.manual_seed(0)
    module = SuperResolutionModule(net=SrResnet(width=4, blocks=1, max_scale=2), loss=L1Loss(), weight_decay=1e-2)
    module.begin_stage(Stage(name="a", size=8, scale=2, batch_size=1, epochs=1, lr=1e-2), steps=10)
    configured = module.configure_optimizers()
    assert isinstance(configured, dict)
    fused = configured["optimizer"]
    assert isinstance(fused, Adam)
    assert fused.defaults["fused"]
    plain_net = SrResnet(width=4, blocks=1, max_scale=2)
    plain_net.load_state_dict(module.net.state_dict())
    group = fused.param_groups[0]
    plain = Adam(plain_net.parameters(), lr=group["lr"], betas=group["betas"], weight_decay=1e-2, foreach=False)
    images = torch.rand(2, 3, 8, 8)
    for net, optimizer in ((module.net, fused), (plain_net, plain)):
        for _ in range(3):
            optimizer.zero_grad()
            torch.autograd.backward(net(images).square().mean())
            optimizer.step()
    for mine, theirs in zip(module.net.parameters(), plain_net.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
