//! Categories of a JSON list of `{id, name, path}`: parents come from `path`, missing ancestors are made, `subCategories` is
//! ignored (some children are listed under several parents).

use std::collections::{HashMap, HashSet};

use contracts::{catalog::ImportedCategory, import::ImportError};
use kernel::{Failure, Result, code, normalise};
use serde::Deserialize;
use serde_json::Value;

/// Deeper than the catalog's tree may be.
const DEEPEST: usize = 20;

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

/// Reads a whole file; the entry's number stands for the line.
pub(crate) fn read(text: &[u8]) -> Result<Categories> {
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
    if !(1..=200).contains(&listed.id.chars().count()) {
        return wrong("id", "must have 1 to 200 characters");
    }
    let name = clean(listed.name.as_deref().unwrap_or_default());
    if name.is_empty() {
        return wrong("name", "is blank");
    }
    if name.chars().count() > 200 {
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
        let mut placed: HashMap<String, bool> = HashMap::new();
        for id in &order {
            self.place(id, nodes, &mut placed);
        }
        self.errors.sort_by_key(|error| error.line);
    }

    /// Places `id` below its parents, which are placed first.
    fn place(&mut self, id: &str, nodes: &HashMap<String, Node>, placed: &mut HashMap<String, bool>) {
        let mut above: Vec<&str> = Vec::new();
        let mut next = Some(id);
        let mut sound = true;
        while let Some(id) = next {
            match placed.get(id) {
                Some(&known) => {
                    sound = known;
                    break;
                }
                None if above.contains(&id) || above.len() > DEEPEST => {
                    sound = false;
                    break;
                }
                None => {}
            }
            above.push(id);
            next = nodes.get(id).and_then(|node| node.parent.as_deref());
        }
        let in_circle = !sound && next.is_some_and(|id| above.contains(&id));
        for id in above.into_iter().rev() {
            let Some(node) = nodes.get(id) else { continue };
            let reason = match (sound, node.name.is_empty()) {
                (true, false) => None,
                (true, true) => Some("has no name anywhere in the file".to_owned()),
                (false, _) if in_circle => Some("is below itself".to_owned()),
                (false, _) => Some("a category above it is not in".to_owned()),
            };
            placed.insert(id.to_owned(), reason.is_none());
            if let Some(reason) = reason {
                sound = false;
                let column = Some("path".to_owned());
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
    }

    #[test]
    fn entities_are_undone_once() {
        assert_eq!(clean("A &amp;amp; B&nbsp;&#x27;C&#39; & D &bogus; &"), "A &amp; B 'C' & D &bogus; &");
    }
}
