//! Draws an image for a product that has none: its thing in its colour where the title says so, else its initials, on a soft
//! ground. The same product always looks the same, and no two the same.

mod glyphs;

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Numbers from a hash, one after the other.
struct Dice {
    bytes: [u8; 32],
    next: usize,
}

impl Dice {
    fn new(seed: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in seed {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        Self { bytes: hash.finalize().into(), next: 0 }
    }

    /// A number from `low` up to, but not including, `high`.
    fn roll(&mut self, low: i32, high: i32) -> i32 {
        let at = self.next;
        self.next = (self.next + 2) % 32;
        let value = i32::from(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]));
        low + value % (high - low).max(1)
    }
}

/// A colour: hue in degrees, saturation and lightness in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tone(i32, i32, i32);

impl Tone {
    fn css(self) -> String {
        format!("hsl({},{}%,{}%)", self.0.rem_euclid(360), self.1.clamp(0, 100), self.2.clamp(0, 100))
    }

    fn lighter(self, by: i32) -> Self {
        Self(self.0, self.1, (self.2 + by).clamp(4, 97))
    }
}

/// Words that name a colour, the more particular ones first.
const COLOURS: &[(&[&str], Tone)] = &[
    (&["navy", "藏青", "深蓝"], Tone(222, 55, 32)),
    (&["olive", "khaki", "橄榄"], Tone(75, 35, 42)),
    (&["copper", "bronze", "铜"], Tone(22, 55, 50)),
    (&["gold", "brass", "金色"], Tone(44, 70, 52)),
    (&["silver", "银"], Tone(210, 10, 68)),
    (&["cream", "ivory", "beige", "oat", "米色", "米白"], Tone(40, 45, 78)),
    (&["clay", "terracotta", "rust", "陶土"], Tone(16, 55, 52)),
    (&["denim", "indigo", "牛仔", "靛"], Tone(218, 45, 42)),
    (&["teal", "turquoise", "青色"], Tone(178, 48, 42)),
    (&["mint", "sage", "薄荷"], Tone(145, 30, 62)),
    (&["rose", "blush", "玫瑰"], Tone(348, 55, 72)),
    (&["burgundy", "wine", "maroon", "酒红"], Tone(345, 50, 36)),
    (&["lavender", "lilac", "薰衣草"], Tone(262, 45, 74)),
    (&["charcoal", "slate", "graphite", "炭"], Tone(215, 12, 34)),
    (&["black", "黑"], Tone(220, 12, 22)),
    (&["white", "snow", "白"], Tone(210, 24, 93)),
    (&["grey", "gray", "灰"], Tone(215, 8, 58)),
    (&["red", "scarlet", "红"], Tone(2, 62, 52)),
    (&["orange", "橙"], Tone(26, 82, 56)),
    (&["yellow", "mustard", "lemon", "黄"], Tone(46, 82, 58)),
    (&["green", "bamboo", "绿", "竹"], Tone(140, 38, 44)),
    (&["blue", "ocean", "蓝"], Tone(212, 60, 50)),
    (&["purple", "violet", "紫"], Tone(272, 42, 52)),
    (&["pink", "粉"], Tone(338, 62, 72)),
    (&["brown", "leather", "wood", "wooden", "walnut", "oak", "木", "棕"], Tone(28, 42, 44)),
];

/// The drawing, as SVG. `categories` from the top down; `seed` and `position` tell drawings of one title apart.
pub(crate) fn draw(title: &str, categories: &[&str], seed: &str, position: i32) -> String {
    let mut dice = Dice::new(&[title, seed]);
    let main = colour(title).unwrap_or_else(|| Tone(dice.roll(0, 360), 46, 54));
    let mut turn = Dice::new(&[title, seed, &position.to_string()]);
    let ground = Tone(main.0 + dice.roll(-35, 36), if main.1 < 20 { 16 } else { 42 }, 91);
    let far = Tone(ground.0 + turn.roll(20, 60), ground.1 + 8, 80);
    let mut svg = String::with_capacity(4_000);
    open(&mut svg, title, ground, far, turn.roll(0, 100));
    shapes(&mut svg, ground, &mut turn);
    // Writing into a String does not fail, here and below.
    let _ = write!(
        svg,
        r#"<ellipse cx="300" cy="482" rx="165" ry="16" fill="{}" opacity=".28"/>"#,
        far.lighter(-38).css()
    );
    match glyphs::find(title, categories) {
        Some(glyph) => {
            let tilt = turn.roll(-4, 5);
            let _ = write!(
                svg,
                r#"<g transform="translate(300 308) rotate({tilt}) scale(1.85) translate(-100 -100)">"#
            );
            svg.push_str(&tint(glyph, main));
            svg.push_str("</g>");
        }
        None => monogram(&mut svg, title, main),
    }
    svg.push_str("</svg>");
    svg
}

fn open(svg: &mut String, title: &str, ground: Tone, far: Tone, slant: i32) {
    let _ = write!(
        svg,
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 600" width="600" height="600" role="img">"#,
            r#"<title>{title}</title><defs>"#,
            r#"<linearGradient id="g" x1="0" y1="{slant}%" x2="1" y2="{across}%">"#,
            r#"<stop offset="0" stop-color="{ground}"/><stop offset="1" stop-color="{far}"/></linearGradient>"#,
            r##"<radialGradient id="s"><stop offset="0" stop-color="#fff" stop-opacity=".75"/>"##,
            r##"<stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient></defs>"##,
            r#"<rect width="600" height="600" fill="url(#g)"/>"#
        ),
        title = escape(title),
        slant = slant,
        across = 100 - slant,
        ground = ground.css(),
        far = far.css(),
    );
}

/// Soft shapes behind the thing.
fn shapes(svg: &mut String, ground: Tone, dice: &mut Dice) {
    for _ in 0..2 {
        let (x, y, r) = (dice.roll(40, 560), dice.roll(40, 560), dice.roll(90, 230));
        let tone = Tone(ground.0 + dice.roll(-45, 46), ground.1 + 12, 84);
        let _ = write!(svg, r#"<circle cx="{x}" cy="{y}" r="{r}" fill="{}" opacity=".55"/>"#, tone.css());
    }
    let _ = write!(
        svg,
        r#"<circle cx="{}" cy="{}" r="290" fill="url(#s)"/>"#,
        dice.roll(250, 350),
        dice.roll(230, 320)
    );
}

/// The glyph's four tones: `M`ain, `A`ccent, `D`etail and `W`hite light.
fn tint(glyph: &str, main: Tone) -> String {
    let dark = main.2 < 35;
    glyph
        .replace("{M}", &main.css())
        .replace(
            "{A}",
            &main
                .lighter(if dark {
                    12
                } else if main.2 > 66 {
                    -10
                } else {
                    14
                })
                .css(),
        )
        .replace("{D}", &main.lighter(if dark { 28 } else { -20 }).css())
        .replace("{W}", r##"#fff" fill-opacity=".5"##)
}

fn monogram(svg: &mut String, title: &str, main: Tone) {
    let letters = escape(&initials(title));
    let _ = write!(
        svg,
        concat!(
            r#"<rect x="165" y="165" width="270" height="270" rx="64" fill="{main}"/>"#,
            r##"<rect x="165" y="165" width="270" height="135" rx="64" fill="#fff" opacity=".12"/>"##,
            r##"<text x="300" y="304" fill="#fff" font-size="118" font-weight="600" text-anchor="middle" "##,
            r#"dominant-baseline="central" font-family="ui-sans-serif,system-ui,'Segoe UI','PingFang SC','Noto Sans CJK SC',sans-serif">{letters}</text>"#
        ),
        main = Tone(main.0, main.1, main.2.clamp(30, 58)).css(),
        letters = letters,
    );
}

/// The first letters of the first two words, or the first ideograph.
fn initials(title: &str) -> String {
    let firsts = title.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let mut letters: Vec<char> = firsts.take(2).collect();
    if letters.first().is_some_and(|c| !c.is_ascii()) {
        letters.truncate(1);
    }
    if letters.is_empty() {
        "·".to_owned()
    } else {
        letters.into_iter().flat_map(char::to_uppercase).take(2).collect()
    }
}

fn colour(title: &str) -> Option<Tone> {
    COLOURS.iter().find(|(words, _)| words.iter().any(|word| mentions(title, word))).map(|(_, tone)| *tone)
}

/// Whether the text has the word: whole, or in the plural, where it is a Latin one; anywhere, where it is not.
fn mentions(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    if !word.is_ascii() {
        return text.contains(word);
    }
    if word.contains(' ') {
        return text.contains(word);
    }
    text.split(|c: char| !c.is_alphanumeric())
        .any(|it| it.strip_prefix(word).is_some_and(|rest| matches!(rest, "" | "s" | "es")))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_for_the_same_and_another_for_another() {
        let draw = |title, seed, position| draw(title, &["Home"], seed, position);
        assert_eq!(draw("Copper Light", "a", 1), draw("Copper Light", "a", 1));
        assert_ne!(draw("Copper Light", "a", 1), draw("Copper Light", "b", 1));
        assert_ne!(draw("Copper Light", "a", 1), draw("Copper Light", "a", 2));
    }

    #[test]
    fn takes_thing_and_colour_from_the_title() {
        assert_eq!(colour("Ocean Blue Shirt"), Some(Tone(212, 60, 50)));
        assert_eq!(colour("Tired Redwood"), None, "only whole words count");
        assert_eq!(colour("白色棉衬衫"), Some(Tone(210, 24, 93)));
        assert!(draw("Ocean Blue Shirt", &[], "x", 1).contains("hsl(212,60%,50%)"));
        assert!(
            mentions("Running Shoes", "shoe") && mentions("Dresses", "dress") && !mentions("Desktop", "desk")
        );
    }

    #[test]
    fn is_well_formed_whatever_the_title() {
        for title in ["</title><script>alert(1)</script>", "&\"'<>", "", "   ", "🦀🦀", "\u{202e}abc", "茶"]
        {
            let svg = draw(title, &["<b>"], "x", 1);
            assert!(!svg.contains("<script") && svg.ends_with("</svg>") && !svg.contains('{'), "{svg}");
        }
        assert_eq!(initials("Zen garden kit"), "ZG");
        assert_eq!(initials("青花瓷 茶杯"), "青");
        assert_eq!(initials("!!!"), "·");
    }
}
