//! Rules of accounts; pure.

use std::{collections::BTreeSet, time::Duration};

use contracts::{Caller, Ctx, Permission, account::AddressInput, valid};
use kernel::{Failure, Result, Timestamp, code, normalise};

use crate::config::LockoutConfig;

/// The role that is built in: it allows everything, and cannot be changed or removed.
pub(crate) const ADMIN: &str = "admin";

/// What makes an e-mail unique: without blanks around it and in lower case.
pub(crate) fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A one-line text a person typed, which must not be blank.
pub(crate) fn required(pointer: &str, text: &str) -> Result<String> {
    let text = normalise(text);
    if text.is_empty() { Err(Failure::invalid(pointer, "must not be blank")) } else { Ok(text) }
}

/// An address as it is kept.
pub(crate) fn clean(input: AddressInput) -> Result<AddressInput> {
    let address = AddressInput {
        recipient: required("/recipient", &input.recipient)?,
        phone: required("/phone", &input.phone)?,
        country: input.country,
        region: normalise(&input.region),
        city: required("/city", &input.city)?,
        district: normalise(&input.district),
        line1: required("/line1", &input.line1)?,
        line2: normalise(&input.line2),
        postal_code: normalise(&input.postal_code),
        is_default: input.is_default,
    };
    // Shorter than it was typed, it may be too short.
    valid(&address)?;
    Ok(address)
}

/// Failed log-ins of one e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    /// How many since then.
    pub(crate) count: u32,
    /// When the first of them was.
    pub(crate) since: Timestamp,
    /// Until when log-in is refused.
    pub(crate) locked_until: Option<Timestamp>,
}

impl Failures {
    /// How long log-in is still refused, if it is.
    pub(crate) fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|&until| until > now).map(|until| until.since(now))
    }

    /// One failure more. A window starts with its first failure; the failure that fills it locks and empties it.
    pub(crate) fn and_another(before: Option<Self>, now: Timestamp, rule: &LockoutConfig) -> Self {
        let running = before.filter(|before| before.count > 0 && now < before.since.plus(rule.window));
        let (count, since) =
            running.map_or((1, now), |running| (running.count.saturating_add(1), running.since));
        if count >= rule.failures {
            Self { count: 0, since: now, locked_until: Some(now.plus(rule.duration)) }
        } else {
            Self { count, since, locked_until: before.and_then(|before| before.locked_until) }
        }
    }
}

/// Who acts, as far as rights and the audit log go.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// Account id, `system` or `anonymous`.
    pub(crate) name: String,
    /// What they may do; everything when it is Meridian itself.
    permissions: Option<BTreeSet<Permission>>,
}

impl Actor {
    /// The caller of `ctx`.
    pub(crate) fn of(ctx: &Ctx) -> Self {
        let permissions = match &ctx.caller {
            Caller::System => None,
            Caller::User { permissions, .. } => Some(permissions.clone()),
            Caller::Anonymous => Some(BTreeSet::new()),
        };
        Self { name: ctx.principal(), permissions }
    }

    /// Nobody gives or takes what they do not have: else whoever may change roles could make themselves admin, or take
    /// over an admin's account.
    pub(crate) fn must_have(&self, wanted: &BTreeSet<Permission>) -> Result<()> {
        match &self.permissions {
            Some(own) if !wanted.is_subset(own) => Err(Failure::new(code::FORBIDDEN)
                .detail("this touches permissions that you do not have yourself")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: LockoutConfig =
        LockoutConfig { failures: 3, window: Duration::from_secs(60), duration: Duration::from_secs(100) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn emails_differ_neither_by_case_nor_by_blanks() {
        assert_eq!(email_key(" Ada@Example.ORG "), email_key("ada@example.org"));
    }

    #[test]
    fn locks_at_the_last_failure_of_a_window() {
        let first = Failures::and_another(None, at(0), &RULE);
        let second = Failures::and_another(Some(first), at(59), &RULE);
        assert_eq!((second.count, second.locked_for(at(59))), (2, None));
        let third = Failures::and_another(Some(second), at(59), &RULE);
        assert_eq!(third.locked_for(at(59)), Some(Duration::from_secs(100)));
        assert_eq!(third.locked_for(at(159)), None);
        // A failure after the lock starts a new window.
        assert_eq!(Failures::and_another(Some(third), at(160), &RULE).count, 1);
    }

    #[test]
    fn forgets_a_window_that_is_over() {
        let first = Failures::and_another(None, at(0), &RULE);
        let later = Failures::and_another(Some(first), at(60), &RULE);
        assert_eq!((later.count, later.since), (1, at(60)));
    }

    proptest! {
        #[test]
        fn never_more_than_the_allowed_failures_in_a_window_without_a_lock(gaps in prop::collection::vec(0_i64..40, 1..60)) {
            let (mut now, mut state, mut unlocked) = (0, None, Vec::new());
            for gap in gaps {
                now += gap;
                if state.is_some_and(|state: Failures| state.locked_for(at(now)).is_some()) {
                    continue;
                }
                let next = Failures::and_another(state, at(now), &RULE);
                if next.locked_for(at(now)).is_some() { unlocked.clear() } else { unlocked.push(now) }
                prop_assert!(next.count < RULE.failures);
                state = Some(next);
            }
        }
    }

    #[test]
    fn nobody_hands_out_what_they_do_not_have() {
        let actor = Actor { name: "x".into(), permissions: Some([Permission::AccountWrite].into()) };
        assert!(actor.must_have(&[Permission::AccountWrite].into()).is_ok());
        assert!(actor.must_have(&[Permission::PaymentRefund].into()).is_err());
        assert!(
            Actor { name: "system".into(), permissions: None }.must_have(&Permission::ALL.into()).is_ok()
        );
    }
}
