//! Who calls, and what is expected of an answer.

use std::time::Duration;

use contracts::{Caller, Ctx, Permission, SessionId, UserId};
use kernel::{Clock, Code, Currency, Failure, Money, Page, Result, Shard, SystemClock, Timestamp};
use serde::Serialize;

/// How long a case may take, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long background work may take there.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// So many seconds from now.
pub(crate) fn later(seconds: u64) -> Timestamp {
    now().plus(Duration::from_secs(seconds))
}

pub(crate) fn system() -> Ctx {
    Ctx::system("conformance", now().plus(PATIENCE))
}

pub(crate) fn nobody() -> Ctx {
    Ctx { caller: Caller::Anonymous, ..system() }
}

/// A user in a session that nobody opened: services do not ask for it.
pub(crate) fn user(id: UserId, permissions: &[Permission]) -> Ctx {
    let session = SessionId::derive(id.shard(), &[b"session"]);
    let permissions = permissions.iter().copied().collect();
    Ctx { caller: Caller::User { id, session, permissions }, ..system() }
}

/// A member of staff with these permissions.
pub(crate) fn staff(permissions: &[Permission]) -> Ctx {
    user(UserId::derive(Shard::new(1), &[b"staff"]), permissions)
}

/// The same caller under an idempotency key.
pub(crate) fn keyed(ctx: &Ctx, key: &str) -> Ctx {
    Ctx { idempotency_key: Some(key.to_owned()), ..ctx.clone() }
}

pub(crate) fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

/// Fails unless the call was refused with this code, naming these fields in this order.
#[track_caller]
pub(crate) fn refused<T>(answer: Result<T>, code: Code, pointers: &[&str]) -> Failure {
    let failure = answer.err().unwrap_or_else(|| panic!("it should have been refused with {}", code.name));
    let problem = failure.problem();
    let named: Vec<&str> = problem.errors.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!((problem.code.as_str(), named.as_slice()), (code.name, pointers), "{failure:?}");
    assert_eq!((problem.status, problem.title.as_str()), (code.status, code.title));
    failure
}

/// Fails unless both say the same.
#[track_caller]
pub(crate) fn same<T: Serialize>(left: &T, right: &T) {
    let json = |value: &T| serde_json::to_value(value).expect("JSON");
    assert_eq!(json(left), json(right));
}

/// Every page of a list, by its cursors.
pub(crate) async fn pages<T>(
    mut page: impl AsyncFnMut(Option<String>) -> Result<Page<T>>,
) -> Result<Vec<Vec<T>>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let next = page(cursor).await?;
        pages.push(next.items);
        cursor = next.next_cursor;
        if cursor.is_none() {
            return Ok(pages);
        }
        assert!(pages.len() < 1_000, "the list does not end");
    }
}

/// What background work brings about, once it has.
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not happen within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
