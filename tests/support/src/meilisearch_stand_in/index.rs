//! An index in memory.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{
    routes::ApiError,
    settings::Settings,
    tasks::now,
    words::{Token, tokens},
};

/// An index: documents in the order they came, with their words.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) primary_key: Option<String>,
    pub(crate) settings: Settings,
    pub(crate) documents: BTreeMap<u64, Document>,
    by_id: HashMap<String, u64>,
    next: u64,
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) body: Value,
    /// Words by attribute, in the order of the searchable attributes.
    pub(crate) words: Vec<Vec<Token>>,
}

/// Words of different values of a list are this far apart.
const APART: usize = 8;

impl Index {
    pub(crate) fn new(primary_key: Option<String>) -> Self {
        Self {
            created_at: now(),
            updated_at: now(),
            primary_key,
            settings: Settings::defaults(),
            documents: BTreeMap::new(),
            by_id: HashMap::new(),
            next: 0,
        }
    }

    pub(crate) fn set(&mut self, change: Settings) {
        self.settings.take(change);
        let searched = self.searched();
        for document in self.documents.values_mut() {
            document.words = words(&document.body, &searched);
        }
        self.updated_at = now();
    }

    /// Attributes that are searched; with `*` all of them, as the documents have them.
    pub(crate) fn searched(&self) -> Vec<String> {
        let named = self.settings.searchable_attributes.clone().unwrap_or_default();
        if named.iter().any(|name| name == "*") {
            let first = self.documents.values().next().and_then(|document| document.body.as_object());
            return first.map(|body| body.keys().cloned().collect()).unwrap_or_default();
        }
        named
    }

    pub(crate) fn add(
        &mut self,
        documents: Vec<Value>,
        primary_key: Option<String>,
        merge: bool,
    ) -> Result<(), ApiError> {
        let key = match self.primary_key.clone().or(primary_key) {
            Some(key) => key,
            None => infer(&documents)?,
        };
        let mut checked = Vec::with_capacity(documents.len());
        for body in documents {
            let id = match &body[&key] {
                Value::String(id) => id.clone(),
                Value::Number(id) if id.is_u64() || id.is_i64() => id.to_string(),
                Value::Null => {
                    let text = format!("Document doesn't have a `{key}` attribute: `{body}`.");
                    return Err(ApiError::new("missing_document_id", text));
                }
                other => return Err(invalid_id(&other.to_string())),
            };
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if id.is_empty() || id.len() > 511 || !id.chars().all(fits) {
                return Err(invalid_id(&id));
            }
            checked.push((id, body));
        }
        self.primary_key = Some(key);
        let searched = if checked.is_empty() { Vec::new() } else { self.searched() };
        for (id, body) in checked {
            let place = *self.by_id.entry(id).or_insert_with(|| {
                self.next += 1;
                self.next
            });
            let body = match (merge, self.documents.remove(&place)) {
                (true, Some(before)) => merged(before.body, body),
                _ => body,
            };
            self.documents.insert(place, Document { words: words(&body, &searched), body });
        }
        self.updated_at = now();
        Ok(())
    }

    pub(crate) fn delete(&mut self, ids: &[String]) {
        for id in ids {
            if let Some(place) = self.by_id.remove(id) {
                self.documents.remove(&place);
            }
        }
        self.updated_at = now();
    }

    pub(crate) fn clear(&mut self) {
        self.documents.clear();
        self.by_id.clear();
        self.updated_at = now();
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        Some(&self.documents.get(self.by_id.get(id)?)?.body)
    }
}

fn infer(documents: &[Value]) -> Result<String, ApiError> {
    let keys =
        documents.first().and_then(Value::as_object).map(|body| body.keys().cloned().collect::<Vec<_>>());
    let mut keys: Vec<String> = keys.unwrap_or_default();
    keys.retain(|key| key.to_lowercase().ends_with("id"));
    match <[String; 1]>::try_from(keys) {
        Ok([key]) => Ok(key),
        Err(_) => Err(ApiError::new(
            "index_primary_key_no_candidate_found",
            "The primary key inference failed as the engine did not find any field ending with `id` in its name.",
        )),
    }
}

fn invalid_id(id: &str) -> ApiError {
    let text = format!(
        "Document identifier `{id}` is invalid. A document identifier can be of type integer or string, only composed of \
         alphanumeric characters (a-z A-Z 0-9), hyphens (-) and underscores (_), and can not be more than 511 bytes."
    );
    ApiError::new("invalid_document_id", text)
}

fn merged(mut before: Value, change: Value) -> Value {
    if let (Some(before), Value::Object(change)) = (before.as_object_mut(), change) {
        before.extend(change);
    }
    before
}

/// The values of an attribute, those of lists one by one; `a.b` looks into objects.
pub(crate) fn values(document: &Value, attribute: &str) -> Vec<Value> {
    fn collect(value: &Value, path: &[&str], found: &mut Vec<Value>) {
        match (value, path) {
            (Value::Array(values), _) => values.iter().for_each(|value| collect(value, path, found)),
            (value, []) => found.push(value.clone()),
            (Value::Object(fields), [first, rest @ ..]) => {
                if let Some(value) = fields.get(*first) {
                    collect(value, rest, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(document, &attribute.split('.').collect::<Vec<_>>(), &mut found);
    found
}

/// A value as it is searched and shown.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn words(body: &Value, searched: &[String]) -> Vec<Vec<Token>> {
    let of = |attribute: &String| {
        let mut all: Vec<Token> = Vec::new();
        for value in values(body, attribute) {
            let first = all.last().map_or(0, |last| last.position + APART);
            all.extend(
                tokens(&text(&value))
                    .into_iter()
                    .map(|token| Token { position: first + token.position, ..token }),
            );
        }
        all
    };
    searched.iter().map(of).collect()
}
