//! Things, drawn with a few plain shapes in a square of 200: `{M}` main tone, `{A}` accent, `{D}` detail, `{W}` light.

use super::mentions;

/// Words that name a thing, and how it looks. The more particular ones first: a shirt dress is a dress.
const THINGS: &[(&[&str], &str)] = &[
    (&["headphone", "earphone", "earbud", "headset", "耳机"], HEADPHONES),
    (&["speaker", "soundbar", "radio", "音箱", "音响"], SPEAKER),
    (&["laptop", "notebook computer", "computer", "chromebook", "笔记本电脑", "电脑"], LAPTOP),
    (&["keyboard", "键盘"], KEYBOARD),
    (&["phone", "smartphone", "tablet", "charger", "power bank", "手机", "平板", "充电"], PHONE),
    (&["camera", "lens", "相机"], CAMERA),
    (&["watch", "smartwatch", "clock", "手表", "钟"], WATCH),
    (&["sunglasses", "glasses", "goggles", "眼镜"], GLASSES),
    (&["necklace", "earring", "bracelet", "pendant", "jewelry", "jewellery", "首饰", "项链", "耳环"], GEM),
    (&["dress", "gown", "skirt", "qipao", "裙", "旗袍"], DRESS),
    (
        &["jacket", "coat", "parka", "tuxedo", "blazer", "cardigan", "raincoat", "夹克", "外套", "大衣"],
        JACKET,
    ),
    (&["jeans", "trouser", "pant", "shorts", "leggings", "chino", "裤"], TROUSERS),
    (&["shoe", "sneaker", "boot", "sandal", "trainer", "loafer", "slipper", "high tops", "鞋", "靴"], SHOE),
    (&["sock", "袜"], SOCK),
    (&["beanie", "hat", "cap", "帽"], HAT),
    (&["backpack", "rucksack", "daypack", "书包", "背包"], BACKPACK),
    (&["bean bag", "beanbag"], BEANBAG),
    (&["bag", "tote", "purse", "wallet", "handbag", "包"], BAG),
    (
        &[
            "shirt", "tee", "t-shirt", "top", "blouse", "jumper", "sweater", "hoodie", "pullover", "衬衫",
            "t恤", "毛衣", "上衣", "卫衣",
        ],
        SHIRT,
    ),
    (&["scarf", "shawl", "towel", "围巾", "毛巾"], SCARF),
    (&["umbrella", "parasol", "伞"], UMBRELLA),
    (&["sofa", "couch", "armchair", "settee", "loveseat", "沙发"], SOFA),
    (&["chair", "stool", "bench", "椅", "凳"], CHAIR),
    (&["drawer", "dresser", "cabinet", "nightstand", "sideboard", "柜"], DRAWERS),
    (&["table", "desk", "桌", "茶几"], TABLE),
    (&["pillow", "cushion", "枕", "靠垫"], PILLOW),
    (&["bed", "bedding", "duvet", "quilt", "blanket", "throw", "sheet", "床", "被", "毯"], BED),
    (&["candle", "diffuser", "incense", "蜡烛", "香薰"], CANDLE),
    (&["lamp", "light", "lantern", "chandelier", "灯"], LAMP),
    (&["watering can", "洒水壶"], WATERING_CAN),
    (&["trowel", "spade", "shovel", "rake", "铲"], TROWEL),
    (&["fence", "slat", "trellis", "围栏"], FENCE),
    (
        &[
            "plant",
            "planter",
            "pot",
            "vase",
            "fern",
            "succulent",
            "monstera",
            "bonsai",
            "flower",
            "花盆",
            "植物",
            "盆栽",
            "花瓶",
        ],
        PLANT,
    ),
    (&["teapot", "kettle", "茶壶", "水壶"], TEAPOT),
    (&["mug", "cup", "coffee", "tea", "espresso", "杯", "茶", "咖啡"], MUG),
    (&["knife", "cleaver", "刀"], KNIFE),
    (&["pan", "skillet", "wok", "cookware", "锅"], PAN),
    (&["bowl", "plate", "dish", "dinnerware", "碗", "盘"], BOWL),
    (&["bottle", "flask", "tumbler", "thermos", "vinegar", "oil", "sauce", "瓶", "酱", "油"], BOTTLE),
    (&["book", "journal", "notebook", "planner", "diary", "novel", "书", "笔记本", "手账"], BOOK),
    (&["pen", "pencil", "brush", "marker", "笔"], PEN),
    (&["bear", "plush", "teddy", "panda", "doll", "熊", "玩偶", "毛绒"], BEAR),
    (&["block", "puzzle", "toy", "lego", "game", "积木", "拼图", "玩具"], BLOCKS),
    (&["bike", "bicycle", "cycling", "自行车"], BIKE),
    (&["yoga", "mat", "瑜伽"], MAT),
    (&["dumbbell", "kettlebell", "weight", "哑铃"], DUMBBELL),
    (&["ball", "basketball", "football", "volleyball", "球"], BALL),
    (&["tent", "camping", "帐篷"], TENT),
    (&["soap", "shampoo", "皂"], SOAP),
    (&["cream", "lotion", "serum", "balm", "moisturiser", "moisturizer", "霜", "护肤", "精华"], JAR),
    (&["basket", "crate", "storage", "篮", "收纳"], BASKET),
    (&["rug", "carpet", "地毯"], RUG),
];

/// What the title names; failing that, what the nearest category names.
pub(super) fn find(title: &str, categories: &[&str]) -> Option<&'static str> {
    std::iter::once(title).chain(categories.iter().rev().copied()).find_map(|text| {
        THINGS
            .iter()
            .find(|(words, _)| words.iter().any(|word| mentions(text, word)))
            .map(|(_, glyph)| *glyph)
    })
}

const SHIRT: &str = r#"<path d="M70 30 36 46 12 92l32 18 12-20v82h88V90l12 20 32-18-24-46-34-16c-6 20-54 20-60 0z" fill="{M}"/><path d="M70 30c6 24 54 24 60 0l-10-5c-6 14-34 14-40 0z" fill="{D}"/><path d="M36 46 12 92l32 18 12-20V60zM164 46l24 46-32 18-12-20V60z" fill="{A}"/><path d="M74 92h14v58H74z" fill="{W}"/>"#;
const JACKET: &str = r#"<path d="M72 28 36 44 18 142l30 10 8-44v64h88v-64l8 44 30-10-18-98-36-16-28 18z" fill="{M}"/><path d="M36 44 18 142l30 10 10-74zM164 44l18 98-30 10-10-74z" fill="{A}"/><path d="M72 28 100 90l28-62-28 18z" fill="{D}"/><path d="M97 90h6v82h-6z" fill="{D}"/><path d="M68 120h18v30H68zM114 120h18v30h-18z" fill="{W}"/>"#;
const DRESS: &str = r#"<path d="M74 24c-4 30-2 46-14 66-10 30-24 60-28 84 44 14 92 14 136 0-4-24-18-54-28-84-12-20-10-36-14-66-4 16-12 22-26 22s-22-6-26-22z" fill="{M}"/><path d="M61 88c26 8 52 8 78 0l4 14c-28 9-58 9-86 0z" fill="{D}"/><path d="M74 104 56 178c10 3 18 4 26 5l6-78z" fill="{W}"/><path d="M118 106l10 78c14-1 28-4 40-9-4-24-18-54-28-75z" fill="{A}"/>"#;
const TROUSERS: &str = r#"<path d="M58 24h84l14 152h-40l-16-96-16 96H44z" fill="{M}"/><path d="M58 24h84l2 18H56z" fill="{D}"/><path d="M100 42v38l-16 96H66l16-112z" fill="{A}"/><path d="M126 48l10 112h10L138 48z" fill="{W}"/>"#;
const SHOE: &str = r#"<path d="M24 70c10 10 26 12 40 0l12-8c14 26 38 40 78 46 22 4 28 14 28 34H20c-6-30-4-52 4-72z" fill="{M}"/><path d="M16 142h168v8c0 8-6 14-14 14H30c-8 0-14-6-14-14z" fill="{D}"/><path d="M24 70c10 10 26 12 40 0 4 20 0 50-12 72H20c-6-30-4-52 4-72z" fill="{A}"/><path d="M84 76l-14 10 4 5 15-10zM97 88l-14 11 5 5 14-11zM112 97l-13 12 6 4 12-12z" fill="{W}"/>"#;
const SOCK: &str = r#"<path d="M72 22h56v82l34 34c14 16-8 42-30 34L82 138c-8-6-10-12-10-22z" fill="{M}"/><path d="M72 22h56v22H72z" fill="{D}"/><path d="M162 138c14 16-8 42-30 34l-14-8c10-18 22-28 38-32z" fill="{A}"/><path d="M72 60h56v8H72zM72 78h56v8H72z" fill="{W}"/>"#;
const HAT: &str = r#"<path d="M44 118c0-60 24-84 56-84s56 24 56 84z" fill="{M}"/><path d="M100 34c32 0 56 24 56 84h-30c0-50-10-74-26-84z" fill="{A}"/><rect x="32" y="112" width="136" height="34" rx="17" fill="{D}"/><circle cx="100" cy="32" r="14" fill="{D}"/><path d="M66 60c-6 14-8 28-8 46h12c0-18 2-34 8-50z" fill="{W}"/>"#;
const BAG: &str = r#"<path d="M34 74h132l12 96c0 6-4 10-10 10H32c-6 0-10-4-10-10z" fill="{M}"/><path d="M66 84V60c0-46 68-46 68 0v24h-12V62c0-30-44-30-44 0v22z" fill="{D}"/><path d="M34 74h132l4 32H30z" fill="{A}"/><circle cx="72" cy="90" r="6" fill="{D}"/><circle cx="128" cy="90" r="6" fill="{D}"/><path d="M42 118h12l-4 50H36z" fill="{W}"/>"#;
const BACKPACK: &str = r#"<path d="M78 34c0-24 44-24 44 0h-12c0-10-20-10-20 0z" fill="{D}"/><path d="M46 86c0-40 22-56 54-56s54 16 54 56v84c0 6-4 10-10 10H56c-6 0-10-4-10-10z" fill="{M}"/><rect x="60" y="104" width="80" height="60" rx="12" fill="{A}"/><path d="M60 116c0-8 4-12 12-12h56c8 0 12 4 12 12v10H60z" fill="{D}"/><rect x="92" y="118" width="16" height="18" rx="4" fill="{W}"/><path d="M46 100c-16 4-20 20-18 54h18zM154 100c16 4 20 20 18 54h-18z" fill="{D}"/><path d="M72 54c-8 8-12 18-12 34h10c0-12 4-22 10-30z" fill="{W}"/>"#;
const BEANBAG: &str = r#"<path d="M28 150c-8-40 20-60 38-92 8-14 26-22 44-14 26 12 40 40 56 66 12 20 18 56-6 60-40 6-84 6-116 2-10-2-14-10-16-22z" fill="{M}"/><path d="M66 58c10 30 40 44 96 46 14 20 22 62-2 66-40 6-84 6-116 2 40-20 36-72 22-114z" fill="{A}"/><path d="M66 58c4-10 26-22 44-14-14 2-28 8-38 20z" fill="{D}"/><path d="M46 116c-6 12-8 22-6 34h12c-2-12 0-22 4-30z" fill="{W}"/>"#;
const SCARF: &str = r#"<path d="M52 40c28-18 68-18 96 0l-10 36c-24 12-52 12-76 0z" fill="{M}"/><path d="M62 70l38 14-14 92H42z" fill="{A}"/><path d="M138 70l-38 14 12 76 44 0z" fill="{M}"/><path d="M42 176h44l-2 10H40zM112 160h44l2 10h-45z" fill="{D}"/><path d="M60 104l34 4-2 10-34-4zM56 128l34 4-2 10-34-4z" fill="{W}"/><path d="M52 40c28 14 68 14 96 0l-4 14c-26 12-62 12-88 0z" fill="{D}"/>"#;
const UMBRELLA: &str = r#"<path d="M18 104c4-48 40-74 82-74s78 26 82 74c-12-14-30-14-41 0-11-14-30-14-41 0-11-14-30-14-41 0-11-14-29-14-41 0z" fill="{M}"/><path d="M100 30c-22 12-40 40-41 74 11-14 30-14 41 0z" fill="{A}"/><path d="M96 22h8v12h-8zM96 100h8v58c0 26-40 26-40 0h9c0 14 23 14 23 0z" fill="{D}"/><path d="M124 40c20 8 34 24 42 42l-8 2c-8-16-20-28-36-38z" fill="{W}"/>"#;
const WATCH: &str = r#"<path d="M72 14h56l6 50H66zM66 136h68l-6 50H72z" fill="{A}"/><circle cx="100" cy="100" r="56" fill="{M}"/><circle cx="100" cy="100" r="43" fill="{W}"/><path d="M97 66h6v36l20 14-4 6-22-16z" fill="{D}"/><rect x="154" y="92" width="12" height="16" rx="4" fill="{D}"/>"#;
const GLASSES: &str = r#"<path d="M14 78h172v10l-6 4c0 36-12 50-38 50-24 0-34-14-36-44h-12c-2 30-12 44-36 44-26 0-38-14-38-50l-6-4z" fill="{D}"/><path d="M28 88h56c0 30-8 42-26 42s-28-12-30-42zM116 88h56c-2 30-12 42-30 42s-26-12-26-42z" fill="{M}"/><path d="M36 92h18l-14 28c-4-6-6-16-4-28zM124 92h18l-14 28c-4-6-6-16-4-28z" fill="{W}"/>"#;
const GEM: &str = r#"<path d="M56 34c-30 40 4 70 36 82l8 12 8-12c32-12 66-42 36-82" fill="none" stroke="{D}" stroke-width="6"/><path d="M68 124h64l20 24-52 42-52-42z" fill="{M}"/><path d="M68 124h64l20 24H48z" fill="{A}"/><path d="M84 148h32l-16 42z" fill="{D}"/><path d="M72 130h16l-8 12H60z" fill="{W}"/>"#;
const SOFA: &str = r#"<path d="M34 92c0-34 10-46 30-46h72c20 0 30 12 30 46v40H34z" fill="{M}"/><path d="M97 46h6v66h-6z" fill="{D}"/><path d="M44 112h112v40H44z" fill="{A}"/><path d="M16 92c0-18 32-18 32 0v50h104V92c0-18 32-18 32 0v58c0 6-4 10-10 10H26c-6 0-10-4-10-10z" fill="{M}"/><path d="M48 128h104v14H48z" fill="{D}"/><path d="M34 160h12v16H34zM154 160h12v16h-12z" fill="{D}"/><path d="M50 62c-6 6-6 14-6 26h10c0-10 0-16 4-22z" fill="{W}"/>"#;
const CHAIR: &str = r#"<path d="M60 22h80c8 0 12 6 11 14l-8 62H57l-8-62c-1-8 3-14 11-14z" fill="{M}"/><path d="M72 36h12l4 50H78zM116 36h12l-6 50h-10z" fill="{W}"/><rect x="42" y="96" width="116" height="22" rx="9" fill="{A}"/><path d="M50 118h14l-8 62H44zM136 118h14l6 62h-12z" fill="{D}"/>"#;
const DRAWERS: &str = r#"<rect x="30" y="30" width="140" height="136" rx="10" fill="{M}"/><path d="M42 166h14v14H42zM144 166h14v14h-14z" fill="{D}"/><rect x="42" y="44" width="116" height="32" rx="6" fill="{A}"/><rect x="42" y="84" width="116" height="32" rx="6" fill="{A}"/><rect x="42" y="124" width="116" height="32" rx="6" fill="{A}"/><rect x="86" y="56" width="28" height="8" rx="4" fill="{D}"/><rect x="86" y="96" width="28" height="8" rx="4" fill="{D}"/><rect x="86" y="136" width="28" height="8" rx="4" fill="{D}"/><path d="M48 48h14v24H48z" fill="{W}"/>"#;
const TABLE: &str = r#"<rect x="16" y="70" width="168" height="22" rx="8" fill="{M}"/><path d="M36 92h128v14H36z" fill="{D}"/><path d="M36 92h16l-8 84H32zM148 92h16l4 84h-12z" fill="{A}"/><path d="M24 74h60v6H24z" fill="{W}"/><path d="M88 70c-2-18 0-26 4-34h16c4 8 6 16 4 34z" fill="{A}"/><path d="M100 36c-10-14-4-22 4-26 4 10 2 18-4 26z" fill="{D}"/>"#;
const PILLOW: &str = r#"<path d="M30 52c-8-20 8-26 20-18 30 8 70 8 100 0 12-8 28-2 20 18-8 30-8 66 0 96 8 20-8 26-20 18-30-8-70-8-100 0-12 8-28 2-20-18 8-30 8-66 0-96z" fill="{M}"/><path d="M170 148c8 20-8 26-20 18-30-8-70-8-100 0-10 6-22 4-22-8 60 6 110-10 136-44 0 12 2 22 6 34z" fill="{A}"/><path d="M52 56c20 6 40 8 60 8v8c-24 0-42-2-62-8z" fill="{W}"/><circle cx="100" cy="100" r="6" fill="{D}"/>"#;
const BED: &str = r#"<path d="M22 46c0-8 12-8 12 0v70h132V78c0-8 12-8 12 0v92h-12v-18H34v18H22z" fill="{D}"/><rect x="40" y="74" width="44" height="28" rx="10" fill="{W}"/><path d="M34 100h102c22 0 30 10 30 28v24H34z" fill="{M}"/><path d="M86 92h46c24 0 34 14 34 36H86z" fill="{A}"/><path d="M86 92h14v36H86z" fill="{W}"/>"#;
const LAMP: &str = r#"<path d="M66 26h68l26 66H40z" fill="{M}"/><path d="M66 26h22L74 92H40z" fill="{W}"/><path d="M118 26h16l26 66h-30z" fill="{A}"/><path d="M94 92h12v64H94z" fill="{D}"/><path d="M62 176c0-14 16-22 38-22s38 8 38 22z" fill="{D}"/><path d="M132 92h5v24h-5z" fill="{D}"/><circle cx="134" cy="120" r="5" fill="{A}"/>"#;
const CANDLE: &str = r#"<path d="M100 14c18 20 20 32 14 42-6 8-22 8-28 0-6-10-2-18 4-24 2 6 4 8 6 8 4-6 6-14 4-26z" fill="{A}"/><path d="M98 58h4v22h-4z" fill="{D}"/><rect x="46" y="78" width="108" height="100" rx="14" fill="{M}"/><ellipse cx="100" cy="82" rx="54" ry="12" fill="{A}"/><ellipse cx="100" cy="82" rx="38" ry="7" fill="{W}"/><rect x="66" y="114" width="68" height="40" rx="6" fill="{W}"/><path d="M78 126h44v5H78zM86 138h28v5H86z" fill="{D}"/>"#;
const PLANT: &str = r#"<path d="M100 108C96 70 70 48 42 46c0 34 20 58 58 62zM100 108c2-46 24-74 60-84 6 42-14 76-60 84z" fill="{A}"/><path d="M100 108c-12-28-12-58 2-88 18 30 16 60-2 88z" fill="{D}"/><path d="M48 104h104l-14 68c-1 5-5 8-10 8H72c-5 0-9-3-10-8z" fill="{M}"/><rect x="40" y="98" width="120" height="24" rx="8" fill="{M}"/><path d="M52 122h96l-2 10H54z" fill="{D}"/><path d="M62 136h12l6 36h-8z" fill="{W}"/>"#;
const WATERING_CAN: &str = r#"<path d="M62 84h84l10 80c0 6-4 10-10 10H62c-6 0-10-4-10-10z" fill="{M}"/><path d="M58 128 22 76l-8 4-2-10 24-14 4 8-8 6 34 34z" fill="{A}"/><path d="M84 84c0-52 96-52 96 10 0 26-14 44-28 52l-2-14c8-8 16-20 16-38 0-40-68-40-68-10z" fill="{D}"/><path d="M62 84h84l2 14H60z" fill="{D}"/><path d="M68 106h12v56H66z" fill="{W}"/>"#;
const TROWEL: &str = r#"<path d="M100 186c-30-20-40-56-30-88h60c10 32 0 68-30 88z" fill="{A}"/><path d="M100 186V98h30c10 32 0 68-30 88z" fill="{D}"/><path d="M94 76h12v24H94z" fill="{D}"/><rect x="84" y="12" width="32" height="68" rx="14" fill="{M}"/><path d="M90 22h8v46h-8z" fill="{W}"/>"#;
const FENCE: &str = r#"<path d="M20 76h160v16H20zM20 128h160v16H20z" fill="{D}"/><path d="M30 54l14-22 14 22v122H30zM72 54l14-22 14 22v122H72zM114 54l14-22 14 22v122h-28zM152 62l10-18 10 18v114h-20z" fill="{M}"/><path d="M34 58h8v112h-8zM76 58h8v112h-8zM118 58h8v112h-8z" fill="{W}"/>"#;
const MUG: &str = r#"<path d="M134 86h16c38 0 38 66-8 66h-12v-16h12c24 0 24-34 4-34h-12z" fill="{D}"/><path d="M36 70h102v82c0 16-10 26-26 26H62c-16 0-26-10-26-26z" fill="{M}"/><ellipse cx="87" cy="70" rx="51" ry="11" fill="{D}"/><path d="M48 92h14v62c0 6-14 4-14-6z" fill="{W}"/><path d="M68 52c-10-12 10-16 0-30 18 10 2 18 10 30zM98 52c-10-12 10-16 0-30 18 10 2 18 10 30z" fill="{A}"/>"#;
const TEAPOT: &str = r#"<path d="M52 96C30 92 24 76 10 76l-2-10c22-4 34 6 46 22z" fill="{A}"/><path d="M148 84c34-18 52 28 2 62l-6-12c30-20 18-42 2-34z" fill="{D}"/><path d="M46 112c0-36 22-52 56-52s56 16 56 52c0 38-22 60-56 60s-56-22-56-60z" fill="{M}"/><path d="M66 70c4-18 68-18 72 0-20-8-52-8-72 0z" fill="{D}"/><circle cx="102" cy="46" r="9" fill="{A}"/><path d="M64 92c-6 16-4 34 4 48l10-4c-8-14-8-28-4-42z" fill="{W}"/><path d="M70 172h64v10H70z" fill="{D}"/>"#;
const KNIFE: &str = r#"<path d="M24 128 132 20c22 22 22 46 8 66L84 142c-24 4-44 0-60-14z" fill="{A}"/><path d="M24 128 132 20c4 4 8 9 10 14L44 138c-8-2-14-6-20-10z" fill="{W}"/><path d="M84 142l22-22 60 44c10 8-6 26-16 18z" fill="{M}"/><circle cx="122" cy="146" r="4" fill="{W}"/><circle cx="144" cy="163" r="4" fill="{W}"/>"#;
const PAN: &str = r#"<path d="M120 104l70-44 8 14-66 46z" fill="{D}"/><path d="M12 98h132v18c0 32-20 48-66 48s-66-16-66-48z" fill="{M}"/><ellipse cx="78" cy="98" rx="66" ry="18" fill="{D}"/><ellipse cx="78" cy="99" rx="54" ry="12" fill="{A}"/><path d="M26 122c2 14 10 22 22 28l4-8c-10-4-16-12-16-20z" fill="{W}"/>"#;
const BOWL: &str = r#"<path d="M20 84h160c0 52-28 78-58 84H78c-30-6-58-32-58-84z" fill="{M}"/><ellipse cx="100" cy="84" rx="80" ry="20" fill="{D}"/><ellipse cx="100" cy="85" rx="66" ry="13" fill="{A}"/><path d="M70 168h60v12H70z" fill="{D}"/><path d="M34 112c6 18 14 28 28 38l6-8c-12-8-18-18-22-30z" fill="{W}"/><path d="M104 82 168 14l8 6-58 66z" fill="{D}"/>"#;
const BOTTLE: &str = r#"<rect x="82" y="12" width="36" height="22" rx="6" fill="{D}"/><path d="M86 32h28v20c0 16 26 22 26 48v74c0 8-6 14-14 14H74c-8 0-14-6-14-14v-74c0-26 26-32 26-48z" fill="{M}"/><rect x="60" y="104" width="80" height="52" fill="{A}"/><path d="M72 116h56v6H72zM80 130h40v6H80z" fill="{D}"/><path d="M70 92c4-14 20-20 24-34v36z" fill="{W}"/>"#;
const HEADPHONES: &str = r#"<path d="M30 116C26 8 174 8 170 116h-16c4-84-112-84-108 0z" fill="{D}"/><rect x="22" y="104" width="40" height="70" rx="18" fill="{M}"/><rect x="138" y="104" width="40" height="70" rx="18" fill="{M}"/><rect x="52" y="110" width="16" height="58" rx="8" fill="{A}"/><rect x="132" y="110" width="16" height="58" rx="8" fill="{A}"/><rect x="30" y="118" width="9" height="36" rx="4" fill="{W}"/>"#;
const SPEAKER: &str = r#"<rect x="48" y="18" width="104" height="164" rx="18" fill="{M}"/><circle cx="100" cy="122" r="40" fill="{D}"/><circle cx="100" cy="122" r="27" fill="{A}"/><circle cx="100" cy="122" r="10" fill="{D}"/><circle cx="100" cy="54" r="18" fill="{D}"/><circle cx="100" cy="54" r="9" fill="{A}"/><path d="M58 36c0-6 4-8 8-8v140c-4 0-8-2-8-8z" fill="{W}"/>"#;
const LAPTOP: &str = r#"<rect x="34" y="40" width="132" height="94" rx="10" fill="{D}"/><rect x="42" y="48" width="116" height="78" rx="4" fill="{A}"/><path d="M42 48h70l-46 78H42z" fill="{W}"/><path d="M14 138h172l-6 16c-2 4-4 6-8 6H28c-4 0-6-2-8-6z" fill="{M}"/><path d="M80 138h40l-4 8H84z" fill="{D}"/>"#;
const KEYBOARD: &str = r#"<rect x="12" y="58" width="176" height="88" rx="14" fill="{M}"/><g fill="{A}"><rect x="24" y="70" width="18" height="16" rx="4"/><rect x="48" y="70" width="18" height="16" rx="4"/><rect x="72" y="70" width="18" height="16" rx="4"/><rect x="96" y="70" width="18" height="16" rx="4"/><rect x="120" y="70" width="18" height="16" rx="4"/><rect x="144" y="70" width="32" height="16" rx="4"/><rect x="24" y="94" width="30" height="16" rx="4"/><rect x="60" y="94" width="18" height="16" rx="4"/><rect x="84" y="94" width="18" height="16" rx="4"/><rect x="108" y="94" width="18" height="16" rx="4"/><rect x="132" y="94" width="44" height="16" rx="4"/></g><rect x="54" y="118" width="92" height="16" rx="4" fill="{D}"/><rect x="24" y="118" width="24" height="16" rx="4" fill="{W}"/><rect x="152" y="118" width="24" height="16" rx="4" fill="{W}"/>"#;
const PHONE: &str = r#"<rect x="54" y="14" width="92" height="172" rx="18" fill="{D}"/><rect x="61" y="22" width="78" height="156" rx="12" fill="{M}"/><path d="M61 34c0-6 6-12 12-12h44L61 130z" fill="{W}"/><rect x="84" y="28" width="32" height="8" rx="4" fill="{D}"/><path d="M76 132h48v10H76zM76 150h32v10H76z" fill="{A}"/>"#;
const CAMERA: &str = r#"<path d="M66 52l10-18h48l10 18h36c8 0 14 6 14 14v82c0 8-6 14-14 14H30c-8 0-14-6-14-14V66c0-8 6-14 14-14z" fill="{M}"/><path d="M16 84h168v40H16z" fill="{D}"/><circle cx="100" cy="108" r="40" fill="{A}"/><circle cx="100" cy="108" r="29" fill="{D}"/><circle cx="100" cy="108" r="17" fill="{M}"/><path d="M88 92c6-5 14-6 20-3l-5 9c-4-2-8-1-11 1z" fill="{W}"/><rect x="148" y="62" width="22" height="12" rx="4" fill="{W}"/>"#;
const BOOK: &str = r#"<path d="M44 22h104c8 0 12 4 12 12v128c0 8-4 12-12 12H56c-10 0-16-6-16-14V30c0-4 2-8 4-8z" fill="{M}"/><path d="M40 158c0-10 6-16 16-16h104v20c0 8-4 12-12 12H56c-10 0-16-6-16-16z" fill="{W}"/><path d="M40 30c0-4 2-8 4-8h14v120c-10 0-18 6-18 16z" fill="{D}"/><rect x="76" y="48" width="64" height="38" rx="4" fill="{A}"/><path d="M86 58h44v6H86zM94 70h28v6H94z" fill="{D}"/><path d="M120 142h18v50l-9-8-9 8z" fill="{D}"/>"#;
const PEN: &str = r#"<path d="M136 24l40 40-92 92-52 12 12-52z" fill="{M}"/><path d="M136 24l14 14-92 92-14-14z" fill="{W}"/><path d="M150 10c10-8 46 28 40 40l-14 14-40-40z" fill="{D}"/><path d="M44 116l40 40-52 12z" fill="{A}"/><path d="M37 148l15 15-20 5z" fill="{D}"/>"#;
const BEAR: &str = r#"<circle cx="58" cy="48" r="24" fill="{M}"/><circle cx="142" cy="48" r="24" fill="{M}"/><circle cx="58" cy="48" r="12" fill="{A}"/><circle cx="142" cy="48" r="12" fill="{A}"/><ellipse cx="100" cy="152" rx="60" ry="38" fill="{M}"/><ellipse cx="100" cy="154" rx="34" ry="26" fill="{A}"/><circle cx="100" cy="86" r="58" fill="{M}"/><ellipse cx="100" cy="104" rx="28" ry="22" fill="{W}"/><ellipse cx="100" cy="96" rx="10" ry="7" fill="{D}"/><circle cx="76" cy="78" r="6" fill="{D}"/><circle cx="124" cy="78" r="6" fill="{D}"/><path d="M88 108c6 8 18 8 24 0l3 3c-8 11-22 11-30 0z" fill="{D}"/>"#;
const BLOCKS: &str = r#"<rect x="62" y="26" width="76" height="70" rx="8" fill="{A}"/><rect x="20" y="104" width="76" height="70" rx="8" fill="{M}"/><rect x="104" y="104" width="76" height="70" rx="8" fill="{D}"/><circle cx="100" cy="61" r="20" fill="{W}"/><path d="M58 120l20 38H38z" fill="{W}"/><rect x="126" y="123" width="32" height="32" rx="4" fill="{W}"/>"#;
const BIKE: &str = r#"<g fill="none" stroke="{D}" stroke-width="8"><circle cx="46" cy="132" r="36"/><circle cx="154" cy="132" r="36"/></g><g fill="none" stroke="{M}" stroke-width="9" stroke-linejoin="round" stroke-linecap="round"><path d="M46 132 76 74h58l-36 58zM76 74l22 58M154 132 128 52h20"/></g><path d="M60 66h34v9H60z" fill="{D}"/><circle cx="98" cy="132" r="11" fill="{A}"/>"#;
const MAT: &str = r#"<path d="M58 44h124v112H58z" fill="{M}"/><path d="M58 44h124v14H58z" fill="{A}"/><ellipse cx="58" cy="100" rx="34" ry="60" fill="{D}"/><ellipse cx="56" cy="100" rx="26" ry="48" fill="{M}"/><ellipse cx="54" cy="100" rx="17" ry="34" fill="{D}"/><ellipse cx="52" cy="100" rx="9" ry="20" fill="{M}"/><path d="M104 76h60v8h-60zM104 116h60v8h-60z" fill="{W}"/>"#;
const DUMBBELL: &str = r#"<path d="M60 90h80v20H60z" fill="{D}"/><rect x="34" y="48" width="34" height="104" rx="10" fill="{M}"/><rect x="132" y="48" width="34" height="104" rx="10" fill="{M}"/><rect x="14" y="66" width="24" height="68" rx="8" fill="{A}"/><rect x="162" y="66" width="24" height="68" rx="8" fill="{A}"/><path d="M42 58h9v84h-9zM140 58h9v84h-9z" fill="{W}"/>"#;
const BALL: &str = r#"<circle cx="100" cy="102" r="76" fill="{M}"/><path d="M100 26a76 76 0 0 1 0 152c22-50 22-102 0-152z" fill="{A}"/><g fill="none" stroke="{D}" stroke-width="6"><path d="M100 26v152M24 102h152M48 46c34 34 34 78 0 112M152 46c-34 34-34 78 0 112"/></g><path d="M54 62c10-14 22-20 36-22v10c-10 2-20 8-28 18z" fill="{W}"/>"#;
const TENT: &str = r#"<path d="M100 30 190 164H10z" fill="{M}"/><path d="M100 30 190 164h-44z" fill="{D}"/><path d="M100 30 54 164H10z" fill="{A}"/><path d="M100 84l30 80H70z" fill="{D}"/><path d="M100 84v80H70z" fill="{W}"/><path d="M94 22h12l-6 14z" fill="{D}"/>"#;
const SOAP: &str = r#"<rect x="24" y="88" width="152" height="78" rx="34" fill="{M}"/><rect x="44" y="104" width="112" height="44" rx="22" fill="{A}"/><path d="M76 120h48v10H76z" fill="{D}"/><circle cx="62" cy="60" r="20" fill="{W}"/><circle cx="104" cy="42" r="28" fill="{W}"/><circle cx="146" cy="68" r="14" fill="{W}"/><circle cx="104" cy="42" r="28" fill="none" stroke="{A}" stroke-width="4"/><path d="M40 108c4-8 10-10 18-12v8c-6 2-8 4-10 8z" fill="{W}"/>"#;
const JAR: &str = r#"<rect x="36" y="42" width="128" height="40" rx="12" fill="{D}"/><path d="M30 82h140v72c0 14-10 24-24 24H54c-14 0-24-10-24-24z" fill="{M}"/><rect x="30" y="104" width="140" height="44" fill="{A}"/><path d="M64 116h72v7H64zM78 130h44v7H78z" fill="{D}"/><path d="M48 50h12v24H48zM42 90h12v72c-8-2-12-6-12-14z" fill="{W}"/>"#;
const BASKET: &str = r#"<path d="M52 84C52 10 148 10 148 84h-12c0-56-72-56-72 0z" fill="{D}"/><path d="M20 80h160l-16 88c-1 6-5 10-12 10H48c-7 0-11-4-12-10z" fill="{M}"/><path d="M20 80h160l-4 22H24z" fill="{D}"/><g fill="{A}"><path d="M40 112h20v16H40zM70 112h20v16H70zM100 112h20v16h-20zM130 112h22v16h-22zM54 136h20v16H54zM84 136h20v16H84zM114 136h22v16h-22z"/></g><path d="M32 88h30v6H32z" fill="{W}"/>"#;
const RUG: &str = r#"<path d="M14 58h172v92H14z" fill="{M}"/><path d="M30 72h140v64H30z" fill="{A}"/><path d="M100 78l48 26-48 26-48-26z" fill="{D}"/><path d="M100 90l26 14-26 14-26-14z" fill="{W}"/><path d="M8 60h6v8H8zM8 76h6v8H8zM8 92h6v8H8zM8 108h6v8H8zM8 124h6v8H8zM8 140h6v8H8zM186 60h6v8h-6zM186 76h6v8h-6zM186 92h6v8h-6zM186 108h6v8h-6zM186 124h6v8h-6zM186 140h6v8h-6z" fill="{D}"/>"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_things_by_title_and_by_category() {
        assert_eq!(find("Wooden Outdoor Table", &[]), Some(TABLE));
        assert_eq!(find("Linen shirt dress", &[]), Some(DRESS));
        assert_eq!(find("青花瓷茶杯", &[]), Some(MUG));
        assert_eq!(find("Model 7", &["Clothing", "Shoes"]), Some(SHOE));
        assert_eq!(find("Model 7", &["Things"]), None);
    }

    #[test]
    fn every_glyph_has_only_known_tones() {
        for (_, glyph) in THINGS {
            let rest = ["{M}", "{A}", "{D}", "{W}"]
                .iter()
                .fold((*glyph).to_owned(), |text, tone| text.replace(tone, ""));
            assert!(!rest.contains('{'), "{rest}");
            assert!(rest.matches('<').count() == rest.matches('>').count());
        }
    }
}
