//! Decides a group of requests in memory, first come first served: what the gatherer does between reading and writing.
//! Pure, so that every rule can be tested without a database.

mod goods;
mod quotas;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use contracts::{
    catalog::SkuId,
    inventory::{HoldId, HoldState, HoldView, WarehouseId, code},
    pricing::LineInput,
};
use kernel::{Failure, Result, Timestamp, code as general};

pub(crate) use quotas::Taken;

use crate::admission::Finding;
use crate::model::{Bucket, Delta, Hold, Place, Step, Transition, transition};

/// A request about one hold.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) hold: HoldId,
    pub(crate) what: What,
    pub(crate) actor: Arc<str>,
}

/// What is asked of a hold.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// All lines or none. `lines` as the caller wrote them, for pointers; `demand` a line a SKU.
    Reserve {
        lines: Vec<LineInput>,
        demand: Vec<LineInput>,
        expires_at: Timestamp,
    },
    Step(Step),
    Extend(Timestamp),
}

impl Request {
    /// The SKUs whose buckets it needs beyond those of its hold.
    pub(crate) fn skus(&self) -> impl Iterator<Item = SkuId> + '_ {
        let demand: &[LineInput] = if let What::Reserve { demand, .. } = &self.what { demand } else { &[] };
        demand.iter().map(|line| line.sku_id)
    }

    /// How much work it is: lines.
    pub(crate) fn weight(&self) -> usize {
        self.skus().count().max(1)
    }
}

/// A line of the ledger to be.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    /// Index of its bucket.
    pub(crate) bucket: usize,
    pub(crate) kind: &'static str,
    pub(crate) change: Delta,
    pub(crate) note: Arc<Note>,
}

/// What a movement says of its cause.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) reference: String,
    pub(crate) text: String,
    pub(crate) actor: Arc<str>,
}

/// In which order buckets are sold from: this region's first, then those of the region that has most; by the warehouse's
/// priority.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) region: Arc<str>,
    pub(crate) priorities: Arc<HashMap<WarehouseId, i32>>,
    /// Whether stock is divided over regions: then this region's part is read first, and the others' only for what it lacks.
    pub(crate) divided: bool,
}

impl Order {
    fn own(&self, place: &Place) -> bool {
        place.region == self.region
    }

    fn sort(&self, buckets: &mut [Bucket]) {
        let mut others: HashMap<(SkuId, Arc<str>), i64> = HashMap::new();
        for bucket in buckets.iter().filter(|bucket| !self.own(&bucket.place)) {
            let region = (bucket.place.sku, Arc::clone(&bucket.place.region));
            *others.entry(region).or_default() += bucket.units.available;
        }
        buckets.sort_by_cached_key(|Bucket { place, .. }| {
            // None, for a bucket of this region, comes first.
            let most = if self.own(place) {
                None
            } else {
                others.get(&(place.sku, Arc::clone(&place.region))).map(|units| Reverse(*units))
            };
            let priority = self.priorities.get(&place.warehouse).copied().unwrap_or(i32::MAX);
            (most, priority, place.warehouse, Arc::clone(&place.region), place.n)
        });
    }
}

/// The buckets and holds of a group while it is decided.
pub(crate) struct Desk {
    now: Timestamp,
    order: Order,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) holds: HashMap<HoldId, Hold>,
    pub(crate) movements: Vec<Movement>,
    /// Indexes of a SKU's buckets in the order they are sold from.
    by_sku: HashMap<SkuId, Vec<usize>>,
    by_place: HashMap<Place, usize>,
    /// Units available when the desk opened.
    before: HashMap<SkuId, i64>,
    /// SKUs of which somebody wanted more than there are.
    wanting: BTreeSet<SkuId>,
    /// What is known of other regions' buckets.
    quotas: quotas::Quotas,
}

impl Desk {
    /// A desk over every bucket of the SKUs concerned and the holds that exist.
    pub(crate) fn open(now: Timestamp, order: Order, mut buckets: Vec<Bucket>, holds: Vec<Hold>) -> Self {
        order.sort(&mut buckets);
        let mut desk = Self {
            now,
            order,
            buckets: Vec::with_capacity(buckets.len()),
            holds: holds.into_iter().map(|hold| (hold.id, hold)).collect(),
            movements: Vec::new(),
            by_sku: HashMap::new(),
            by_place: HashMap::new(),
            before: HashMap::new(),
            wanting: BTreeSet::new(),
            quotas: quotas::Quotas::default(),
        };
        for bucket in buckets {
            desk.add(bucket);
        }
        for &sku in desk.by_sku.keys() {
            desk.before.insert(sku, desk.available(sku));
        }
        desk.note_quotas();
        desk
    }

    fn add(&mut self, bucket: Bucket) -> usize {
        let index = self.buckets.len();
        self.by_sku.entry(bucket.place.sku).or_default().push(index);
        self.by_place.insert(bucket.place.clone(), index);
        self.buckets.push(bucket);
        index
    }

    fn of(&self, sku: SkuId) -> &[usize] {
        self.by_sku.get(&sku).map_or(&[], Vec::as_slice)
    }

    /// Units of a SKU that can be bought, over all its buckets.
    pub(crate) fn available(&self, sku: SkuId) -> i64 {
        self.of(sku).iter().map(|&index| self.buckets[index].units.available).sum()
    }

    /// SKUs with their availability before and now, where it changed, in order of their ids.
    pub(crate) fn changed(&self) -> Vec<(SkuId, i64, i64)> {
        let mut changed: Vec<_> = self
            .by_sku
            .keys()
            .map(|&sku| (sku, self.before.get(&sku).copied().unwrap_or(0), self.available(sku)))
            .filter(|(_, before, after)| before != after)
            .collect();
        changed.sort_unstable();
        changed
    }

    /// Whether a SKU has ever had stock.
    pub(crate) fn knows(&self, sku: SkuId) -> bool {
        self.by_sku.contains_key(&sku)
    }

    /// Decides a request; one that fails leaves everything as it was.
    pub(crate) fn run(&mut self, request: &Request) -> Result<Option<HoldView>> {
        match &request.what {
            What::Reserve { lines, demand, expires_at } => {
                self.reserve(request, lines, demand, *expires_at).map(Some)
            }
            What::Step(step) => self.step(request, *step),
            What::Extend(until) => self.extend(request.hold, *until).map(Some),
        }
    }

    fn reserve(
        &mut self,
        request: &Request,
        lines: &[LineInput],
        demand: &[LineInput],
        expires_at: Timestamp,
    ) -> Result<HoldView> {
        if let Some(hold) = self.holds.get_mut(&request.hold) {
            return again(hold, demand, self.now, expires_at);
        }
        let mut taken = Vec::with_capacity(demand.len());
        for line in demand {
            if !self.take(line, &mut taken) {
                return Err(self.out_of_stock(lines, demand));
            }
        }
        let changes: Vec<_> = taken.iter().map(|&(index, units)| (index, Delta::reserve(units))).collect();
        let note = self.note(request.hold.to_string(), &request.actor);
        self.apply("reserve", &changes, &note)?;
        self.count_taken(&taken);
        let parts =
            taken.into_iter().map(|(index, units)| (self.buckets[index].place.clone(), units)).collect();
        let hold = Hold {
            id: request.hold,
            state: HoldState::Reserved,
            lines: demand.to_vec(),
            expires_at,
            created_at: self.now,
            version: 0,
            dirty: true,
            parts,
        };
        let view = hold.view();
        self.holds.insert(hold.id, hold);
        Ok(view)
    }

    /// Picks buckets for a line; false when all of them together have too little.
    fn take(&self, line: &LineInput, taken: &mut Vec<(usize, i64)>) -> bool {
        let mut rest = line.quantity;
        for &index in self.of(line.sku_id) {
            let units = rest.min(self.buckets[index].units.available);
            if units > 0 {
                taken.push((index, units));
                rest -= units;
            }
            if rest == 0 {
                return true;
            }
        }
        false
    }

    fn out_of_stock(&mut self, lines: &[LineInput], demand: &[LineInput]) -> Failure {
        let short: HashMap<SkuId, i64> = demand
            .iter()
            .map(|line| (line.sku_id, line.quantity, self.available(line.sku_id)))
            .filter(|(_, wanted, available)| wanted > available)
            .map(|(sku, _, available)| (sku, available))
            .collect();
        self.wanting.extend(short.keys());
        self.note_lacking(short.keys());
        out_of_stock(lines, &short)
    }

    /// What the decisions found out about who may be turned away, true once they are saved.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let more =
            self.changed().into_iter().filter(|(_, before, after)| after > before).map(|(sku, ..)| sku);
        let wanting = self.wanting.iter().map(|&sku| (sku, Some(self.available(sku))));
        wanting
            .chain(more.filter(|sku| !self.wanting.contains(sku)).map(|sku| (sku, None)))
            // The sum of some buckets' versions says nothing; where buyers are turned away all are read.
            .filter(|(sku, _)| self.is_whole(*sku))
            .map(|(sku, left)| Finding { sku, left, version: self.version(sku) })
            .collect()
    }

    /// Grows with every change of a SKU's buckets.
    fn version(&self, sku: SkuId) -> i64 {
        let buckets = self.of(sku).iter().map(|&index| &self.buckets[index]);
        buckets.map(|bucket| bucket.version + i64::from(bucket.dirty)).sum()
    }

    fn step(&mut self, request: &Request, step: Step) -> Result<Option<HoldView>> {
        let Some(hold) = self.holds.get(&request.hold) else {
            // A confirmation needs something to confirm; taking back what never was is done.
            return if step == Step::Confirm { Err(Failure::not_found("hold")) } else { Ok(None) };
        };
        if step == Step::Expire && hold.expires_at > self.now {
            return Ok(None);
        }
        match transition(hold.state, step) {
            Transition::Stay if step == Step::Expire => Ok(None),
            Transition::Stay => Ok(Some(hold.view())),
            Transition::Gone => Err(hold.gone()),
            Transition::Refused => Err(Failure::new(general::CONFLICT)
                .detail("the reservation is confirmed: its stock is given back, not released")),
            Transition::To(state, kind, delta) => {
                let changes = hold
                    .parts
                    .iter()
                    .map(|(place, units)| self.by_place.get(place).map(|&index| (index, delta(*units))))
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| {
                        Failure::internal(format!("{} names a bucket that is not there", hold.id))
                    })?;
                let note = self.note(request.hold.to_string(), &request.actor);
                self.apply(kind, &changes, &note)?;
                Ok(self.holds.get_mut(&request.hold).map(|hold| {
                    hold.state = state;
                    hold.dirty = true;
                    hold.view()
                }))
            }
        }
    }

    fn extend(&mut self, id: HoldId, until: Timestamp) -> Result<HoldView> {
        let hold = self.holds.get_mut(&id).ok_or_else(|| Failure::not_found("hold"))?;
        match hold.state {
            HoldState::Reserved => {
                hold.dirty |= hold.expires_at != until;
                hold.expires_at = until;
                Ok(hold.view())
            }
            // Confirmed stock does not expire.
            HoldState::Confirmed => Ok(hold.view()),
            HoldState::Released | HoldState::Expired | HoldState::Returned => Err(hold.gone()),
        }
    }

    pub(crate) fn note(&self, reference: String, actor: &Arc<str>) -> Arc<Note> {
        Arc::new(Note { reference, text: String::new(), actor: Arc::clone(actor) })
    }

    /// Applies all changes or none; each bucket is named at most once.
    fn apply(&mut self, kind: &'static str, changes: &[(usize, Delta)], note: &Arc<Note>) -> Result<()> {
        let after = changes
            .iter()
            .map(|&(index, change)| self.buckets[index].after(change))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(out_of_bounds)?;
        for (&(index, change), units) in changes.iter().zip(after) {
            let bucket = &mut self.buckets[index];
            bucket.units = units;
            bucket.dirty = true;
            self.movements.push(Movement { bucket: index, kind, change, note: Arc::clone(note) });
        }
        Ok(())
    }
}

fn out_of_bounds() -> Failure {
    Failure::new(code::BELOW_ZERO).detail("the stock would leave its bounds")
}

/// Says which of the lines want more than what is left.
pub(crate) fn out_of_stock(lines: &[LineInput], short: &HashMap<SkuId, i64>) -> Failure {
    let say = |available: i64| {
        if available == 0 { "sold out".to_owned() } else { format!("{available} available") }
    };
    let first = lines.iter().find_map(|line| short.get(&line.sku_id)).copied().unwrap_or(0);
    let failure = Failure::new(code::OUT_OF_STOCK).detail(format!("not enough stock: {}", say(first)));
    lines.iter().enumerate().fold(failure, |failure, (index, line)| match short.get(&line.sku_id) {
        Some(&available) => failure.field(format!("/lines/{index}"), say(available)),
        None => failure,
    })
}

/// The same hold asked for again: the same answer, or why not.
fn again(hold: &mut Hold, demand: &[LineInput], now: Timestamp, expires_at: Timestamp) -> Result<HoldView> {
    if !hold.is_for(demand) {
        return Err(Failure::new(code::HOLD_CONFLICT));
    }
    match hold.state {
        HoldState::Reserved => {
            // Its time has run out but nobody took it back yet: it lives on.
            if hold.expires_at <= now {
                hold.expires_at = expires_at;
                hold.dirty = true;
            }
            Ok(hold.view())
        }
        HoldState::Confirmed => Ok(hold.view()),
        HoldState::Released | HoldState::Expired | HoldState::Returned => Err(hold.gone()),
    }
}
