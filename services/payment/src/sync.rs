//! Asks providers what became of attempts they have not called back about (job `payment.sync`): callbacks get lost.

use contracts::payment::IntentState;
use futures::{StreamExt, stream};
use kernel::Result;

use crate::{
    PaymentService,
    channel::Report,
    model::{Fact, backoff},
    service::no_payment,
    settle::Source,
    store::{self, entity::attempt},
};

/// Attempts of one look.
const BATCH: u64 = 200;
/// Questions under way at once.
const AT_ONCE: usize = 8;

impl PaymentService {
    /// One run; says what it did.
    pub(crate) async fn sync_pending(&self, stopping: impl Fn() -> bool + Send) -> Result<String> {
        let (mut asked, mut unanswered) = (0_u32, 0_u32);
        while !stopping() {
            let due = store::due_attempts(self.db.read(), self.db.now(), BATCH).await?;
            let full = due.len() as u64 == BATCH;
            let answers: Vec<bool> = stream::iter(due)
                .map(|attempt| async move {
                    let answer = self.ask_after(&attempt).await;
                    if let Err(failure) = &answer {
                        tracing::warn!(
                            payment.number = attempt.number,
                            ?failure,
                            "a payment could not be synchronised"
                        );
                    }
                    answer.is_ok()
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            asked += u32::try_from(answers.len()).unwrap_or(u32::MAX);
            unanswered +=
                u32::try_from(answers.iter().filter(|answered| !**answered).count()).unwrap_or(u32::MAX);
            if !full {
                break;
            }
        }
        Ok(format!("{asked} asked, {unanswered} without an answer"))
    }

    /// Asks the provider after one attempt, or to close it when nobody is to pay it any more, and takes in what it says.
    pub(crate) async fn ask_after(&self, attempt: &attempt::Model) -> Result<()> {
        // Whatever comes of it: the next question is later.
        self.postpone(attempt).await?;
        let payment = store::intent(self.db.read(), attempt.payment()).await?.ok_or_else(no_payment)?;
        let channel = self.channel(&attempt.channel)?;
        let wanted = payment.standing()? == IntentState::Pending && payment.attempt_id == attempt.id;
        let report = if wanted {
            channel.query(&attempt.number).await?
        } else {
            channel.cancel(&attempt.number).await?
        };
        match report {
            Some(report) => self.settle(attempt, report, Source::Answer).await,
            // The provider was away when it was opened: the next who asks to pay opens it.
            None if wanted => Ok(()),
            None => {
                let words = "the provider has never heard of it".to_owned();
                let report = Report {
                    reference: attempt.number.clone(),
                    provider_number: None,
                    fact: Fact::Cancelled,
                    words,
                };
                self.settle(attempt, report, Source::Answer).await
            }
        }
    }

    async fn postpone(&self, attempt: &attempt::Model) -> Result<()> {
        let wait = backoff(self.config.sync_after, self.config.sync_longest, attempt.syncs);
        let (payment, id, syncs) = (attempt.payment(), attempt.id, attempt.syncs.saturating_add(1));
        self.db
            .write(payment.shard(), (payment, id, wait, syncs), |tx, &(payment, id, wait, syncs)| {
                Box::pin(
                    async move { store::ask_at(tx, payment, Some(id), tx.now().plus(wait), syncs).await },
                )
            })
            .await
    }
}
