"""``nets``: lists the trained networks that ship with Darkroom."""

from experiments.networks import list_networks


def run_standalone(task_name: str | None) -> int:
    """Prints the networks of a task, or all, with their cards.

    Returns:
        0.
    """
    networks = list_networks(task_name)
    if not networks:
        print(f"no networks{f' of {task_name}' if task_name else ''} ship with this version")
    for network in networks:
        print(f"{network.name}  {network.task}{', the default' if network.default else ''}: {network.describe()}")
        megabytes = network.path.stat().st_size / 1e6
        print(f"    data     {network.data} (license: {network.license})")
        print(f"    trained  {network.time}: {network.command}")
        print(f"    use      --task {network.task} predict --net {network.name} IMAGES  ({megabytes:.1f} MB)")
    return 0
