//! `/staff/regions`: the map of regions, what runs, and what staff may begin. For staff with `operations.read`; beginning
//! takes `operations.write`.

mod drills;
pub(crate) mod report;

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use contracts::{
    Permission,
    region::{AbortOperation, BeginOperation, OperationKind, OperationView, RegionView, RegionsView},
};
use kernel::Timestamp;

use crate::{
    error::{Answer, PageError},
    flash::Flash,
    forms::{Issues, Posted},
    frame::Frame,
    locale::Locale,
    token,
    visitor::Visitor,
};

/// Colours of homes; a ninth region has the first one's again.
const COLOURS: usize = 8;

/// A region's row.
pub(crate) struct RegionRow {
    pub(crate) name: String,
    pub(crate) colour: usize,
    pub(crate) here: bool,
    pub(crate) endpoint: String,
    pub(crate) state: String,
    pub(crate) tone: &'static str,
    /// What a person has it do less of.
    pub(crate) less: Vec<String>,
    pub(crate) homes: u64,
    pub(crate) leases: u64,
    pub(crate) lag: String,
    /// What the others see, and whether that is good.
    pub(crate) seen: Vec<(String, &'static str)>,
    /// Whether it can be practised on or left.
    pub(crate) active: bool,
}

/// A shard's cell of the map.
pub(crate) struct Cell {
    pub(crate) shard: u16,
    pub(crate) colour: usize,
    /// In words: colours alone say nothing to many.
    pub(crate) title: String,
    pub(crate) moving: bool,
    pub(crate) idle: bool,
}

/// An operation in words.
pub(crate) struct Shown {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) state: String,
    pub(crate) tone: &'static str,
    pub(crate) runs: bool,
    pub(crate) why: Option<String>,
    pub(crate) timeline: Vec<(Timestamp, String, String)>,
    pub(crate) report: Vec<report::Line>,
}

#[derive(Template)]
#[template(path = "regions.html")]
pub(crate) struct RegionsPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) founded: bool,
    pub(crate) summary: String,
    pub(crate) leader: String,
    pub(crate) paused: bool,
    pub(crate) rows: Vec<RegionRow>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) operation: Option<Shown>,
    /// When drills begin by themselves.
    pub(crate) drills: Vec<String>,
    pub(crate) may_begin: bool,
    pub(crate) key: String,
}

/// `GET /staff/regions`.
pub(crate) async fn regions(visitor: Visitor) -> Answer {
    visitor.member("/staff/regions")?;
    show(&visitor, StatusCode::OK, Issues::default()).await
}

async fn show(visitor: &Visitor, status: StatusCode, issues: Issues) -> Answer {
    let (regions, ctx) = (&visitor.shop().regions, visitor.ctx());
    let map = regions.regions(&ctx, ()).await?;
    let last = match &map.operation {
        Some(running) => Some(running.clone()),
        None => regions.last(&ctx, ()).await?,
    };
    let frame = visitor.frame(visitor.text("regions-title")).at("/staff/regions").refreshing(5);
    visitor.show(status, &view(frame, &map, last.as_ref(), ctx.may(Permission::OperationsWrite), issues))
}

/// The page.
pub(crate) fn view(
    page: Frame,
    map: &RegionsView,
    last: Option<&OperationView>,
    may_begin: bool,
    issues: Issues,
) -> RegionsPage {
    let locale = page.locale;
    let colour = |name: &str| {
        map.regions.iter().position(|region| region.region == name).map_or(COLOURS, |at| at % COLOURS)
    };
    let row = |region: &RegionView| RegionRow {
        name: region.region.clone(),
        colour: colour(&region.region),
        here: map.here.as_deref() == Some(&region.region),
        endpoint: region.endpoint.clone(),
        state: locale.text(state_key(&region.state)),
        tone: tone(&region.state),
        less: less(locale, region),
        homes: region.homes,
        leases: region.leases,
        lag: region.relay_lag_ms.map_or_else(|| "–".to_owned(), |lag| format!("{lag} ms")),
        seen: seen(locale, region),
        active: region.state == "active",
    };
    let cells = map.shards.iter().map(|shard| {
        let mut title = locale
            .text_with_all("regions-cell", &[("shard", &shard.shard.to_string()), ("home", &shard.home)]);
        if let Some(to) = &shard.moving_to {
            title = format!("{title} → {to}");
        }
        Cell {
            shard: shard.shard,
            colour: colour(&shard.home),
            title,
            moving: shard.moving_to.is_some(),
            idle: shard.holder.is_none(),
        }
    });
    RegionsPage {
        founded: map.version > 0,
        summary: locale.text_with_all(
            "regions-summary",
            &[("version", &map.version.to_string()), ("shards", &map.shards.len().to_string())],
        ),
        leader: map.leader.clone().unwrap_or_else(|| locale.text("regions-no-leader")),
        paused: map.paused,
        rows: map.regions.iter().map(row).collect(),
        cells: cells.collect(),
        operation: last.map(|operation| shown(locale, operation)),
        drills: drills::sentences(locale, map.drills.as_ref()),
        may_begin,
        key: token::random(),
        page,
        issues,
    }
}

fn state_key(state: &str) -> &'static str {
    match state {
        "active" => "region-state-active",
        "cordoned" => "region-state-cordoned",
        "drained" => "region-state-drained",
        _ => "region-state-fenced",
    }
}

fn tone(state: &str) -> &'static str {
    match state {
        "active" => "good",
        "cordoned" => "wait",
        _ => "",
    }
}

fn less(locale: Locale, region: &RegionView) -> Vec<String> {
    let mut less = Vec::new();
    if region.static_only {
        less.push(locale.text("regions-less-static"));
    } else if region.read_only {
        less.push(locale.text("regions-less-read-only"));
    }
    if region.queue > 0 {
        less.push(locale.text_with("regions-less-queue", "most", &region.queue.to_string()));
    }
    less
}

fn seen(locale: Locale, region: &RegionView) -> Vec<(String, &'static str)> {
    let one = |sighting: &contracts::region::SightingView| {
        let (key, tone) = match (sighting.fresh, sighting.up) {
            (false, _) => ("regions-seen-old", ""),
            (true, true) => ("regions-seen-up", "good"),
            (true, false) => ("regions-seen-down", "bad"),
        };
        (locale.text_with(key, "by", &sighting.by), tone)
    };
    region.seen.iter().map(one).collect()
}

fn shown(locale: Locale, operation: &OperationView) -> Shown {
    let title = locale.text_with_all(
        "regions-operation-title",
        &[
            ("id", &operation.id.to_string()),
            ("kind", &locale.text(kind_key(&operation.kind))),
            ("region", operation.region.as_deref().unwrap_or("")),
        ],
    );
    let (key, tone) = match operation.outcome.as_deref() {
        None => ("regions-runs", "wait"),
        Some("done") => ("regions-done", "good"),
        Some("refused") => ("regions-refused", ""),
        Some(_) => ("regions-aborted", ""),
    };
    Shown {
        id: operation.id,
        title,
        state: locale.text(key),
        tone,
        runs: operation.outcome.is_none(),
        why: operation.why.clone().or_else(|| operation.waits_for.clone()),
        timeline: operation
            .timeline
            .iter()
            .map(|line| (line.at, locale.text(phase_key(&line.phase)), line.detail.clone()))
            .collect(),
        report: report::lines(locale, operation),
    }
}

fn kind_key(kind: &str) -> &'static str {
    match kind {
        "move" => "region-kind-move",
        "rebalance" => "region-kind-rebalance",
        "evacuate" => "region-kind-evacuate",
        "switchover" => "region-kind-switchover",
        "drill" => "region-kind-drill",
        _ => "region-kind-failover",
    }
}

fn phase_key(phase: &str) -> &'static str {
    match phase {
        "preflight" => "region-phase-preflight",
        "taking" => "region-phase-taking",
        "moving" => "region-phase-moving",
        "handing-over" => "region-phase-handing-over",
        "verifying" => "region-phase-verifying",
        "closing" => "region-phase-closing",
        "aborting" => "region-phase-aborting",
        _ => "region-phase-ended",
    }
}

/// `POST /staff/regions/{region}/drill`.
pub(crate) async fn drill(visitor: Visitor, region: Path<String>, posted: Posted) -> Answer {
    begin(&visitor, OperationKind::Drill, region.into_inner(), &posted).await
}

/// `POST /staff/regions/{region}/switchover`.
pub(crate) async fn switchover(visitor: Visitor, region: Path<String>, posted: Posted) -> Answer {
    begin(&visitor, OperationKind::Switchover, region.into_inner(), &posted).await
}

async fn begin(visitor: &Visitor, kind: OperationKind, region: String, posted: &Posted) -> Answer {
    visitor.member("/staff/regions")?;
    let ctx = visitor.ctx_with_key(posted.key()?);
    match visitor.shop().regions.begin(&ctx, BeginOperation { kind, region }).await {
        Ok(_) => Ok(visitor.go_saying("/staff/regions", Flash::OperationBegun)),
        Err(failure) => refused(visitor, failure).await,
    }
}

/// `POST /staff/regions/abort`.
pub(crate) async fn abort(visitor: Visitor, posted: Posted) -> Answer {
    visitor.member("/staff/regions")?;
    let id = posted.id("operation")?;
    let why = "asked for on the staff page".to_owned();
    match visitor.shop().regions.abort(&visitor.ctx(), AbortOperation { id, why }).await {
        Ok(_) => Ok(visitor.go_saying("/staff/regions", Flash::AbortAsked)),
        Err(failure) => refused(&visitor, failure).await,
    }
}

async fn refused(visitor: &Visitor, failure: kernel::Failure) -> Answer {
    let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::CONFLICT);
    let issues = Issues::from_failure(visitor.locale(), failure)?;
    show(visitor, status, issues).await
}

/// `GET` of a form's target.
pub(crate) async fn back(visitor: Visitor) -> Result<actix_web::HttpResponse, PageError> {
    Ok(visitor.go("/staff/regions"))
}
