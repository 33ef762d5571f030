"""What the sample shop sells: one OpenMoji drawing a kind, named in English and Chinese by hand.

`paint` names the tones that take the product's colour (the first is the main one), so that a red bag is
red all over while outlines, labels and metal stay; `colours` are those that such a thing comes in.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """One size or pack: its name in both languages, what it does to the price and to the picture."""

    name: str
    name_zh: str
    price_factor: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of product and its drawing; prices in EUR for a brand of factor 1."""

    hexcode: str
    name: str
    name_zh: str
    paint: str
    lowest: float
    highest: float
    colours: str = ""
    """Colours of this kind alone, empty for those of its shelf; a single one goes without saying in the title."""
    made: tuple[tuple[str, str], ...] | None = None
    """Materials of this kind alone, in both languages; None for those of its shelf, empty for none worth a word."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One second-level category: what its kinds share."""

    department: str
    name: str
    name_zh: str
    colours: str
    materials: tuple[tuple[str, str], ...]
    sizes: tuple[Size, ...]
    kinds: tuple[Kind, ...]
    is_patterned: bool = False
    """Cloth, which also comes striped, dotted and checked."""


CLOTH = "red navy black green pink purple blue beige yellow teal white grey"
HIDE = "brown black red beige navy green white"
BRIGHT = "red blue green yellow orange pink teal purple"
DEVICE = "black white grey blue red teal pink"
WARE = "white blue green red yellow black teal beige"

COTTON, WOOL, LINEN = ("cotton", "棉"), ("wool", "羊毛"), ("linen", "亚麻")
LEATHER, CANVAS, SUEDE = ("leather", "皮革"), ("canvas", "帆布"), ("suede", "麂皮")
STEEL, WOOD, CERAMIC, GLASS = ("steel", "钢"), ("wooden", "木质"), ("ceramic", "陶瓷"), ("glass", "玻璃")
PLASTIC, RUBBER, PAPER = ("plastic", "塑料"), ("rubber", "橡胶"), ("paper", "纸质")
ALUMINIUM, BRASS, SILK = ("aluminium", "铝制"), ("brass", "黄铜"), ("silk", "丝绸")
POLYESTER, DENIM, STRAW = ("polyester", "涤纶"), ("denim", "丹宁"), ("straw", "草编")
ACETATE, SILVER, ENAMEL = ("acetate", "醋酸纤维"), ("silver-plated", "镀银"), ("enamel", "搪瓷")
OAK, BEECH, MAPLE, SPRUCE = ("oak", "橡木"), ("beech", "榉木"), ("maple", "枫木"), ("spruce", "云杉木")
VELVET, PLUSH, CARDBOARD = ("velvet", "天鹅绒"), ("plush", "毛绒"), ("cardboard", "纸板")
NYLON, POLYETHYLENE = ("ripstop nylon", "防撕尼龙"), ("polyethylene", "聚乙烯")

ONE_SIZE = (Size("", ""),)
WEAR = (Size("XS–XL", "XS–XL"), Size("S–XXL", "S–XXL"))
FEET = (Size("36–41", "36–41"), Size("39–46", "39–46"))
BODY = (Size("small", "小号", 0.85, 0.8), Size("medium", "中号", 1.0, 0.9), Size("large", "大号", 1.2, 1.0))
WEIGHT = (Size("500 g", "500 克", 0.6, 0.9), Size("1 kg", "1 公斤", 1.0, 1.0))
VOLUME = (Size("0.5 l", "0.5 升", 0.6, 0.88), Size("1 l", "1 升", 1.0, 1.0))
PIECES = (Size("pack of 1", "单件", 1.0), Size("pack of 4", "四件装", 3.4))

SHELVES: tuple[Shelf, ...] = (
    Shelf("Shoes", "Sneakers & flats", "运动鞋与平底鞋", CLOTH, (CANVAS, LEATHER), FEET, (
        Kind("1F45F", "running shoes", "跑鞋", "grey- grey", 49, 139),
        Kind("1F97F", "ballet flats", "平底鞋", "pink", 35, 89),
        Kind("1FA70", "dance slippers", "舞蹈鞋", "pink", 19, 45),
        Kind("1FA74", "flip-flops", "人字拖", "yellow yellow-", 9, 25, BRIGHT, made=(RUBBER,)),
    )),
    Shelf("Shoes", "Boots & heels", "靴子与高跟鞋", HIDE, (LEATHER, SUEDE), FEET, (
        Kind("1F45E", "Oxford shoes", "牛津鞋", "brown", 79, 189),
        Kind("1F460", "high heels", "高跟鞋", "red-", 59, 159, "red black pink blue beige gold"),
        Kind("1F461", "heeled sandals", "高跟凉鞋", "brown- brown", 45, 119),
        Kind("1F97E", "hiking boots", "登山靴", "brown", 89, 199),
        Kind("1F462", "knee boots", "长靴", "brown brown-", 95, 229),
    )),
    Shelf("Clothing", "Dresses & tops", "连衣裙与上衣", CLOTH, (COTTON, LINEN, SILK), WEAR, (
        Kind("1F457", "dress", "连衣裙", "blue- blue", 39, 149),
        Kind("1F45A", "blouse", "女式上衣", "purple- purple", 25, 79),
        Kind("1F455", "polo shirt", "Polo衫", "blue- blue", 19, 59),
        Kind("1F458", "kimono", "和服", "pink pink-", 79, 249, made=(SILK, COTTON)),
        Kind("1F3BD", "running vest", "跑步背心", "blue blue-", 15, 39, made=(POLYESTER,)),
    ), is_patterned=True),
    Shelf("Clothing", "Trousers & coats", "裤装与外套", CLOTH, (COTTON, WOOL), WEAR, (
        Kind("1F456", "jeans", "牛仔裤", "blue-", 39, 119, "blue navy black grey white", made=(DENIM,)),
        Kind("1FA73", "shorts", "短裤", "grey", 19, 49, made=(COTTON, LINEN)),
        Kind("1F9E5", "coat", "大衣", "brown", 99, 299),
        Kind("1F94B", "judo suit", "柔道服", "grey", 35, 89, "white blue navy", made=(COTTON,)),
        Kind("1F9BA", "safety vest", "安全背心", "orange- orange red", 9, 25, "orange yellow green", made=(POLYESTER,)),
    )),
    Shelf("Clothing", "Swimwear", "泳装", BRIGHT, (("recycled nylon", "再生尼龙"),), WEAR, (
        Kind("1F459", "bikini", "比基尼", "purple", 25, 69),
        Kind("1FA71", "swimsuit", "连体泳衣", "purple purple-", 29, 89),
    ), is_patterned=True),
    Shelf("Clothing", "Hats & knitwear", "帽子与针织", CLOTH, (WOOL, COTTON), ONE_SIZE, (
        Kind("1F9E3", "scarf", "围巾", "red red-", 19, 69),
        Kind("1F9E4", "mittens", "连指手套", "red red-", 15, 39),
        Kind("1F9E6", "socks", "袜子", "orange orange-", 6, 19),
        Kind("1F9E2", "baseball cap", "棒球帽", "green- green green--", 15, 39, made=(COTTON, CANVAS)),
        Kind("1F452", "sun hat", "遮阳帽", "yellow- yellow", 19, 59, made=(STRAW,)),
    ), is_patterned=True),
    Shelf("Bags & accessories", "Bags", "包袋", HIDE, (LEATHER, CANVAS), BODY, (
        Kind("1F45C", "handbag", "手提包", "brown-", 49, 249),
        Kind("1F45B", "clasp purse", "口金包", "purple- purple", 25, 89, CLOTH, made=(LEATHER, SILK)),
        Kind("1F45D", "clutch bag", "手拿包", "brown", 29, 99),
        Kind("1F392", "backpack", "双肩包", "red red-", 39, 129, CLOTH),
        Kind("1F4BC", "briefcase", "公文包", "brown brown-", 89, 289),
        Kind("1F6CD", "tote bag", "托特包", "yellow yellow-", 15, 59, CLOTH, made=(CANVAS, COTTON)),
    )),
    Shelf("Bags & accessories", "Travel", "旅行", BRIGHT, (("polycarbonate", "聚碳酸酯"), CANVAS), BODY, (
        Kind("1F9F3", "suitcase", "行李箱", "brown", 69, 259),
        Kind("2602", "umbrella", "雨伞", "purple purple-", 15, 49, made=(POLYESTER,)),
    )),
    Shelf("Bags & accessories", "Accessories", "配饰", CLOTH, (STEEL, ACETATE), ONE_SIZE, (
        Kind("1F453", "reading glasses", "眼镜", "grey grey-", 25, 149, made=(STEEL, ACETATE)),
        Kind("1F576", "sunglasses", "太阳镜", "black", 29, 179, "black brown blue red green pink", made=(ACETATE,)),
        Kind("231A", "wristwatch", "手表", "grey grey-", 59, 349, "grey gold black brown blue", made=(STEEL,)),
        Kind("1F4FF", "bead necklace", "珠链", "red-", 15, 79, BRIGHT, made=(GLASS, WOOD)),
        Kind("1FAAD", "folding fan", "折扇", "red- red", 9, 35, BRIGHT, made=(SILK, PAPER)),
        Kind("1F48D", "ring", "戒指", "grey", 49, 399, "grey", made=(SILVER,)),
    )),
    Shelf("Beauty", "Make-up", "彩妆", BRIGHT, (), ONE_SIZE, (
        Kind("1F484", "lipstick", "口红", "red red-", 9, 35, "red pink orange purple brown"),
    )),
    Shelf("Beauty", "Bath & body", "沐浴护理", BRIGHT, (), PIECES, (
        Kind("1F9F4", "body lotion", "身体乳", "blue blue-", 7, 25, "blue green pink purple teal"),
        Kind("1F9FC", "bar of soap", "香皂", "pink pink-", 3, 12),
        Kind("1F9FD", "bath sponge", "沐浴海绵", "yellow- yellow", 3, 9),
        Kind("1FA92", "razor", "剃须刀", "blue blue-", 5, 29),
        Kind("1FAA5", "toothbrush", "牙刷", "blue blue-", 2, 9),
    )),
    Shelf("Electronics", "Cameras", "相机", DEVICE, (ALUMINIUM, PLASTIC), ONE_SIZE, (
        Kind("1F4F7", "camera", "相机", "grey- grey", 199, 899),
        Kind("1F4F9", "camcorder", "摄像机", "grey grey-", 189, 699),
        Kind("1F4FD", "film projector", "放映机", "grey grey-", 129, 499),
    )),
    Shelf("Electronics", "Computers", "电脑", DEVICE, (ALUMINIUM, PLASTIC), ONE_SIZE, (
        Kind("1F4BB", "laptop", "笔记本电脑", "grey- grey", 499, 1599),
        Kind("1F5A8", "printer", "打印机", "grey- grey", 89, 299, made=(PLASTIC,)),
        Kind("1F5B1", "computer mouse", "鼠标", "grey grey-", 15, 79),
        Kind("2328", "keyboard", "键盘", "grey grey-", 25, 149),
    )),
    Shelf("Electronics", "Phones & audio", "手机与音响", DEVICE, (PLASTIC, ALUMINIUM), ONE_SIZE, (
        Kind("1F4F1", "smartphone", "智能手机", "grey grey-", 249, 999),
        Kind("260E", "telephone", "电话机", "red red-", 29, 89, BRIGHT, made=(PLASTIC,)),
        Kind("1F3A7", "headphones", "耳机", "grey grey-", 39, 249, made=(PLASTIC,)),
        Kind("1F4FB", "radio", "收音机", "grey", 29, 149, made=(PLASTIC, WOOD)),
        Kind("1F399", "studio microphone", "录音麦克风", "grey- grey black", 49, 199),
    )),
    Shelf("Electronics", "Gaming & power", "游戏与电源", DEVICE, (PLASTIC,), ONE_SIZE, (
        Kind("1F3AE", "game controller", "游戏手柄", "grey-", 29, 79),
        Kind("1F526", "torch", "手电筒", "grey grey-", 9, 49),
        Kind("1F50C", "travel plug", "旅行插头", "grey grey-", 7, 25),
    )),
    Shelf("Home", "Furniture", "家具", BRIGHT, (OAK,), ONE_SIZE, (
        Kind("1FA91", "chair", "椅子", "yellow yellow-", 39, 189, BRIGHT, made=(OAK, BEECH)),
        Kind("1F6CB", "sofa", "沙发", "blue blue-", 299, 1299, CLOTH, made=(VELVET, LINEN)),
        Kind("1F6CF", "bed", "床", "blue blue-", 199, 899, CLOTH, made=(OAK, BEECH)),
        Kind("1F5C4", "filing cabinet", "文件柜", "grey black", 79, 229, DEVICE, made=(STEEL,)),
        Kind("1F6C1", "bathtub", "浴缸", "grey grey-", 399, 999, "white black blue pink", made=(ENAMEL,)),
    )),
    Shelf("Home", "Light & decoration", "灯饰与装饰", BRIGHT, (GLASS,), BODY, (
        Kind("1F3EE", "paper lantern", "灯笼", "red red-", 9, 35, made=()),
        Kind("1F3FA", "vase", "花瓶", "orange orange-", 19, 89, WARE, made=(CERAMIC, GLASS)),
        Kind("1F4A1", "light bulb", "灯泡", "yellow yellow-", 4, 19, "yellow white red blue green", made=(GLASS,)),
        Kind("23F0", "alarm clock", "闹钟", "white grey", 12, 49, WARE, made=(STEEL, PLASTIC)),
        Kind("1F514", "door bell", "门铃", "yellow yellow-", 9, 29, "gold yellow grey red", made=(BRASS, STEEL)),
        Kind("1F381", "gift box", "礼盒", "yellow yellow-", 4, 19, "yellow blue green pink white", made=(PAPER,)),
    )),
    Shelf("Home", "Household", "家用", BRIGHT, (PLASTIC, STEEL), ONE_SIZE, (
        Kind("1FAA3", "bucket", "水桶", "blue blue-", 5, 19),
        Kind("1F9F9", "broom", "扫帚", "yellow-", 7, 25, made=(WOOD,)),
        Kind("1F512", "padlock", "挂锁", "yellow yellow-", 7, 35, "gold yellow grey blue red", made=(STEEL, BRASS)),
        Kind("1F9FA", "wicker basket", "藤编篮", "brown brown-", 15, 59, "brown beige white grey", made=()),
        Kind("1F9EF", "fire extinguisher", "灭火器", "red red-", 29, 79, "red", made=(STEEL,)),
        Kind("1FAA0", "plunger", "马桶搋", "red- red", 5, 15, "red black blue green", made=(RUBBER,)),
    )),
    Shelf("Kitchen", "Tableware", "餐具", WARE, (CERAMIC,), BODY, (
        Kind("1FAD6", "teapot", "茶壶", "grey grey-", 19, 79),
        Kind("2615", "coffee cup", "咖啡杯", "white grey", 6, 25),
        Kind("1F375", "tea bowl", "茶碗", "white", 8, 29),
        Kind("1F963", "cereal bowl", "麦片碗", "white grey", 7, 25),
        Kind("1F37D", "dinner set", "餐具套装", "grey grey-", 19, 99),
        Kind("1F9C2", "salt shaker", "盐瓶", "white grey", 4, 19),
    )),
    Shelf("Kitchen", "Cooking", "烹饪", "grey black red blue green", (STEEL,), BODY, (
        Kind("1F373", "frying pan", "平底锅", "grey grey-", 19, 99),
        Kind("1F52A", "kitchen knife", "菜刀", "grey grey-", 15, 119, "grey"),
        Kind("1F944", "spoon", "汤匙", "grey", 3, 15, "grey gold"),
        Kind("1FAD5", "fondue set", "芝士火锅", "red- red red--", 35, 99, "red blue green orange", made=(ENAMEL,)),
    )),
    Shelf("Kitchen", "Cups to go", "随行杯", BRIGHT, (PLASTIC, GLASS), VOLUME, (
        Kind("1F964", "straw cup", "吸管杯", "white", 5, 19, made=(PLASTIC,)),
        Kind("1F37C", "baby bottle", "奶瓶", "blue blue-", 6, 19, "blue pink green purple"),
        Kind("1FAD9", "storage jar", "储物罐", "white grey", 4, 19, WARE, made=(GLASS,)),
    )),
    Shelf("Food & drink", "Fruit", "水果", "red", (), WEIGHT, (
        Kind("1F34E", "apples", "苹果", "red red-", 2, 4, "red green yellow"),
        Kind("1F350", "pears", "梨", "green green-", 2, 5, "green yellow"),
        Kind("1F34A", "oranges", "橙子", "yellow- orange-", 2, 4, "orange"),
        Kind("1F34B", "lemons", "柠檬", "yellow orange", 2, 4, "yellow"),
        Kind("1F34C", "bananas", "香蕉", "yellow- yellow", 1.5, 3, "yellow"),
        Kind("1F349", "watermelon", "西瓜", "red", 2, 6, "red yellow"),
        Kind("1F347", "grapes", "葡萄", "purple purple-", 3, 7, "purple green red"),
        Kind("1F353", "strawberries", "草莓", "red red-", 4, 8, "red"),
        Kind("1F352", "cherries", "樱桃", "red red-", 5, 10, "red"),
        Kind("1F351", "peaches", "桃子", "pink pink-", 3, 6, "pink orange yellow"),
        Kind("1F96D", "mangoes", "芒果", "yellow yellow-", 3, 7, "yellow orange"),
        Kind("1FAD0", "blueberries", "蓝莓", "blue--", 5, 12, "navy"),
    )),
    Shelf("Food & drink", "Vegetables", "蔬菜", "green", (), WEIGHT, (
        Kind("1F345", "tomatoes", "番茄", "red red-", 2, 5, "red yellow orange"),
        Kind("1F346", "aubergines", "茄子", "purple purple-", 2, 4, "purple white"),
        Kind("1F951", "avocados", "牛油果", "green green-", 3, 7, "green"),
        Kind("1F966", "broccoli", "西兰花", "green- green", 2, 4, "green"),
        Kind("1F952", "cucumbers", "黄瓜", "green green-", 1, 3, "green"),
        Kind("1FAD1", "bell peppers", "甜椒", "red- red--", 2, 5, "red yellow green orange"),
        Kind("1F955", "carrots", "胡萝卜", "orange orange-", 1, 3, "orange purple yellow"),
        Kind("1F9C5", "onions", "洋葱", "orange orange-", 1, 3, "gold purple white"),
        Kind("1F954", "potatoes", "土豆", "brown brown-", 1, 3, "brown gold red"),
    )),
    Shelf("Food & drink", "Bakery & sweets", "烘焙与糖果", BRIGHT, (), WEIGHT, (
        Kind("1F35E", "sandwich bread", "吐司面包", "yellow- yellow", 2, 5, "gold"),
        Kind("1F950", "croissants", "羊角面包", "orange orange-", 2, 5, "gold"),
        Kind("1F36A", "chocolate chip cookies", "巧克力曲奇", "brown brown-", 3, 7, "brown"),
        Kind("1F9C1", "cupcakes", "纸杯蛋糕", "pink pink-", 4, 9, "pink red purple green"),
        Kind("1F36B", "chocolate bar", "巧克力", "red red-", 2, 6),
        Kind("1F36C", "boiled sweets", "糖果", "green green-", 2, 5),
        Kind("1F36D", "lollipops", "棒棒糖", "red red-", 1, 4),
        Kind("1F36F", "honey", "蜂蜜", "orange orange-", 5, 12, "orange gold brown"),
        Kind("1F9C0", "cheese", "奶酪", "yellow yellow-", 4, 12, "yellow orange"),
    )),
    Shelf("Food & drink", "Drinks", "饮料", BRIGHT, (), VOLUME, (
        Kind("1F9C3", "fruit juice", "果汁", "orange orange-", 2, 5, "orange red green purple"),
        Kind("1F9CB", "bubble tea", "珍珠奶茶", "orange orange-", 3, 7, "orange beige pink green"),
        Kind("1F377", "grape juice", "葡萄汁", "red red-", 4, 12, "red yellow pink"),
        Kind("1F95B", "oat milk", "燕麦奶", "white grey", 1.5, 4, "white beige"),
        Kind("1F9C9", "mate tea", "马黛茶", "orange orange-", 3, 9, "orange brown green"),
    )),
    Shelf("Sports & outdoors", "Ball games", "球类", BRIGHT, (LEATHER, RUBBER), ONE_SIZE, (
        Kind("26BD", "football", "足球", "white grey", 15, 59, "white yellow orange pink blue"),
        Kind("1F3C0", "basketball", "篮球", "orange orange-", 15, 59, made=(RUBBER, LEATHER)),
        Kind("1F3C8", "American football", "橄榄球", "brown brown-", 19, 59, HIDE),
        Kind("1F3BE", "tennis ball", "网球", "yellow yellow-", 4, 12, "yellow green pink", made=()),
        Kind("1F3D0", "volleyball", "排球", "grey grey-", 15, 49, "white yellow blue red"),
        Kind("1F3D3", "table tennis bat", "乒乓球拍", "red red-", 9, 49, "red black blue green", made=(RUBBER,)),
        Kind("1F94A", "boxing gloves", "拳击手套", "red red-", 25, 89, made=(LEATHER,)),
        Kind("1F94F", "flying disc", "飞盘", "blue blue-", 6, 19, made=(PLASTIC,)),
    )),
    Shelf("Sports & outdoors", "Wheels & water", "轮滑与水上", BRIGHT, (PLASTIC,), ONE_SIZE, (
        Kind("1F6FC", "roller skates", "轮滑鞋", "blue- blue", 39, 119, made=()),
        Kind("26F8", "ice skates", "冰鞋", "blue blue-", 49, 149, made=(LEATHER,)),
        Kind("1F6F9", "skateboard", "滑板", "blue- blue", 35, 119, made=(MAPLE,)),
        Kind("1F6F6", "canoe", "独木舟", "blue- blue", 299, 899, made=(POLYETHYLENE, WOOD)),
        Kind("1F6DF", "ring buoy", "救生圈", "red red-", 19, 49, "red orange blue", made=()),
    )),
    Shelf("Sports & outdoors", "Outdoors", "户外", BRIGHT, (CANVAS, NYLON), ONE_SIZE, (
        Kind("26FA", "tent", "帐篷", "yellow yellow-", 79, 349),
        Kind("1FA81", "kite", "风筝", "pink pink-", 12, 49, made=(NYLON,)),
        Kind("1F9ED", "compass", "指南针", "yellow yellow-", 9, 39, "yellow gold green red", made=(BRASS,)),
    )),
    Shelf("Tools", "Hand tools", "手工工具", BRIGHT, (STEEL,), BODY, (
        Kind("1F527", "wrench", "扳手", "grey", 7, 35, "grey red blue black"),
        Kind("1FA9B", "screwdriver", "螺丝刀", "orange orange-", 4, 19),
        Kind("1F9F0", "toolbox", "工具箱", "red red-", 29, 129, made=(STEEL, PLASTIC)),
        Kind("1F9F2", "magnet", "磁铁", "red red-", 3, 15, "red blue green", made=()),
        Kind("1F529", "bolt", "螺栓", "grey grey-", 1, 6, "grey gold black"),
        Kind("1FA9C", "ladder", "梯子", "brown brown-", 29, 119, "brown grey red", made=(ALUMINIUM, WOOD)),
    )),
    Shelf("Music", "Instruments", "乐器", "gold red black blue", (WOOD, BRASS), ONE_SIZE, (
        Kind("1F3B8", "electric guitar", "电吉他", "red red-", 149, 699, BRIGHT, made=(MAPLE,)),
        Kind("1F3BA", "trumpet", "小号", "yellow yellow-", 129, 499, "gold grey red", made=(BRASS,)),
        Kind("1F3BB", "violin", "小提琴", "brown- brown", 119, 599, "brown black red blue", made=(SPRUCE, MAPLE)),
        Kind("1F3B7", "saxophone", "萨克斯", "yellow yellow-", 249, 999, "gold grey black", made=(BRASS,)),
        Kind("1F941", "drum", "鼓", "red red-", 59, 249, BRIGHT, made=(MAPLE,)),
        Kind("1FA88", "wooden flute", "木笛", "brown brown-", 19, 89, "brown beige black", made=()),
        Kind("1FA89", "harp", "竖琴", "yellow-", 299, 1299, "gold brown white", made=(MAPLE,)),
    )),
    Shelf("Books & stationery", "Books", "图书", BRIGHT, (PAPER,), ONE_SIZE, (
        Kind("1F4D5", "hardback novel", "精装小说", "red-", 12, 29, BRIGHT + " navy black beige", made=()),
        Kind("1F4D8", "volume of short stories", "短篇小说集", "blue blue-", 9, 22, made=()),
        Kind("1F4D4", "notebook", "笔记本", "yellow yellow-", 4, 15),
        Kind("1F4D2", "spiral notebook", "线圈本", "yellow- yellow", 3, 12),
    )),
    Shelf("Books & stationery", "Desk & craft", "办公与手工", BRIGHT, (WOOD, PLASTIC), PIECES, (
        Kind("1F58A", "ballpoint pen", "圆珠笔", "grey", 2, 12, BRIGHT + " black", made=(PLASTIC, ALUMINIUM)),
        Kind("1F58C", "paintbrush", "画笔", "blue blue-", 3, 15, made=(WOOD,)),
        Kind("1F58D", "wax crayon", "蜡笔", "red- red", 1, 5, made=()),
        Kind("1F4CC", "push pins", "图钉", "red red-", 2, 6, made=(PLASTIC,)),
        Kind("1F4C1", "folder", "文件夹", "grey grey-", 2, 8, BRIGHT + " grey", made=(CARDBOARD, PLASTIC)),
        Kind("1F9F5", "sewing thread", "缝纫线", "red red-", 2, 7, made=(COTTON, SILK)),
        Kind("1F9F6", "ball of yarn", "毛线球", "orange orange-", 4, 15, made=(WOOL, COTTON)),
    )),
    Shelf("Toys", "Play", "玩具", BRIGHT, (WOOD,), BODY, (
        Kind("1F9F8", "teddy bear", "泰迪熊", "brown brown-", 15, 59, "brown beige white pink", made=(PLUSH, COTTON)),
        Kind("1FA80", "yo-yo", "悠悠球", "purple purple-", 4, 15, made=(WOOD, PLASTIC)),
        Kind("1F9E9", "jigsaw puzzle", "拼图", "blue blue-", 9, 35, made=(WOOD, CARDBOARD)),
        Kind("1F3B2", "game dice", "骰子", "grey grey-", 3, 12, BRIGHT + " white black", made=(WOOD, PLASTIC)),
        Kind("1F388", "balloon", "气球", "red red-", 1, 5, made=(RUBBER,)),
    )),
)  # fmt: skip
