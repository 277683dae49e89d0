//! A provider calls back.

use contracts::payment::{CallbackAnswer, ProviderCallback};
use kernel::{Failure, Result, code};

use crate::{PaymentService, model::shard_of_number, settle::Source, store};

/// The largest body of a callback.
pub(crate) const LARGEST: usize = 64 * 1_024;

impl PaymentService {
    /// Signature and age are checked first, then number, amount and currency by [`PaymentService::settle`]. A duplicate is
    /// acknowledged like the first. Anything but the provider's own answer makes it call again.
    pub(crate) async fn take_callback(&self, callback: ProviderCallback) -> Result<CallbackAnswer> {
        if callback.body.len() > LARGEST {
            return Err(Failure::new(code::TOO_LARGE).detail(format!("at most {LARGEST} bytes")));
        }
        let channel =
            self.channels.get(&callback.channel).ok_or_else(|| Failure::not_found("payment channel"))?;
        let Some(report) = channel.read(&callback, self.db.now())? else { return Ok(channel.received()) };
        let unknown = || Failure::not_found("payment");
        let shard = shard_of_number(&report.reference).ok_or_else(unknown)?;
        let attempt = store::attempt_by_number(self.db.read(), shard, &report.reference).await?;
        let attempt = attempt.filter(|attempt| attempt.channel == callback.channel).ok_or_else(unknown)?;
        self.settle(&attempt, report, Source::Callback).await?;
        Ok(channel.received())
    }
}
