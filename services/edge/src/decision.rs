//! What became of requests, counted.

use metrics::Counter;

/// What the entrance did with a request. Its name is the label `decision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Anybody may answer it: served here.
    Anybody,
    /// Its home is here: served here.
    Here,
    /// Another region passed it on: served here.
    Hop,
    /// Its home answered, or another region that stands in for it.
    Forwarded,
    /// Served here: its home was not asked, after it failed.
    Down,
    /// Served here: too many requests are under way to its home.
    Full,
    /// Served here: it cannot be passed on, being too large or odd.
    Large,
    /// Served here: its home could not be reached.
    Unreached,
    /// Served here: its home did nothing with it.
    Unserved,
    /// Served here: its home broke off or failed.
    Broken,
    /// Served here as well: its home is slow.
    Slow,
    /// Its home was slow, and answered before this region did.
    SlowForwarded,
    /// Refused: whether its home did it is not known.
    Unsettled,
    /// Refused: no region of its jurisdiction serves.
    Unlawful,
    /// Sent on to another region: this one is out.
    SentOn,
    /// Given back to the region that passed it on.
    GivenBack,
    /// Refused: nothing can be changed here.
    ReadOnly,
    /// A copy answered: this region asks nothing behind it.
    Kept,
    /// Refused for that: there is no copy.
    NotKept,
    /// Refused: the waiting room is full.
    Queue,
}

impl Decision {
    const ALL: [(Self, &'static str); 20] = [
        (Self::Anybody, "anybody"),
        (Self::Here, "here"),
        (Self::Hop, "hop"),
        (Self::Forwarded, "forwarded"),
        (Self::Down, "here_down"),
        (Self::Full, "here_full"),
        (Self::Large, "here_large"),
        (Self::Unreached, "here_unreached"),
        (Self::Unserved, "here_unserved"),
        (Self::Broken, "here_broken"),
        (Self::Slow, "here_slow"),
        (Self::SlowForwarded, "slow_forwarded"),
        (Self::Unsettled, "unsettled"),
        (Self::Unlawful, "unlawful"),
        (Self::SentOn, "sent_on"),
        (Self::GivenBack, "given_back"),
        (Self::ReadOnly, "read_only"),
        (Self::Kept, "kept"),
        (Self::NotKept, "not_kept"),
        (Self::Queue, "queue"),
    ];
}

/// A worker's counters: looking one up in the recorder costs more than counting.
pub(crate) struct Counts(Vec<(Decision, Counter)>);

impl Counts {
    pub(crate) fn new() -> Self {
        let counter = |name: &'static str| metrics::counter!("edge_requests_total", "decision" => name);
        Self(Decision::ALL.iter().map(|(decision, name)| (*decision, counter(name))).collect())
    }

    pub(crate) fn count(&self, decision: Decision) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == decision) {
            counter.increment(1);
        }
    }
}
