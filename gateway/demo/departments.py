"""The departments of the sample shop: their invented brands and what is said of their products."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Department:
    """One top-level category; a brand's factor says how dear it is, each phrase stands in both languages."""

    name: str
    name_zh: str
    brands: tuple[tuple[str, float], ...]
    phrases: tuple[tuple[str, str], ...]
    has_model_names: bool = True


DEPARTMENTS: dict[str, Department] = {
    department.name: department
    for department in (
        Department(
            "Shoes", "鞋履",
            (("Fjellgang", 1.1), ("Brellow", 1.35), ("Pasito Nuevo", 0.8), ("Kintopp", 0.95), ("Okarun", 1.0)),
            (("Light on the foot and made for long days.", "轻便舒适，适合全天穿着。"),
             ("A cushioned insole and a sole that can be replaced.", "缓震鞋垫，鞋底可更换。"),
             ("Runs true to size; comes in a cotton bag.", "尺码标准，附棉布收纳袋。")),
        ),
        Department(
            "Clothing", "服装",
            (("Murrel & Vane", 1.4), ("Solvik", 1.0), ("Tamarisk Lane", 1.15), ("Plainfolk", 0.7), ("Hakiro", 1.2)),
            (("Cut for everyday wear and easy to combine.", "日常百搭款式。"),
             ("Soft against the skin and washable at 30 °C.", "亲肤柔软，可三十度机洗。"),
             ("Sewn in small batches in Portugal.", "葡萄牙小批量缝制。")),
        ),
        Department(
            "Bags & accessories", "箱包配饰",
            (("Brellow", 1.35), ("Sablewick", 1.1), ("Nomadine", 0.9), ("Tamarisk Lane", 1.15), ("Ellipso", 0.75)),
            (("Goes from the office to the weekend.", "通勤与周末皆宜。"),
             ("Carefully finished, with a two-year guarantee.", "做工精细，质保两年。"),
             ("A gift that is used every day.", "每天都用得上的礼物。")),
        ),
        Department(
            "Beauty", "美妆个护",
            (("Luminelle", 1.3), ("Rosa Verde", 1.0), ("Puremoor", 0.8), ("Aqua & Ash", 1.1)),
            (("Kind to sensitive skin, without perfume.", "温和不刺激，无香精。"),
             ("Vegan and never tested on animals.", "纯素配方，不做动物实验。")),
        ),
        Department(
            "Electronics", "数码电器",
            (("Vantiq Labs", 1.3), ("Oriolo", 1.0), ("Pixelhaven", 1.1), ("Norvolt", 0.85), ("Kumo Audio", 1.15)),
            (("Ready in a minute, with a clear manual.", "一分钟即可上手，说明书清晰易懂。"),
             ("Can be repaired: spare parts for ten years.", "可维修设计，配件供应十年。"),
             ("Quiet, frugal and well made.", "安静、省电、做工扎实。")),
        ),
        Department(
            "Home", "家居",
            (("Hemlund", 0.8), ("Casa Quieta", 1.2), ("Birch & Bolt", 1.0), ("Lantern Row", 1.1)),
            (("Brings warmth to the living room.", "为客厅增添温馨。"),
             ("Assembled in ten minutes without tools.", "十分钟免工具组装。"),
             ("Simple lines that stay in style.", "线条简约，历久弥新。")),
        ),
        Department(
            "Kitchen", "厨房",
            (("Copperfinch", 1.25), ("Hemlund", 0.8), ("Tavola Nove", 1.1), ("Studio Kama", 1.35)),
            (("Feels good in the hand and goes into the dishwasher.", "手感舒适，可用洗碗机清洗。"),
             ("For the small kitchen and the big table.", "小厨房、大餐桌都适用。")),
        ),
        Department(
            "Food & drink", "食品饮料",
            (("Hofgarten", 1.0), ("Verde Vivo", 1.25), ("Daily Harvest Co-op", 0.85), ("Bakehouse Nine", 1.15)),
            (("From farms that we know by name.", "来自我们熟悉的农场。"),
             ("Fresh today, at your door tomorrow.", "今日新鲜，明日送达。"),
             ("Good for breakfast, lunch and in between.", "早餐、午餐、加餐都合适。")),
            has_model_names=False,
        ),
        Department(
            "Sports & outdoors", "运动户外",
            (("Fjellgang", 1.1), ("Arrowleaf", 1.0), ("Rallye Sport", 0.8), ("Tidewater", 1.2)),
            (("For beginners and for those who train daily.", "初学者与每日训练者皆宜。"),
             ("Made for wind, rain and muddy ground.", "不惧风雨与泥泞。")),
        ),
        Department(
            "Tools", "工具",
            (("Grimbold", 1.15), ("Birch & Bolt", 1.0), ("Handfest", 0.8)),
            (("Forged to last and balanced in the hand.", "锻造耐用，手感平衡。"),
             ("A help in house, garden and workshop.", "家庭、花园、车间的好帮手。")),
        ),
        Department(
            "Music", "乐器",
            (("Cantabile", 1.25), ("Kumo Audio", 1.1), ("Bluebarn", 0.85)),
            (("A warm tone for the first song and the hundredth.", "音色温暖，初学到精通皆宜。"),
             ("Tuned and checked by hand before it ships.", "发货前人工调音检验。")),
        ),
        Department(
            "Books & stationery", "图书文具",
            (("Inkwell & Sons", 1.2), ("Papermoor", 1.0), ("Kraftling", 0.75), ("Mosswood Press", 1.1)),
            (("For the desk, the bag and the good idea.", "书桌、背包与灵感的伴侣。"),
             ("Printed and made from recycled material.", "采用再生材料制作。")),
        ),
        Department(
            "Toys", "玩具",
            (("Pim & Poppy", 1.1), ("Kraftling", 0.8), ("Wolkenbau", 1.25)),
            (("For rainy afternoons and sunny gardens.", "雨天午后和晴天花园都能玩。"),
             ("Sturdy, without batteries, from age three.", "结实耐玩，无需电池，三岁以上。")),
        ),
    )
}  # fmt: skip

MODEL_NAMES: tuple[str, ...] = (
    "Alma", "Bruna", "Caspian", "Delphi", "Elin", "Faro", "Gala", "Hollis", "Iris", "Juno", "Kaja", "Linnea",
    "Marlow", "Nika", "Orla", "Pilar", "Quill", "Runa", "Selma", "Tove", "Una", "Vilja", "Wren", "Xenia",
    "Yara", "Zephyr", "Aster", "Basil", "Cleo", "Dune", "Ember", "Fable", "Grove", "Haven", "Isle", "Jasper",
)  # fmt: skip
