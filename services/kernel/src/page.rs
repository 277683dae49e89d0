//! Pages of a list, and the opaque cursors between them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{Failure, Result, code};

/// Items on a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 20;
/// The most items on a page.
pub const MAX_LIMIT: u32 = 100;

/// How many items a page has for a caller who wants so many. `request.invalid` names `limit` where that is none, or more
/// than [`MAX_LIMIT`].
pub fn page_limit(wanted: Option<u32>) -> Result<u32> {
    let limit = wanted.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Failure::invalid("limit", format!("must lie between 1 and {MAX_LIMIT}")))
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Ask for the next page with this; absent on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of rows read with a limit of `limit + 1`: the extra row says that there is a next page, whose
    /// cursor is taken from the last row kept.
    pub fn cut<C: Serialize>(mut rows: Vec<T>, limit: u32, position: impl Fn(&T) -> C) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|last| Cursor::encode(&position(last))) } else { None };
        Self { items: rows, next_cursor }
    }

    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

/// Writes and reads cursors: base64url of the JSON of `(sort key, id)`. Clients must not look inside.
#[derive(Debug)]
pub struct Cursor;

impl Cursor {
    /// The cursor that stands for `position`.
    pub fn encode<T: Serialize>(position: &T) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).unwrap_or_default())
    }

    /// The position a cursor stands for; a text that is none of ours is `request.invalid` on `cursor`.
    pub fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Failure> {
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Failure::new(code::INVALID).field("cursor", "is not a cursor of this list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extra_row_makes_the_cursor() {
        let page = Page::cut(vec![1, 2, 3], 2, |&n| n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(Cursor::decode::<i32>(&page.next_cursor.unwrap()).unwrap(), 2);
        assert!(Page::cut(vec![1, 2], 2, |&n| n).next_cursor.is_none());
        assert_eq!(Cursor::decode::<i32>("%%%").unwrap_err().code(), "request.invalid");
    }
}
