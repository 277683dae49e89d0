//! The online audit: what must be true of the rows a module owns, looked at in the background and by command.

use std::{fmt, sync::Arc};

use contracts::Ctx;
use futures::future::BoxFuture;
use kernel::{Result, Timestamp};
use platform_bus::Ailment;
use platform_db::Db;

use crate::{Job, JobsConfig};

/// Examples of what is wrong that are kept, a rule.
const EXAMPLES: usize = 10;

type Look = Arc<dyn Fn(Scope) -> BoxFuture<'static, Result<Vec<Finding>>> + Send + Sync>;

/// How much is looked at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Rows from this moment on; all when absent.
    pub since: Option<Timestamp>,
    /// At most so many, the newest first; all when absent.
    pub most: Option<u32>,
    /// To ask other domains with.
    pub ctx: Ctx,
}

/// What was found about one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule: `domain.rule`, a label of metrics.
    pub rule: &'static str,
    /// How many rows, orders, … were held to it.
    pub looked_at: u64,
    /// How many broke it.
    pub wrong: u64,
    /// Some of them, for a person.
    pub examples: Vec<String>,
}

impl Finding {
    /// Nothing was looked at yet.
    pub const fn of(rule: &'static str) -> Self {
        Self { rule, looked_at: 0, wrong: 0, examples: Vec::new() }
    }

    /// Holds one thing to the rule.
    pub fn hold(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.looked_at += 1;
        if holds {
            return;
        }
        self.wrong += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(what());
        }
    }
}

/// What must be true of a module's rows.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    look: Look,
}

impl Check {
    /// A check `audit.domain`, which is its job's name, too. It reads only.
    pub fn new<F, Fut>(name: &'static str, look: F) -> Self
    where
        F: Fn(Scope) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Finding>>> + Send + 'static,
    {
        Self { name, look: Arc::new(move |scope| Box::pin(look(scope))) }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Looks once.
    pub async fn look(&self, scope: Scope) -> Result<Vec<Finding>> {
        (self.look)(scope).await
    }

    /// The job that looks again and again, at what is young, and sets the gauges.
    pub(crate) fn job(self, config: &JobsConfig) -> Job {
        let (window, most) = (config.audit_window, config.audit_most);
        Job::every(self.name, config.audit_every, move |run| {
            let check = self.clone();
            async move {
                let scope = Scope { since: Some(run.now().minus(window)), most: Some(most), ctx: run.ctx() };
                let found = check.look(scope).await?;
                Ok(report(&found))
            }
        })
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// Sets the gauges, logs what is wrong, and says it in a line.
#[expect(clippy::cast_precision_loss, reason = "gauges are floats; counts stay far below 2^53")]
fn report(found: &[Finding]) -> String {
    let mut words = Vec::new();
    for finding in found {
        metrics::gauge!("audit_looked_at", "rule" => finding.rule).set(finding.looked_at as f64);
        metrics::gauge!("audit_wrong", "rule" => finding.rule).set(finding.wrong as f64);
        if finding.wrong > 0 {
            tracing::error!(rule = finding.rule, wrong = finding.wrong, examples = ?finding.examples, "the audit found something wrong");
        }
        words.push(format!("{} {} of {} wrong", finding.rule, finding.wrong, finding.looked_at));
    }
    words.join(", ")
}

/// What must be true of events, whichever modules run: invariants 6, 7 and 8 of regions.
pub fn events_check(db: Db) -> Check {
    Check::new("audit.events", move |scope| {
        let db = db.clone();
        async move {
            let health = platform_bus::examine(&db, scope.most).await?;
            Ok(health.into_iter().map(finding).collect())
        }
    })
}

fn finding(ailment: Ailment) -> Finding {
    let wrong = u64::try_from(ailment.wrong.len()).unwrap_or(u64::MAX);
    let examples = ailment.wrong.into_iter().take(EXAMPLES).collect();
    Finding { rule: ailment.rule, looked_at: ailment.looked_at, wrong, examples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_keeps_a_few() {
        let mut finding = Finding::of("test.rule");
        for n in 0..30 {
            finding.hold(n % 2 == 0, || n.to_string());
        }
        assert_eq!((finding.looked_at, finding.wrong, finding.examples.len()), (30, 15, EXAMPLES));
        assert_eq!(report(&[finding]), "test.rule 15 of 30 wrong");
    }
}
