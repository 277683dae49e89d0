//! Categories of a JSON list of `{id, name, path}`: parents come from `path`, missing ancestors are made, `subCategories` is
//! ignored (some children are listed under several parents).

use std::collections::{HashMap, HashSet};

use contracts::{catalog::ImportedCategory, import::ImportError};
use kernel::{Failure, Result, code, normalise};
use serde::Deserialize;
use serde_json::Value;

/// Levels that the catalog's tree may have.
const DEEPEST: usize = 20;
/// The most characters of a category's id or name.
const LONGEST: usize = 200;

/// What a file comes to.
#[derive(Debug, Default)]
pub(crate) struct Categories {
    /// Entries in the file.
    pub(crate) rows: u64,
    /// Parents before children.
    pub(crate) list: Vec<ImportedCategory>,
    pub(crate) errors: Vec<ImportError>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    path: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: String,
    #[serde(default)]
    name: Option<String>,
}

/// A category as the file describes it.
#[derive(Debug)]
struct Node {
    name: String,
    parent: Option<String>,
    /// The entry that described it first, from 1.
    line: u64,
    /// Whether it has an entry of its own.
    listed: bool,
}

/// Reads a whole file, with or without a byte order mark; the entry's number stands for the line.
pub(crate) fn read(text: &[u8]) -> Result<Categories> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let entries: Vec<Value> = serde_json::from_slice(text).map_err(|error| {
        Failure::new(code::INVALID).detail(format!("the file is no JSON list of categories: {error}"))
    })?;
    let mut found = Categories { rows: entries.len() as u64, ..Categories::default() };
    let mut nodes: HashMap<String, Node> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    for (line, entry) in (1..).zip(entries) {
        if let Err((key, column, reason)) = note(entry, line, &mut nodes, &mut order) {
            found.errors.push(ImportError { line, key, column: column.map(str::to_owned), reason });
        }
    }
    found.put_in_order(&nodes, order);
    Ok(found)
}

type Wrong = (String, Option<&'static str>, String);

/// The level of each category that was looked at; none for one that is not in.
type Placed = HashMap<String, Option<usize>>;

/// Notes an entry and the ancestors it names.
fn note(
    entry: Value,
    line: u64,
    nodes: &mut HashMap<String, Node>,
    order: &mut Vec<String>,
) -> Result<(), Wrong> {
    let key = entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let listed: Listed = serde_json::from_value(entry)
        .map_err(|error| (key.clone(), None, format!("is no category: {error}")))?;
    let wrong = |column, reason: &str| Err((key.clone(), Some(column), reason.to_owned()));
    if !fits(&listed.id) {
        return wrong("id", "must have 1 to 200 characters");
    }
    let name = clean(listed.name.as_deref().unwrap_or_default());
    if name.is_empty() {
        return wrong("name", "is blank");
    }
    if !fits(&name) {
        return wrong("name", "is longer than 200 characters");
    }
    // The path ends with the category itself, or with its parent.
    let mut path = listed.path;
    if path.last().is_some_and(|last| last.id == listed.id) {
        path.pop();
    }
    if path.len() >= DEEPEST {
        return wrong("path", "is deeper than 20 levels");
    }
    if !path.iter().all(|step| fits(&step.id)) {
        return wrong("path", "names a category whose id has not 1 to 200 characters");
    }
    let mut seen = HashSet::from([listed.id.as_str()]);
    if !path.iter().all(|step| seen.insert(&step.id)) {
        return wrong("path", "names a category twice: it would be below itself");
    }
    if nodes.get(&listed.id).is_some_and(|known| known.listed) {
        return wrong("id", "comes twice");
    }
    let parent = path.last().map(|step| step.id.clone());
    let mut above: Option<String> = None;
    for step in &path {
        ancestor(step, above.take(), line, nodes, order);
        above = Some(step.id.clone());
    }
    let id = listed.id;
    if !nodes.contains_key(&id) {
        order.push(id.clone());
    }
    // Its own entry says more about a category than its children's paths do.
    nodes.insert(id, Node { name, parent, line, listed: true });
    Ok(())
}

fn fits(text: &str) -> bool {
    (1..=LONGEST).contains(&text.chars().count())
}

fn ancestor(
    step: &Step,
    parent: Option<String>,
    line: u64,
    nodes: &mut HashMap<String, Node>,
    order: &mut Vec<String>,
) {
    if !nodes.contains_key(&step.id) {
        let name = clean(step.name.as_deref().unwrap_or_default());
        nodes.insert(step.id.clone(), Node { name, parent, line, listed: false });
        order.push(step.id.clone());
    }
}

impl Categories {
    /// Lists parents before children, in the file's order otherwise; what hangs on nothing or on itself is an error.
    fn put_in_order(&mut self, nodes: &HashMap<String, Node>, order: Vec<String>) {
        let mut placed: Placed = HashMap::new();
        for id in &order {
            self.place(id, nodes, &mut placed);
        }
        self.errors.sort_by_key(|error| error.line);
    }

    /// Places `id` below its parents, which are placed first.
    fn place(&mut self, id: &str, nodes: &HashMap<String, Node>, placed: &mut Placed) {
        let mut above: Vec<&str> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut next = Some(id);
        let mut level = Some(0);
        let mut in_circle = false;
        while let Some(id) = next {
            if let Some(&known) = placed.get(id) {
                level = known;
                break;
            }
            if !seen.insert(id) {
                (level, in_circle) = (None, true);
                break;
            }
            above.push(id);
            next = nodes.get(id).and_then(|node| node.parent.as_deref());
        }
        for id in above.into_iter().rev() {
            let Some(node) = nodes.get(id) else { continue };
            let below = level.map(|level| level + 1);
            let reason = match below {
                None if in_circle => Some("is below itself"),
                None => Some("a category above it is not in"),
                Some(level) if level > DEEPEST => Some("is deeper than 20 levels"),
                Some(_) if node.name.is_empty() => Some("has no name anywhere in the file"),
                Some(_) if !fits(&node.name) => Some("its name is longer than 200 characters"),
                Some(_) => None,
            };
            level = below.filter(|_| reason.is_none());
            placed.insert(id.to_owned(), level);
            if let Some(reason) = reason {
                let (column, reason) = (Some("path".to_owned()), reason.to_owned());
                self.errors.push(ImportError { line: node.line, key: id.to_owned(), column, reason });
            } else {
                self.list.push(ImportedCategory {
                    external_id: id.to_owned(),
                    name: node.name.clone(),
                    parent_external_id: node.parent.clone(),
                });
            }
        }
    }
}

/// A name as people read it: `&amp;` and its like undone, once.
fn clean(name: &str) -> String {
    normalise(&unescape(name))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity =
            rest.find(';').filter(|&end| end <= 10).and_then(|end| Some((character(&rest[1..end])?, end)));
        match entity {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    let named = match entity {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "eacute" => 'é',
        "reg" => '®',
        "trade" => '™',
        "copy" => '©',
        "ndash" => '–',
        "mdash" => '—',
        "rsquo" => '’',
        "lsquo" => '‘',
        numbered => {
            let number = numbered.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            return char::from_u32(value);
        }
    };
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(found: &Categories) -> Vec<(&str, &str, Option<&str>)> {
        let all = found.list.iter();
        all.map(|it| (it.external_id.as_str(), it.name.as_str(), it.parent_external_id.as_deref())).collect()
    }

    #[test]
    fn parents_come_from_paths_and_missing_ones_are_made() {
        let text = br#"[
            {"id":"c","name":"Pots &amp; Pans","path":[{"id":"a","name":"Home"},{"id":"b","name":"Kitchen"},{"id":"c","name":"Pots"}],
             "subCategories":[{"id":"zzz","name":"Ignored"}]},
            {"id":"b","name":"Kitchen &#38; Dining","path":[{"id":"a","name":"Home"},{"id":"b","name":"Kitchen"}]},
            {"id":"t","name":"Toys"}
        ]"#;
        let found = read(text).unwrap();
        assert_eq!(found.rows, 3);
        assert_eq!(found.errors, []);
        assert_eq!(
            listed(&found),
            [
                ("a", "Home", None),
                ("b", "Kitchen & Dining", Some("a")),
                ("c", "Pots & Pans", Some("b")),
                ("t", "Toys", None)
            ]
        );
    }

    #[test]
    fn wrong_entries_are_named_and_the_others_are_in() {
        let text = br#"[
            {"id":"a","name":"Home"},
            {"id":"a","name":"Home again"},
            {"name":"No id"},
            17,
            {"id":"n","name":null,"path":[]},
            {"id":"x","name":"X","path":[{"id":"y","name":"Y"},{"id":"x","name":"X"}]},
            {"id":"y","name":"Y","path":[{"id":"x","name":"X"},{"id":"y","name":"Y"}]},
            {"id":"z","name":"Z","path":[{"id":"x","name":"X"}]},
            {"id":"s","name":"S","path":[{"id":"q","name":"Q"},{"id":"q","name":"Q"}]},
            {"id":"b","name":"Bath","path":[{"id":"a","name":"Home"},{"id":"b","name":"Bath"}]}
        ]"#;
        let found = read(text).unwrap();
        assert_eq!(listed(&found), [("a", "Home", None), ("b", "Bath", Some("a"))]);
        let lines: Vec<(u64, &str)> =
            found.errors.iter().map(|error| (error.line, error.key.as_str())).collect();
        assert_eq!(lines, [(2, "a"), (3, ""), (4, ""), (5, "n"), (6, "x"), (7, "y"), (8, "z"), (9, "s")]);
        assert!(read(b"{}").is_err());
        assert_eq!(
            listed(&read(b"\xef\xbb\xbf[{\"id\":\"a\",\"name\":\"A\"}]").unwrap()),
            [("a", "A", None)]
        );
    }

    /// Each of them would have the catalog refuse all that come with it.
    #[test]
    fn what_the_catalog_would_refuse_is_named_and_the_others_are_in() {
        let long = "x".repeat(201);
        let mut entries: Vec<Value> = vec![
            serde_json::json!({"id": "a", "name": "A", "path": [{"id": long, "name": "Long id"}]}),
            serde_json::json!({"id": "b", "name": "B", "path": [{"id": "", "name": "No id"}]}),
            serde_json::json!({"id": "c", "name": "C", "path": [{"id": "p", "name": long}]}),
        ];
        // Each names only the one above it; the deepest come first.
        entries.extend((1..=22).rev().map(|n| {
            let above = (n > 1).then(|| serde_json::json!({"id": format!("n{}", n - 1)}));
            serde_json::json!({"id": format!("n{n}"), "name": "N", "path": Vec::from_iter(above)})
        }));
        let found = read(&serde_json::to_vec(&entries).unwrap()).unwrap();
        let wrong: Vec<(u64, &str)> =
            found.errors.iter().map(|error| (error.line, error.key.as_str())).collect();
        assert_eq!(wrong, [(1, "a"), (2, "b"), (3, "p"), (3, "c"), (4, "n22"), (5, "n21")]);
        assert_eq!(found.errors[5].reason, "is deeper than 20 levels");
        let expected: Vec<String> = (1..=20).map(|n| format!("n{n}")).collect();
        assert_eq!(found.list.iter().map(|it| it.external_id.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn entities_are_undone_once() {
        assert_eq!(clean("A &amp;amp; B&nbsp;&#x27;C&#39; & D &bogus; &"), "A &amp; B 'C' & D &bogus; &");
    }
}
