use kernel::Currency;
use proptest::prelude::*;

use super::*;

const USD_10: Money = Money::new(1_000, Currency::USD);

fn states() -> impl Strategy<Value = IntentState> {
    use IntentState::{Cancelled, Conflicted, Expired, Failed, Pending, Succeeded};
    prop::sample::select(vec![Pending, Succeeded, Failed, Cancelled, Expired, Conflicted])
}

fn steps() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![
        Step::Capture,
        Step::Mismatch,
        Step::Decline,
        Step::Cancel,
        Step::Expire,
        Step::Reopen,
    ])
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        Just(Fact::Open),
        prop::sample::select(vec![1_000_i64, 1_001]).prop_map(|amount| Fact::Captured {
            amount: Money::new(amount, Currency::USD),
            at: Timestamp::default()
        }),
        Just(Fact::Declined { reason: "no".to_owned() }),
        Just(Fact::Cancelled),
    ]
}

/// A payment with its attempts, as the database would keep it.
#[derive(Clone, Debug)]
struct Payment {
    intent: IntentState,
    attempts: Vec<IntentState>,
    captured_events: u32,
    conflict_events: u32,
    /// Captured by the provider and known to us, per attempt.
    known: Vec<bool>,
    surplus: u32,
}

impl Payment {
    fn apply(&mut self, attempt: usize, fact: &Fact) {
        let standing = Standing {
            intent: self.intent,
            attempt: self.attempts[attempt],
            latest: attempt + 1 == self.attempts.len(),
            expected: USD_10,
            number_matches: true,
        };
        match judge(standing, fact) {
            Verdict::Nothing => {}
            Verdict::Ended { attempt: state, intent, .. } => {
                self.attempts[attempt] = state;
                self.intent = intent.unwrap_or(self.intent);
            }
            Verdict::Paid => {
                self.attempts[attempt] = IntentState::Succeeded;
                self.intent = after(self.intent, Step::Capture).expect("judge said it is possible");
                self.captured_events += 1;
                self.known[attempt] = true;
            }
            Verdict::Surplus => {
                self.attempts[attempt] = IntentState::Succeeded;
                self.surplus += 1;
                self.known[attempt] = true;
            }
            Verdict::Conflict { intent, .. } => {
                self.attempts[attempt] = IntentState::Conflicted;
                self.intent = intent.unwrap_or(self.intent);
                self.conflict_events += u32::from(intent.is_some());
                self.known[attempt] = true;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Fact(usize, Fact),
    Cancel,
    Expire,
    Reopen,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(
        prop_oneof![
            4 => (0_usize..4, facts()).prop_map(|(attempt, fact)| Event::Fact(attempt, fact)),
            1 => Just(Event::Cancel),
            1 => Just(Event::Expire),
            1 => Just(Event::Reopen),
        ],
        1..40,
    )
}

proptest! {
    #[test]
    fn captured_money_is_never_ignored_and_never_counted_twice(events in events()) {
        let mut payment = Payment {
            intent: IntentState::Pending,
            attempts: vec![IntentState::Pending],
            captured_events: 0,
            conflict_events: 0,
            known: vec![false],
            surplus: 0,
        };
        let mut told = [false; 4];
        for event in events {
            match event {
                Event::Fact(attempt, fact) if attempt < payment.attempts.len() => {
                    told[attempt] |= matches!(fact, Fact::Captured { .. });
                    payment.apply(attempt, &fact);
                }
                Event::Fact(..) => {}
                Event::Cancel => payment.intent = after(payment.intent, Step::Cancel).unwrap_or(payment.intent),
                Event::Expire => payment.intent = after(payment.intent, Step::Expire).unwrap_or(payment.intent),
                Event::Reopen => {
                    if payment.attempts.len() < 4
                        && let Some(next) = after(payment.intent, Step::Reopen)
                    {
                        payment.intent = next;
                        payment.attempts.push(IntentState::Pending);
                        payment.known.push(false);
                    }
                }
            }
            for (attempt, known) in payment.known.iter().enumerate() {
                prop_assert_eq!(*known, told[attempt], "money of attempt {} is known as soon as it was told", attempt);
            }
            prop_assert!(payment.captured_events <= 1);
            prop_assert_eq!(payment.captured_events == 1, payment.intent == IntentState::Succeeded);
            prop_assert!(payment.conflict_events <= 1);
        }
    }

    #[test]
    fn a_fact_told_twice_has_one_effect(intent in states(), attempt in states(), latest: bool, fact in facts()) {
        let standing = Standing { intent, attempt, latest, expected: USD_10, number_matches: true };
        let next = match judge(standing, &fact) {
            Verdict::Nothing => standing,
            Verdict::Ended { attempt, intent: next, .. } => Standing { attempt, intent: next.unwrap_or(intent), ..standing },
            Verdict::Paid => Standing { attempt: IntentState::Succeeded, intent: IntentState::Succeeded, ..standing },
            Verdict::Surplus => Standing { attempt: IntentState::Succeeded, ..standing },
            Verdict::Conflict { intent: next, .. } => {
                Standing { attempt: IntentState::Conflicted, intent: next.unwrap_or(intent), ..standing }
            }
        };
        prop_assert_eq!(judge(next, &fact), Verdict::Nothing);
    }

    #[test]
    fn no_step_leads_out_of_succeeded_and_conflicted(step in steps()) {
        prop_assert_eq!(after(IntentState::Succeeded, step), None);
        prop_assert_eq!(after(IntentState::Conflicted, step), None);
    }

    #[test]
    fn numbers_say_their_shard(shard in 0..kernel::MAX_SHARDS, part: Vec<u8>, day in 0_i64..40_000, n in 1..10_i32) {
        let id = PaymentId::derive(Shard::new(shard), &[&part]);
        let at = Timestamp::from_micros(day * 86_400 * 1_000_000);
        let number = number(id, at);
        prop_assert_eq!(number.len(), 1 + 8 + 4 + 10);
        prop_assert_eq!(shard_of_number(&number), Some(Shard::new(shard)));
        prop_assert_eq!(shard_of_number(&attempt_number(&number, n)), Some(Shard::new(shard)));
    }

    #[test]
    fn nonsense_is_no_number(text: String) {
        if let Some(shard) = shard_of_number(&text) {
            prop_assert!(shard.number() < kernel::MAX_SHARDS);
        }
    }

    #[test]
    fn waits_grow_and_end(tries in 0..200_i32) {
        let wait = backoff(Duration::from_secs(2), Duration::from_secs(300), tries);
        prop_assert!(wait >= Duration::from_secs(2) && wait <= Duration::from_secs(300));
        prop_assert!(wait <= backoff(Duration::from_secs(2), Duration::from_secs(300), tries + 1));
    }
}

#[test]
fn late_money_is_money() {
    for intent in [IntentState::Cancelled, IntentState::Expired, IntentState::Failed] {
        for attempt in [IntentState::Pending, IntentState::Cancelled, IntentState::Failed] {
            let standing = Standing { intent, attempt, latest: true, expected: USD_10, number_matches: true };
            assert_eq!(
                judge(standing, &Fact::Captured { amount: USD_10, at: Timestamp::default() }),
                Verdict::Paid
            );
        }
    }
}

#[test]
fn another_amount_currency_or_number_is_a_conflict() {
    let standing = Standing {
        intent: IntentState::Pending,
        attempt: IntentState::Pending,
        latest: true,
        expected: USD_10,
        number_matches: true,
    };
    let at = Timestamp::default();
    for amount in
        [Money::new(1_001, Currency::USD), Money::new(999, Currency::USD), Money::new(1_000, Currency::EUR)]
    {
        let verdict = judge(standing, &Fact::Captured { amount, at });
        assert!(
            matches!(verdict, Verdict::Conflict { intent: Some(IntentState::Conflicted), .. }),
            "{verdict:?}"
        );
    }
    let other = Standing { number_matches: false, ..standing };
    assert!(matches!(judge(other, &Fact::Captured { amount: USD_10, at }), Verdict::Conflict { .. }));
}

#[test]
fn every_state_has_its_name() {
    for name in ["pending", "succeeded", "failed", "cancelled", "expired", "conflicted"] {
        assert_eq!(intent_state(name).map(intent_name), Some(name));
    }
    for name in ["pending", "succeeded", "failed"] {
        assert_eq!(refund_state(name).map(refund_name), Some(name));
    }
    assert_eq!(intent_state("paid"), None);
}
