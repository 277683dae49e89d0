//! Files with quirks.

use contracts::catalog::ProductInput;

use super::*;

const HEADER: &str = "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,\
    Option3 Name,Option3 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,\
    Image Src,Image Position,Image Alt Text,Status\n";

/// A line with these cells, by the header's names.
fn line(cells: &[(&str, &str)]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let cell = |name: &str| {
        cells.iter().find(|(known, _)| *known == name).map_or(String::new(), |(_, text)| quoted(text))
    };
    HEADER.trim_end().split(',').map(|name| cell(name.trim())).collect::<Vec<_>>().join(",") + "\n"
}

fn import(text: &[u8]) -> (Vec<Parsed>, Vec<ImportError>) {
    let survey = Survey::of(text).unwrap();
    let mut products = Products::new(text, &survey, Currency::USD).unwrap();
    let (mut parsed, mut errors) = (Vec::new(), Vec::new());
    loop {
        let batch = products.batch(2).unwrap();
        if batch.is_empty() {
            return (parsed, errors);
        }
        for entry in batch {
            parsed.extend(entry.product);
            errors.extend(entry.errors);
        }
    }
}

fn file(lines: &[String]) -> (Vec<Parsed>, Vec<ImportError>) {
    import(format!("{HEADER}{}", lines.concat()).as_bytes())
}

fn product(parsed: &Parsed) -> &ProductInput {
    &parsed.product.product
}

fn at(errors: &[ImportError]) -> Vec<(u64, &str)> {
    errors.iter().map(|error| (error.line, error.column.as_deref().unwrap_or(""))).collect()
}

#[test]
fn rows_that_go_on_add_variants_and_images() {
    let (parsed, errors) = file(&[
        line(&[
            ("Handle", "Varsity Top"),
            ("Title", "Varsity Top"),
            ("Body (HTML)", "<p>One\nTwo</p>"),
            ("Vendor", "Acme"),
            ("Type", "Tops"),
            ("Tags", "women, wool,women"),
            ("Published", "TRUE"),
            ("Option1 Name", "Size"),
            ("Option1 Value", "Small"),
            ("Variant Price", "60"),
            ("Variant Compare At Price", "75.5"),
            ("Variant Inventory Qty", "3"),
            ("Variant Grams", "120"),
            ("Image Src", "https://a.example/2.jpg"),
            ("Image Position", "2"),
        ]),
        line(&[
            ("Handle", "varsity-top"),
            ("Option1 Value", "Medium"),
            ("Variant Price", "60.00"),
            ("Variant Compare At Price", "50"),
            ("Variant Inventory Qty", "-2"),
        ]),
        line(&[
            ("Handle", "varsity-top"),
            ("Image Src", "//a.example/1.jpg"),
            ("Image Position", "1"),
            ("Image Alt Text", "Front"),
        ]),
        line(&[("Option1 Value", "Large"), ("Variant Price", "61")]),
    ]);
    assert_eq!(errors, []);
    let [only] = &parsed[..] else { panic!("{parsed:?}") };
    assert!(only.product.published == Some(true) && only.product.category.as_deref() == Some("Tops"));
    let it = product(only);
    assert_eq!((it.slug.as_deref(), it.brand.as_deref()), (Some("varsity-top"), Some("Acme")));
    assert_eq!(it.description, "<p>One\nTwo</p>");
    assert_eq!(it.options, ["Size"]);
    let sizes: Vec<&str> = it.skus.iter().map(|sku| sku.options[0].value.as_str()).collect();
    assert_eq!(sizes, ["Small", "Medium", "Large"]);
    assert_eq!(
        it.images.iter().map(|image| image.src.as_str()).collect::<Vec<_>>(),
        ["https://a.example/1.jpg", "https://a.example/2.jpg"]
    );
    assert_eq!(it.images[0].alt, "Front");
    let [small, medium, large] = &only.offers[..] else { panic!() };
    assert_eq!(
        (small.price.amount, small.compare_at.map(|it| it.amount), small.quantity),
        (6_000, Some(7_550), 3)
    );
    assert_eq!(
        (medium.compare_at, medium.quantity),
        (None, 0),
        "a price before that is lower, and less than nothing"
    );
    assert_eq!((large.price.amount, large.quantity), (6_100, 0));
}

#[test]
fn default_title_means_no_options() {
    let (parsed, errors) = file(&[
        line(&[
            ("Handle", "pot"),
            ("Title", "Pot"),
            ("Option1 Name", "Title"),
            ("Option1 Value", "Default Title"),
            ("Variant Price", "5"),
            ("Published", "false"),
        ]),
        line(&[("Handle", "pan"), ("Title", "Pan"), ("Variant Price", "6"), ("Status", "active")]),
        line(&[
            ("Handle", "lid"),
            ("Title", "Lid"),
            ("Variant Price", "6"),
            ("Published", "true"),
            ("Status", "archived"),
        ]),
    ]);
    assert_eq!(errors, []);
    assert!(parsed.iter().all(|it| product(it).options.is_empty() && product(it).skus[0].options.is_empty()));
    let published: Vec<_> = parsed.iter().map(|it| it.product.published).collect();
    assert_eq!(published, [Some(false), Some(true), Some(false)]);
}

#[test]
fn a_handle_that_comes_again_later_is_the_same_product() {
    let row = |handle: &str, title: &str, size: &str| {
        line(&[
            ("Handle", handle),
            ("Title", title),
            ("Option1 Name", if title.is_empty() { "" } else { "Size" }),
            ("Option1 Value", size),
            ("Variant Price", "5"),
        ])
    };
    let (parsed, errors) = file(&[
        row("a", "A", "S"),
        row("b", "B", "S"),
        row("a", "", "M"),
        row("c", "C", "S"),
        row("A", "", "L"),
        row("a", "", "S"),
    ]);
    let found: Vec<(&str, usize)> = parsed.iter().map(|it| (it.handle.as_str(), it.offers.len())).collect();
    assert_eq!(found, [("b", 1), ("c", 1), ("a", 3)]);
    assert_eq!(at(&errors), [(7, "Option1 Value")]);
    assert!(errors[0].reason.contains("line 2"), "{}", errors[0].reason);
}

#[test]
fn wrong_rows_are_named_and_the_rest_is_in() {
    let good = |handle: &str| {
        line(&[
            ("Handle", handle),
            ("Title", "Good"),
            ("Variant Price", "5"),
            ("Option1 Name", "Size"),
            ("Option1 Value", "S"),
        ])
    };
    let more = |cells: &[(&str, &str)]| line(&[&[("Handle", "a")], cells].concat());
    let (parsed, errors) = file(&[
        good("a"),                                                                                    // 2
        more(&[("Option1 Value", "M"), ("Variant Price", "1,299.00")]),                               // 3
        more(&[("Option1 Value", "L"), ("Variant Price", "$5")]),                                     // 4
        more(&[("Option1 Value", "XL"), ("Variant Price", "-5")]),                                    // 5
        more(&[("Option1 Value", "XXL")]),                                                            // 6
        more(&[("Option1 Value", "3XL"), ("Variant Price", "5"), ("Variant Inventory Qty", "many")]), // 7
        more(&[("Option2 Value", "Red"), ("Option1 Value", "4XL"), ("Variant Price", "5")]),          // 8
        more(&[("Variant Price", "5"), ("Variant SKU", "X")]),                                        // 9
        more(&[("Image Src", "ftp://x/y.png")]),                                                      // 10
        line(&[("Handle", "b"), ("Variant Price", "5")]), // 11: no title
        good("c"),                                        // 12
        line(&[("Handle", "d"), ("Title", "D")]),         // 13: no variant
    ]);
    assert_eq!(
        parsed.iter().map(|it| (it.handle.as_str(), it.offers.len())).collect::<Vec<_>>(),
        [("a", 1), ("c", 1)]
    );
    assert_eq!(
        at(&errors),
        [
            (3, "Variant Price"),
            (4, "Variant Price"),
            (5, "Variant Price"),
            (6, "Variant Price"),
            (7, "Variant Inventory Qty"),
            (8, "Option2 Value"),
            (9, "Option1 Value"),
            (10, "Image Src"),
            (11, "Title"),
            (13, "Variant Price"),
        ]
    );
    assert!(errors[0].reason.contains("1,299.00"), "{}", errors[0].reason);
}

#[test]
fn a_product_with_a_wrong_row_is_incomplete_and_so_are_those_beside_a_row_of_nobody() {
    let complete = |rows: &[&str]| {
        let header = "Handle,Title,Option1 Name,Option1 Value,Variant Price";
        let (parsed, errors) = import(format!("{header}\n{}\n", rows.join("\n")).as_bytes());
        assert_eq!(errors.len(), 1, "{errors:?}");
        parsed.iter().map(|it| (it.handle.clone(), it.product.complete)).collect::<Vec<_>>()
    };
    let expected = |found: &[(&str, bool)]| -> Vec<(String, bool)> {
        found.iter().map(|(handle, whole)| ((*handle).to_owned(), *whole)).collect()
    };
    let cheap = ["a,A,Size,S,5", "a,,,M,$19", "b,B,Size,S,5"];
    assert_eq!(complete(&cheap), expected(&[("a", false), ("b", true)]));
    for broken in ["\"b,B,Size,S,5", "b,B,Size,S,5,surplus"] {
        let torn = ["a,A,Size,S,5", broken, "b,B,Size,M,5", "c,C,Size,S,5"];
        assert_eq!(complete(&torn), expected(&[("a", false), ("b", false), ("c", true)]), "{broken}");
    }
}

#[test]
fn a_status_that_cannot_be_read_is_not_taken_for_a_draft() {
    let (parsed, errors) = file(&[line(&[
        ("Handle", "a"),
        ("Title", "A"),
        ("Variant Price", "5"),
        ("Published", "true"),
        ("Status", "activ"),
    ])]);
    assert_eq!(at(&errors), [(2, "Status")]);
    assert_eq!((parsed[0].product.published, parsed[0].product.complete), (None, false));
}

#[test]
fn ragged_garbled_and_open_rows_cost_themselves_only() {
    let mut text = b"\xef\xbb\xbfTitle,Handle,Price,Inventory quantity\r\nLamp,lamp,5.00\r\n,,,\r\n\r\nRug,rug,7,1,surplus\r\n".to_vec();
    text.extend_from_slice(b"Caf\xe9,cafe,3,1\r\nCup,cup,4,1\r\n\"Open,open,1,1\r\nEnd,end,2,2\r\n");
    let (parsed, errors) = import(&text);
    assert_eq!(parsed.iter().map(|it| it.handle.as_str()).collect::<Vec<_>>(), ["lamp", "cup", "end"]);
    let wrong: Vec<u64> = errors.iter().map(|error| error.line).collect();
    assert_eq!(wrong, [5, 6, 8]);
    assert!(errors[0].reason.contains("5 cells"), "{errors:?}");
    assert_eq!(errors[1].column.as_deref(), Some("Title"));
    assert!(
        parsed.iter().all(|it| it.product.published == Some(true)),
        "a file that says nothing of it lists what is sold"
    );
}

#[test]
fn reading_again_gives_the_same() {
    let lines: Vec<String> = (0..50)
        .map(|n| {
            line(&[
                ("Handle", &format!("p{}", n % 17)),
                ("Title", "P"),
                ("Option1 Name", "N"),
                ("Option1 Value", &n.to_string()),
                ("Variant Price", "5"),
            ])
        })
        .collect();
    let order = |(parsed, _): (Vec<Parsed>, Vec<ImportError>)| {
        parsed.into_iter().map(|it| it.handle).collect::<Vec<_>>()
    };
    assert_eq!(order(file(&lines)), order(file(&lines)));
    let text = format!("{HEADER}{}", lines.concat());
    assert_eq!(Survey::of(text.as_bytes()).unwrap().rows, 50);
}

#[test]
fn different_handles_are_different_products() {
    let row = |handle: &str| line(&[("Handle", handle), ("Title", handle), ("Variant Price", "5")]);
    let (parsed, errors) = file(&[row("red_mug"), row("red-mug"), row("C++ Mug"), row("C Mug")]);
    assert_eq!(errors, []);
    let titles: Vec<&str> = parsed.iter().map(|it| product(it).title.as_str()).collect();
    assert_eq!(titles, ["red_mug", "red-mug", "C++ Mug", "C Mug"]);
    assert_eq!((parsed[1].handle.as_str(), parsed[3].handle.as_str()), ("red-mug", "c-mug"));
    assert_eq!(parsed[0].product.former_slug.as_deref(), Some("red-mug"));
}

/// A file saved on a Mac writes letters with their marks apart.
#[test]
fn a_handle_written_in_two_ways_is_one_product() {
    let row = |handle: &str, title: &str, size: &str| {
        let name = if title.is_empty() { "" } else { "Size" };
        line(&[
            ("Handle", handle),
            ("Title", title),
            ("Option1 Name", name),
            ("Option1 Value", size),
            ("Variant Price", "5"),
        ])
    };
    let (parsed, errors) = file(&[
        row("café", "Café", "S"),
        row("wok", "Wok", "S"),
        row("cafe\u{301}", "", "M"),
        row("\u{200b}", "Wok", "M"),
    ]);
    assert_eq!(errors, []);
    let found: Vec<(&str, usize)> =
        parsed.iter().map(|it| (product(it).title.as_str(), it.offers.len())).collect();
    assert_eq!(found, [("Café", 2), ("Wok", 2)]);
}

#[test]
fn a_file_without_a_header_is_refused() {
    for text in ["a,b\n1,2\n", "", "\n\n"] {
        assert!(Survey::of(text.as_bytes()).is_err());
    }
}
