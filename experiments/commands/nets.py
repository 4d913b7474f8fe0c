"""``nets``: lists the trained networks that ship with Darkroom."""

from collections.abc import Mapping

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
        option = f"--style {network.styles[0]['name']} " if network.styles else ""
        megabytes = network.path.stat().st_size / 1e6
        print(f"    data     {network.data} (license: {network.license})")
        print(f"    trained  {network.time}: {network.command}")
        for style in network.styles:
            print(f"    style    {describe_style(style)}")
        print(f"    use      --task {network.task} predict --net {network.name} {option}IMAGES  ({megabytes:.1f} MB)")
    return 0


def describe_style(style: Mapping[str, str | int]) -> str:
    """Formats the card of a style.

    >>> describe_style({"name": "wave", "title": "The Great Wave", "painter": "Hokusai", "year": 1831})
    'wave: The Great Wave, Hokusai, 1831'
    """
    facts = ", ".join(str(style[key]) for key in ("title", "painter", "year") if key in style)
    license_name = f" (license: {style['license']})" if "license" in style else ""
    return f"{style['name']}: {facts}{license_name}"
