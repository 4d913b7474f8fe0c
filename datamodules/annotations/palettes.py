"""Colors of the classes in the masks of well-known data sets.

Sources: VOC's colors follow from the class numbers (``VOClabelcolormap`` of its development kit); CamVid's are its
``label_colors.txt``; Cityscapes' are the 19 classes of its benchmark, and its other colors are ignored; ADE20K's are
those of the scene parsing benchmark, in which road and skyscraper share one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datamodules.segmentation import voc

Color = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Names of classes and their colors.

    Args:
        name: of the palette, for messages.
        colors: color by class name, in the order of the class numbers.
        ignore: colors of pixels to ignore.
        first: class number in masks that hold numbers in place of colors, of the first class.
        ignored_numbers: numbers of such masks that are ignored.
    """

    name: str
    colors: Mapping[str, Color]
    ignore: frozenset[Color] = frozenset()
    first: int = 0
    ignored_numbers: frozenset[int] = field(default=frozenset({255}))


def voc_color(number: int) -> Color:
    """The color of a class number in VOC: its bits spread over the upper bits of red, green and blue.

    >>> voc_color(0), voc_color(1), voc_color(15), voc_color(255)
    ((0, 0, 0), (128, 0, 0), (192, 128, 128), (224, 224, 192))
    """
    red = green = blue = 0
    for bit in range(7, -1, -1):
        red, green, blue = red | (number & 1) << bit, green | (number >> 1 & 1) << bit, blue | (number >> 2 & 1) << bit
        number >>= 3
    return red, green, blue


def _table(text: str) -> dict[str, Color]:
    """Reads ``name rrggbb, name rrggbb ...``."""
    rows = (row.strip().rpartition(" ") for row in text.replace("\n", " ").split(","))
    return {name: (int(color[:2], 16), int(color[2:4], 16), int(color[4:], 16)) for name, _, color in rows}


_CAMVID = """
Animal 408040, Archway c00080, Bicyclist 0080c0, Bridge 008040, Building 800000, Car 400080,
CartLuggagePram 4000c0, Child c08040, Column_Pole c0c080, Fence 404080, LaneMkgsDriv 8000c0,
LaneMkgsNonDriv c00040, Misc_Text 808040, MotorcycleScooter c000c0, OtherMoving 804040, ParkingBlock 40c080,
Pedestrian 404000, Road 804080, RoadShoulder 8080c0, Sidewalk 0000c0, SignSymbol c08080, Sky 808080,
SUVPickupTruck 4080c0, TrafficCone 000040, TrafficLight 004040, Train c04080, Tree 808000, Truck_Bus c080c0,
Tunnel 400040, VegetationMisc c0c000, Wall 40c000
"""

_CITYSCAPES = """
road 804080, sidewalk f423e8, building 464646, wall 66669c, fence be9999, pole 999999, traffic light faaa1e,
traffic sign dcdc00, vegetation 6b8e23, terrain 98fb98, sky 4682b4, person dc143c, rider ff0000, car 00008e,
truck 000046, bus 003c64, train 005064, motorcycle 0000e6, bicycle 770b20
"""

_ADE20K = """
wall 787878, building b47878, sky 06e6e6, floor 503232, tree 04c803, ceiling 787850, road 8c8c8c, bed cc05ff,
windowpane e6e6e6, grass 04fa07, cabinet e005ff, sidewalk ebff07, person 96053d, earth 787846, door 08ff33,
table ff0652, mountain 8fff8c, plant ccff04, curtain ff3307, chair cc4603, car 0066c8, water 3de6fa,
painting ff0633, sofa 0b66ff, shelf ff0747, house ff09e0, sea 0907e6, mirror dcdcdc, rug ff095c, field 7009ff,
armchair 08ffd6, seat 07ffe0, fence ffb806, desk 0aff47, rock ff290a, wardrobe 07ffff, lamp e0ff08, bathtub 6608ff,
railing ff3d06, cushion ffc207, base ff7a08, box 00ff14, column ff0829, signboard ff0599, chest of drawers 0633ff,
counter eb0cff, sand a09614, sink 00a3ff, skyscraper 8c8c8c, fireplace fa0a0f, refrigerator 14ff00,
grandstand 1fff00, path ff1f00, stairs ffe000, runway 99ff00, case 0000ff, pool table ff4700, pillow 00ebff,
screen door 00adff, stairway 1f00ff, river 0bc8c8, bridge ff5200, bookcase 00fff5, blind 003dff,
coffee table 00ff70, toilet 00ff85, flower ff0000, book ffa300, hill ff6600, bench c2ff00, countertop 008fff,
stove 33ff00, palm 0052ff, kitchen island 00ff29, computer 00ffad, swivel chair 0a00ff, boat adff00, bar 00ff99,
arcade machine ff5c00, hovel ff00ff, bus ff00f5, towel ff0066, light ffad00, truck ff0014, tower ffb8b8,
chandelier 001fff, awning 00ff3d, streetlight 0047ff, booth ff00cc, television receiver 00ffc2, airplane 00ff52,
dirt track 000aff, apparel 0070ff, pole 3300ff, land 00c2ff, bannister 007aff, escalator 00ffa3, ottoman ff9900,
bottle 00ff0a, buffet ff7000, poster 8fff00, stage 5200ff, van a3ff00, ship ffeb00, fountain 08b8aa,
conveyer belt 8500ff, canopy 00ff5c, washer b800ff, plaything ff001f, swimming pool 00b8ff, stool 00d6ff,
barrel ff0070, basket 5cff00, waterfall 00e0ff, tent 70e0ff, bag 46b8a0, minibike a300ff, cradle 9900ff,
oven 47ff00, ball ff00a3, food ffcc00, step ff008f, tank 00ffeb, trade name 85ff00, microwave ff00eb, pot f500ff,
animal ff007a, bicycle fff500, lake 0abed4, dishwasher d6ff00, screen 00ccff, blanket 1400ff, sculpture ffff00,
hood 0099ff, sconce 0029ff, vase 00ffcc, traffic light 2900ff, tray 29ff00, ashcan ad00ff, fan 00f5ff, pier 4700ff,
crt screen 7a00ff, plate 00ffb8, monitor 005cff, bulletin board b8ff00, shower 0085ff, radiator ffd600,
glass 19c2c2, clock 66ff00, flag 5c00ff
"""

PALETTES = {
    "voc": Palette(
        name="voc",
        colors={name: voc_color(number) for number, name in enumerate(voc.CLASSES)},
        ignore=frozenset({voc_color(255)}),
    ),
    "camvid": Palette(name="camvid", colors=_table(_CAMVID), ignore=frozenset({(0, 0, 0)})),
    "cityscapes": Palette(
        name="cityscapes",
        colors=_table(_CITYSCAPES),
        ignore=frozenset(
            {
                (0, 0, 0),
                (20, 20, 20),
                (111, 74, 0),
                (81, 0, 81),
                (250, 170, 160),
                (230, 150, 140),
                (180, 165, 180),
                (150, 100, 100),
                (150, 120, 90),
                (0, 0, 90),
                (0, 0, 110),
            }
        ),
    ),
    "ade20k": Palette(
        name="ade20k",
        colors=_table(_ADE20K),
        ignore=frozenset({(0, 0, 0)}),
        first=1,
        ignored_numbers=frozenset({0, 255}),
    ),
}
