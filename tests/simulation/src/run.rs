//! One seed, from the first map to rest.

mod drills;

use std::{collections::BTreeMap, fmt, time::Duration};

use coordinator::{Intent, Store};
use kernel::Clock;
use placement::{State, duty};

use crate::{
    audit::{self, Broken, By, by_schedule},
    cast::Cast,
    link::{Fault, Mutant},
    persons,
    seed::Seed,
};

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Steps, each audited.
    pub steps: usize,
    /// Operations that ended, by kind and outcome; a drill that began by itself is of another kind than a person's.
    pub ended: Vec<String>,
    /// What persons did, but for what was refused or came too late, and how often.
    pub acts: BTreeMap<&'static str, usize>,
    /// What happened, line by line.
    pub trace: Vec<String>,
}

/// A run that broke an invariant or did not come to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub broken: Broken,
    /// What happened until then.
    pub trace: Vec<String>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.trace.len().saturating_sub(60);
        for line in &self.trace[from..] {
            writeln!(f, "  {line}")?;
        }
        write!(f, "seed {}, step {}: {}", self.seed, self.trace.len(), self.broken)
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Result<Report, Failed> {
    run_with(seed, Mutant::None)
}

/// Runs a seed with something broken on purpose.
pub fn run_with(seed: u64, mutant: Mutant) -> Result<Report, Failed> {
    let mut chance = Seed::new(seed);
    let cast = Cast::new(&mut chance, mutant);
    let crash = *chance.pick(&[1, 3, 20, u16::MAX]);
    let mut run = Run { cast, chance, crash, acts: BTreeMap::new(), trace: Vec::new() };
    match run.whole() {
        Ok(()) => Ok(run.report()),
        Err(broken) => Err(Failed { seed, broken, trace: run.trace }),
    }
}

struct Run {
    cast: Cast,
    chance: Seed,
    /// A coordinator crashes once in so many of its steps.
    crash: u16,
    acts: BTreeMap<&'static str, usize>,
    trace: Vec<String>,
}

impl Run {
    fn whole(&mut self) -> Result<(), Broken> {
        if self.cast.scheduled {
            self.watch()?;
        }
        for _ in 0..self.chance.between(100, 500) {
            self.trouble()?;
        }
        self.recover()?;
        if self.cast.scheduled && self.chance.one_in(3) {
            self.next_week();
            self.watch()?;
            self.recover()?;
        }
        Ok(())
    }

    fn report(self) -> Report {
        let store = self.cast.journal.store();
        let ended = store.ended().values().map(|one| {
            let outcome = format!("{:?}", one.phase);
            let end = outcome.split(['(', ' ', '{']).nth(1).unwrap_or_default().to_owned();
            format!("{}{} {end}", if by_schedule(one) { "scheduled " } else { "" }, one.spec.kind.name())
        });
        Report { steps: self.trace.len(), ended: ended.collect(), acts: self.acts, trace: self.trace }
    }

    /// Does something and audits what it did.
    fn audited(&mut self, by: By<'_>, act: impl FnOnce(&mut Self) -> String) -> Result<(), Broken> {
        let before: Store = self.cast.journal.store();
        let told = act(self);
        let now = self.cast.clock.now();
        self.trace.push(format!("{:>9.3} {told}", now.since(self.cast.began).as_secs_f64()));
        audit::step(&before, &self.cast.journal.store(), by, now)
    }

    /// One step of the time in which everything may happen.
    fn trouble(&mut self) -> Result<(), Broken> {
        match self.chance.below(100) {
            0..30 => self.coordinate(true),
            30..54 => self.worker(),
            54..68 => self.observer(),
            68..82 => {
                let most = *self.chance.pick(&[50, 500, 3_000]);
                let by = Duration::from_millis(u64::from(self.chance.between(1, most)));
                self.cast.clock.advance(by);
                Ok(())
            }
            82..93 => self.audited(By::Person, |run| {
                let act = persons::act(&mut run.cast, &mut run.chance);
                if let Some(done) = act.done {
                    *run.acts.entry(done).or_default() += 1;
                }
                format!("a person {}", act.told)
            }),
            93 => self.siege(),
            _ => {
                self.break_or_mend();
                Ok(())
            }
        }
    }

    /// A region dies, and for long enough the others look at nothing else: what a failover needs, which chance alone hardly
    /// ever brings together.
    fn siege(&mut self) -> Result<(), Broken> {
        let victim = self.some_place();
        if self.cast.places[victim].alive {
            self.kill(victim);
        }
        for _ in 0..self.chance.between(6, 14) {
            for at in (0..self.cast.places.len()).filter(|at| *at != victim) {
                if self.cast.places[at].alive && self.cast.places[at].linked {
                    self.cast.places[at].link.hooks().set(Fault::None);
                    self.look_around(at, Fault::None)?;
                }
            }
            for _ in 0..4 {
                self.coordinate(true)?;
            }
            self.worker()?;
            self.cast.clock.advance(Duration::from_millis(u64::from(self.chance.between(500, 1_500))));
        }
        Ok(())
    }

    /// A region ends, and the coordinators in it.
    fn kill(&mut self, at: usize) {
        let place = &mut self.cast.places[at];
        place.die();
        for runner in self.cast.runners.iter_mut().filter(|runner| runner.at == at) {
            runner.crash(&place.name, self.cast.leads);
        }
        self.trace.push(format!("          {} dies", place.name));
    }

    fn some_place(&mut self) -> usize {
        usize::from(self.chance.below(u16::try_from(self.cast.places.len()).unwrap_or(1)))
    }

    /// What happens to a call of somebody in this region.
    fn fault(&mut self, at: usize) -> Fault {
        if !self.cast.places[at].linked {
            return if self.chance.one_in(3) { Fault::AnswerLost } else { Fault::Cut };
        }
        *self.chance.pick(&[
            Fault::None,
            Fault::None,
            Fault::None,
            Fault::None,
            Fault::AnswerLost,
            Fault::Twice,
        ])
    }

    /// A coordinator looks, or does what it decided when it looked last: perhaps long ago, perhaps again.
    fn coordinate(&mut self, troubled: bool) -> Result<(), Broken> {
        let which = usize::from(self.chance.below(u16::try_from(self.cast.runners.len()).unwrap_or(1)));
        let at = self.cast.runners[which].at;
        if !self.cast.places[at].alive {
            return Ok(());
        }
        let fault = if troubled { self.fault(at) } else { Fault::None };
        self.cast.runners[which].link.hooks().set(fault);
        let decided = self.cast.runners[which].decided.clone();
        let Some(intent) = decided else {
            return self.audited(By::Coordinator(None), |run| {
                format!(
                    "coordinator {which} looks ({fault:?}): {}",
                    told(run.cast.runners[which].look().ok())
                )
            });
        };
        let effect = if let Intent::Act(effect) = &intent { Some(effect) } else { None };
        let by = By::Coordinator(effect);
        self.audited(by, |run| {
            let deed = run.cast.runners[which].act();
            format!("coordinator {which} acts ({fault:?}): {} is {deed:?}", told(Some(&intent)))
        })?;
        // Now and then what was decided is kept and done again later.
        if !troubled || !self.chance.one_in(5) {
            self.cast.runners[which].decided = None;
        }
        if troubled && self.chance.one_in(self.crash) {
            let name = self.cast.places[at].name.clone();
            self.cast.runners[which].crash(&name, self.cast.leads);
            self.trace.push(format!("          coordinator {which} crashes"));
        }
        Ok(())
    }

    fn worker(&mut self) -> Result<(), Broken> {
        let at = self.some_place();
        if !self.cast.places[at].alive {
            return Ok(());
        }
        let fault = self.fault(at);
        self.cast.places[at].link.hooks().set(fault);
        if self.chance.one_in(3) {
            self.cast.poll(at);
            return Ok(());
        }
        let shards = self.cast.shards();
        if shards.is_empty() {
            return Ok(());
        }
        let shard = *self.chance.pick(&shards);
        self.audited(By::Worker, |run| {
            let wish = run.cast.work(at, shard);
            format!("{} works on {shard} ({fault:?}): {wish:?}", run.cast.places[at].name)
        })
    }

    fn observer(&mut self) -> Result<(), Broken> {
        let at = self.some_place();
        if !self.cast.places[at].alive {
            return Ok(());
        }
        let fault = self.fault(at);
        self.cast.places[at].link.hooks().set(fault);
        self.look_around(at, fault)
    }

    fn look_around(&mut self, at: usize, fault: Fault) -> Result<(), Broken> {
        self.audited(By::Worker, |run| {
            run.cast.observe(at);
            format!("{} looks around ({fault:?})", run.cast.places[at].name)
        })
    }

    fn break_or_mend(&mut self) {
        let at = self.some_place();
        let other = self.some_place();
        let other_name = self.cast.places[other].name.clone();
        if self.cast.places[at].alive && self.chance.one_in(6) {
            return self.kill(at);
        }
        let place = &mut self.cast.places[at];
        let told = match self.chance.below(6) {
            0..3 if !place.alive => {
                place.start();
                "starts".to_owned()
            }
            3 => {
                place.linked = !place.linked;
                format!("reaches the journal: {}", place.linked)
            }
            4 => {
                place.reaches.remove(&other_name);
                format!("does not reach {other_name}")
            }
            _ => {
                place.reaches.insert(other_name.clone());
                format!("reaches {other_name}")
            }
        };
        self.trace.push(format!("          {} {told}", place.name));
    }

    /// A region does all of its part at once.
    fn part(&mut self, at: usize) -> Result<(), Broken> {
        self.audited(By::Worker, |run| {
            run.cast.observe(at);
            run.cast.poll(at);
            let wishes = run.cast.shards().into_iter().map(|shard| run.cast.work(at, shard));
            format!("{} does its part: {:?}", run.cast.places[at].name, wishes.collect::<Vec<_>>())
        })
    }

    /// Persons let back whoever is out or cordoned, step by step.
    fn let_all_back(&mut self) -> Result<(), Broken> {
        for region in persons::not_active(&self.cast) {
            for to in [State::Cordoned, State::Active] {
                self.audited(By::Person, |run| {
                    format!("a person {}", persons::set_state(&run.cast, &region, to).told)
                })?;
            }
        }
        Ok(())
    }

    /// Everything is mended, everybody does their part in turn: the whole must come to rest.
    fn recover(&mut self) -> Result<(), Broken> {
        self.cast.heal();
        self.audited(By::Person, |run| {
            persons::calm(&run.cast);
            "healed".to_owned()
        })?;
        if self.cast.scheduled && !self.chance.one_in(4) {
            self.let_all_back()?;
        }
        let mut quiet = 0;
        for _ in 0..2_000 {
            let before = self.cast.journal.store();
            for at in 0..self.cast.places.len() {
                self.part(at)?;
            }
            for _ in 0..4 * self.cast.runners.len() {
                self.coordinate(false)?;
            }
            self.cast.clock.advance(Duration::from_millis(500));
            let store = self.cast.journal.store();
            let world = store.read(self.cast.clock.now()).world;
            let same = before.world().observed.version == store.world().observed.version;
            let idle = store.running().is_none() && duty(&world).is_none() && same;
            quiet = if idle { quiet + 1 } else { 0 };
            // Longer than a lease and a leadership last.
            if quiet == 24 {
                let now = self.cast.clock.now();
                return audit::journal(&store, now).and_then(|()| audit::rest(&store, now));
            }
        }
        let running = self.cast.journal.store().running().cloned();
        Err(Broken { invariant: 10, what: format!("no rest: {running:?}") })
    }
}

fn told(intent: Option<&Intent>) -> String {
    match intent {
        None => "nothing heard".into(),
        Some(Intent::Act(effect)) => match &effect.change {
            placement::Change::Journal(next) => format!("{} enters {}", effect.operation, next.phase.name()),
            change => format!("{} {change:?}", effect.operation),
        },
        Some(intent) => format!("{intent:?}"),
    }
}
