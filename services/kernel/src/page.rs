//! Pages of a list, and the opaque cursors between them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{Failure, Result};

/// Items on a page when the caller does not say.
const DEFAULT_LIMIT: u32 = 20;
/// The most items on a page.
pub const MAX_LIMIT: u32 = 100;
/// Bytes at the front of a cursor that say whose it is: mistakes are found, and cursors stay short.
const MARK: usize = 6;

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
    /// The same page of other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

/// The cursors of one list as it was asked for: with other filters it is another list, and none of its cursors is good here.
///
/// A cursor is base64url of a mark of the list and the JSON of a position, `(sort key, id)`. Clients must not look inside; it
/// is no secret and not signed, since a position alone gives nobody anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursors {
    mark: [u8; MARK],
}

impl Cursors {
    /// The cursors of the list `name` (`domain.list`, no other list's). `filters` is whatever decides what is on the list and
    /// in which order, written alike for alike requests; the size of a page does not.
    pub fn of(name: &str, filters: &impl Serialize) -> Self {
        let mut hash = Sha256::new();
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(serde_json::to_vec(filters).unwrap_or_default());
        let digest: [u8; 32] = hash.finalize().into();
        let mut mark = [0; MARK];
        mark.copy_from_slice(&digest[..MARK]);
        Self { mark }
    }

    /// The cursor that stands for `position`.
    pub fn write(self, position: &impl Serialize) -> String {
        let mut cursor = self.mark.to_vec();
        cursor.extend(serde_json::to_vec(position).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(cursor)
    }

    /// The position that `cursor` stands for; none where there is no cursor. `request.invalid` names `cursor` when it is none
    /// of ours, of another list, or of this one with other filters.
    pub fn read<T: DeserializeOwned>(self, cursor: Option<&str>) -> Result<Option<T>> {
        let Some(cursor) = cursor else { return Ok(None) };
        match self.position(cursor) {
            Some(position) => Ok(Some(position)),
            None => Err(Failure::invalid("cursor", "is not a cursor of this list with these filters")),
        }
    }

    fn position<T: DeserializeOwned>(self, cursor: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        serde_json::from_slice(bytes.strip_prefix(&self.mark)?).ok()
    }

    /// Makes a page of rows read with a limit of `limit + 1`: the extra row says that there is a next page, whose cursor is
    /// taken from the last row kept.
    pub fn page<T, C: Serialize>(self, mut rows: Vec<T>, limit: u32, position: impl Fn(&T) -> C) -> Page<T> {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|last| self.write(&position(last))) } else { None };
        Page { items: rows, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extra_row_makes_the_cursor_of_the_list() {
        let cursors = Cursors::of("shop.things", &());
        let page = cursors.page(vec![1, 2, 3], 2, |&n| n);
        assert_eq!(page.items, [1, 2]);
        assert_eq!(cursors.read::<i32>(page.next_cursor.as_deref()).unwrap(), Some(2));
        assert_eq!(cursors.read::<i32>(None).unwrap(), None);
        assert!(cursors.page(vec![1, 2], 2, |&n| n).next_cursor.is_none());
    }

    #[test]
    fn a_cursor_is_good_for_its_list_with_its_filters_and_nowhere_else() {
        let filters = ("kitchen", Some(true));
        let cursors = Cursors::of("shop.things", &filters);
        let cursor = cursors.write(&(5_i64, "b"));
        let read = |cursors: Cursors, cursor: &str| cursors.read::<(i64, String)>(Some(cursor));
        assert_eq!(
            read(Cursors::of("shop.things", &filters), &cursor).unwrap().unwrap(),
            (5, "b".to_owned())
        );
        for other in [
            Cursors::of("shop.stores", &filters),
            Cursors::of("shop.things", &("kitchen", Some(false))),
            Cursors::of("shop.things", &("garden", Some(true))),
            Cursors::of("shop.things", &()),
        ] {
            let refused = read(other, &cursor).unwrap_err();
            assert_eq!((refused.code(), refused.fields()[0].pointer.as_str()), ("request.invalid", "cursor"));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused_by_name() {
        let cursors = Cursors::of("shop.things", &());
        let good = cursors.write(&7);
        assert!(
            good.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            "{good}"
        );
        // No mark, no position, a position of another kind, a position without a mark.
        let (bare, word) = (cursors.write(&()), cursors.write(&"seven"));
        for odd in ["", "%%%", "AAAA", &good[..8], &format!("{good}="), &bare, &word, "Nw"] {
            let refused = cursors.read::<i32>(Some(odd)).unwrap_err();
            assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "cursor"), "{odd}");
        }
    }
}
