"""Command lines of a tiny run of style in a folder with ``images/`` and ``painting.png``."""

TASK = ["--task", "style"]
DATA = [
    "--data.root=images", "--data.style_image=painting.png", "--data.style_size=48", "--data.val_size=40",
    "--data.cache_dir=cache", "--data.num_workers=0", "--data.crops=1",
]  # fmt: skip
NET = ["--model.net.width=4", "--model.net.blocks=1", "--model.channels_last=false"]
LOSS = [
    "--model.loss.name=vgg11", "--model.loss.layers=null", "--model.loss.content_layer=null",
    "--model.loss.weights=none",
]  # fmt: skip
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.precision=32-true"]
SMALL = "{name: small, size: 32, batch_size: 4, epochs: 1, lr: 0.001}"
LARGE = "{name: large, size: 48, batch_size: 2, epochs: 1, lr: 0.001}"
FIT = [*TASK, *DATA, *NET, *LOSS, *QUIET]
