//! The module `operations`: jobs and dead letters for staff.

use std::{sync::Arc, time::Duration};

use actix_web::{get, post, web};
use contracts::Permission;
use garde::Validate;
use kernel::{Failure, Page, Result, Shard, Timestamp, page_limit};
use platform_bus::{Bus, DeadLetter, Selection};
use platform_db::Db;
use platform_http::{Answer, Params, PathOf, Routes, Staff, Valid, accepted, ok};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::{Job, JobView, Jobs};

/// How often old events are deleted.
const PRUNE: Duration = Duration::from_secs(60 * 60);
/// How often old answers are deleted: all keys are looked at for it.
const FORGET: Duration = Duration::from_secs(6 * 60 * 60);

/// What the routes work on.
pub(crate) struct Operations {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) jobs: Jobs,
}

pub(crate) fn routes(operations: Operations) -> Routes {
    let operations = web::Data::new(operations);
    Arc::new(move |config| {
        config.app_data(operations.clone());
        handlers(config);
    })
}

/// The routes as the API's document lists them: they have nothing to work on and answer nothing. What runs them is
/// [`App`](crate::App), which brings its own.
pub fn operations_routes_for_document() -> Routes {
    Arc::new(handlers)
}

fn handlers(config: &mut ServiceConfig<'_>) {
    config.service(list_jobs).service(run_job).service(list_dead_letters).service(replay_dead_letters);
}

/// Deletes events that are old and consumed.
pub(crate) fn prune_job(bus: Arc<dyn Bus>) -> Job {
    Job::every("bus.prune", PRUNE, move |_| {
        let bus = Arc::clone(&bus);
        async move {
            let pruned = bus.prune().await?;
            Ok(format!("{} events and {} inbox rows deleted", pruned.events, pruned.inbox))
        }
    })
    .timeout(PRUNE)
}

/// Deletes what is known of requests that are old.
pub(crate) fn forget_job(db: Db) -> Job {
    Job::every("requests.forget", FORGET, move |_| {
        let db = db.clone();
        async move { Ok(format!("{} answers deleted", db.forget_requests().await?)) }
    })
    .timeout(FORGET)
}

/// The jobs of a process.
#[derive(Serialize, ToSchema)]
struct JobList {
    items: Vec<JobView>,
}

/// A run that was asked for.
#[derive(Serialize, ToSchema)]
struct JobStarted {
    /// The run's id; it appears among the job's runs.
    id: Uuid,
}

#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListDeadLetters {
    /// `next_cursor` of the page before.
    #[garde(length(max = 500))]
    #[param(max_length = 500)]
    cursor: Option<String>,
    /// Items on the page.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Which dead letters to deliver again: all, those of a subscription, or one (subscription, shard and pos).
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayDeadLetters {
    #[garde(length(min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100)]
    subscription: Option<String>,
    #[garde(range(max = 1023))]
    #[schema(maximum = 1023)]
    shard: Option<u16>,
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    pos: Option<i64>,
}

/// How many dead letters are delivered again.
#[derive(Serialize, ToSchema)]
struct Replayed {
    replayed: u64,
}

/// An event that a subscription could not consume.
#[derive(Serialize, ToSchema)]
struct DeadLetterView {
    subscription: String,
    shard: u16,
    pos: i64,
    topic: String,
    /// What the event is about.
    aggregate: String,
    /// When the event happened.
    at: Timestamp,
    /// How often it was tried.
    attempts: u32,
    /// Why it failed the last time.
    error: String,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            subscription: letter.subscription,
            shard: letter.shard.number(),
            pos: letter.pos,
            topic: letter.topic,
            aggregate: letter.aggregate,
            at: letter.at,
            attempts: letter.attempts,
            error: letter.error,
        }
    }
}

impl ReplayDeadLetters {
    fn selection(self) -> Result<Selection> {
        match (self.subscription, self.shard, self.pos) {
            (None, None, None) => Ok(Selection::All),
            (Some(subscription), None, None) => Ok(Selection::Subscription(subscription)),
            (Some(subscription), Some(shard), Some(pos)) => {
                Ok(Selection::One { subscription, shard: Shard::new(shard), pos })
            }
            (None, ..) => Err(Failure::invalid("/subscription", "is needed with shard and pos")),
            (_, None, _) => Err(Failure::invalid("/shard", "is needed with pos")),
            (_, _, None) => Err(Failure::invalid("/pos", "is needed with shard")),
        }
    }
}

/// Lists the jobs of this process with their last runs.
#[utoipa::path(tag = "operations", responses((status = 200, body = JobList)))]
#[get("/api/v1/admin/jobs")]
async fn list_jobs(operations: web::Data<Operations>, Staff(ctx): Staff) -> Answer {
    ctx.require(Permission::OperationsRead)?;
    Ok(ok(JobList { items: operations.jobs.list().await? }))
}

/// Runs a job now.
#[utoipa::path(tag = "operations", params(("name" = String, Path)), responses((status = 202, body = JobStarted)))]
#[post("/api/v1/admin/jobs/{name}/runs")]
async fn run_job(
    operations: web::Data<Operations>,
    Staff(ctx): Staff,
    PathOf(name): PathOf<String>,
) -> Answer {
    ctx.require(Permission::OperationsWrite)?;
    let id = operations.jobs.start(&name)?;
    tracing::info!(job = name, by = ctx.principal(), "job started by hand");
    Ok(accepted("/api/v1/admin/jobs", JobStarted { id }))
}

/// Lists events that subscriptions could not consume.
#[utoipa::path(tag = "operations", params(ListDeadLetters), responses((status = 200, body = Page<DeadLetterView>)))]
#[get("/api/v1/admin/dead-letters")]
async fn list_dead_letters(
    operations: web::Data<Operations>,
    Staff(ctx): Staff,
    Params(list): Params<ListDeadLetters>,
) -> Answer {
    ctx.require(Permission::OperationsRead)?;
    let page = operations.bus.dead_letters(list.cursor.as_deref(), page_limit(list.limit)?).await?;
    Ok(ok(page.map(DeadLetterView::from)))
}

/// Delivers dead letters again.
#[utoipa::path(tag = "operations", request_body = ReplayDeadLetters, responses((status = 202, body = Replayed)))]
#[post("/api/v1/admin/dead-letters/replay")]
async fn replay_dead_letters(
    operations: web::Data<Operations>,
    Staff(ctx): Staff,
    Valid(body): Valid<ReplayDeadLetters>,
) -> Answer {
    ctx.require(Permission::OperationsWrite)?;
    let selection = body.selection()?;
    let one = matches!(selection, Selection::One { .. });
    let replayed = operations.bus.replay_dead(selection).await?;
    if one && replayed == 0 {
        return Err(Failure::not_found("dead letter").into());
    }
    tracing::info!(replayed, by = ctx.principal(), "dead letters are delivered again");
    Ok(accepted("/api/v1/admin/dead-letters", Replayed { replayed }))
}
