//! Routes and errors.

use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{StatusCode, header::AUTHORIZATION},
    web::{self, Data, Json, Path, Query, ServiceConfig},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    filter,
    index::{Document, Index},
    query::{Search, by},
    settings::Settings,
    tasks::{Store, Work, missing},
};

/// The version it says it is.
const VERSION: &str = "1.16.0";

/// The key requests must bear.
#[derive(Debug)]
pub(crate) struct Key(pub(crate) String);

/// An error as the API writes it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    code: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn body(&self) -> Value {
        let kind = match self.code {
            "missing_authorization_header" | "invalid_api_key" => "auth",
            _ => "invalid_request",
        };
        let link = format!("https://docs.meilisearch.com/errors#{}", self.code);
        json!({"message": self.message, "code": self.code, "type": kind, "link": link})
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self.code {
            "missing_authorization_header" => StatusCode::UNAUTHORIZED,
            "invalid_api_key" => StatusCode::FORBIDDEN,
            "index_not_found" | "document_not_found" | "task_not_found" | "not_found" => {
                StatusCode::NOT_FOUND
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(self.body())
    }
}

type Answer = Result<HttpResponse, ApiError>;
type Shared = Data<Mutex<Store>>;

pub(crate) fn routes(cfg: &mut ServiceConfig) {
    let payload = web::JsonConfig::default().limit(100 << 20).error_handler(|error, _| {
        ApiError::new("malformed_payload", format!("The json payload provided is malformed. `{error}`."))
            .into()
    });
    let query = web::QueryConfig::default()
        .error_handler(|error, _| ApiError::new("bad_request", error.to_string()).into());
    cfg.app_data(payload)
        .app_data(query)
        .route("/health", web::get().to(health))
        .route("/version", web::get().to(version))
        .route("/indexes", web::get().to(list_indexes))
        .route("/indexes", web::post().to(create_index))
        .route("/indexes/{uid}", web::get().to(get_index))
        .route("/indexes/{uid}", web::delete().to(delete_index))
        .route("/indexes/{uid}/stats", web::get().to(index_stats))
        .route("/indexes/{uid}/settings", web::get().to(get_settings))
        .route("/indexes/{uid}/settings", web::patch().to(change_settings))
        .route("/indexes/{uid}/settings", web::delete().to(reset_settings))
        .route("/indexes/{uid}/documents", web::get().to(list_documents))
        .route("/indexes/{uid}/documents", web::post().to(add_documents))
        .route("/indexes/{uid}/documents", web::put().to(update_documents))
        .route("/indexes/{uid}/documents", web::delete().to(delete_all_documents))
        .route("/indexes/{uid}/documents/fetch", web::post().to(fetch_documents))
        .route("/indexes/{uid}/documents/delete-batch", web::post().to(delete_documents))
        .route("/indexes/{uid}/documents/{id}", web::get().to(get_document))
        .route("/indexes/{uid}/documents/{id}", web::delete().to(delete_document))
        .route("/indexes/{uid}/search", web::post().to(search))
        .route("/multi-search", web::post().to(multi_search))
        .route("/swap-indexes", web::post().to(swap_indexes))
        .route("/tasks", web::get().to(list_tasks))
        .route("/tasks/{uid}", web::get().to(get_task))
        .default_service(web::to(unknown));
}

/// The store, for a request that bears the key; tasks whose time has come are done.
fn enter<'a>(request: &HttpRequest, store: &'a Mutex<Store>) -> Result<MutexGuard<'a, Store>, ApiError> {
    let wanted = request.app_data::<Data<Key>>().map(|key| format!("Bearer {}", key.0)).unwrap_or_default();
    match request.headers().get(AUTHORIZATION) {
        None => {
            let text = "The Authorization header is missing. It must use the bearer authorization method.";
            return Err(ApiError::new("missing_authorization_header", text));
        }
        Some(given) if given.as_bytes() != wanted.as_bytes() => {
            return Err(ApiError::new("invalid_api_key", "The provided API key is invalid."));
        }
        Some(_) => {}
    }
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    store.work();
    Ok(store)
}

fn index<'a>(store: &'a Store, uid: &str) -> Result<&'a Index, ApiError> {
    store.indexes.get(uid).ok_or_else(|| missing(uid))
}

fn checked(uid: &str) -> Result<&str, ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !uid.is_empty() && uid.len() <= 400 && uid.chars().all(fits) {
        return Ok(uid);
    }
    let text = format!(
        "`{uid}` is not a valid index uid. Index uid can be an integer or a string containing only \
         alphanumeric characters, hyphens (-) and underscores (_), and can not be more than 400 bytes."
    );
    Err(ApiError::new("invalid_index_uid", text))
}

fn accepted(task: Value) -> Answer {
    Ok(HttpResponse::Accepted().json(task))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "available"}))
}

async fn unknown() -> Answer {
    Err(ApiError::new("not_found", "The stand-in has no such route."))
}

async fn version(request: HttpRequest, store: Shared) -> Answer {
    drop(enter(&request, &store)?);
    Ok(HttpResponse::Ok()
        .json(json!({"commitSha": "stand-in", "commitDate": "unknown", "pkgVersion": VERSION})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

fn view(uid: &str, index: &Index) -> Value {
    json!({
        "uid": uid, "createdAt": index.created_at, "updatedAt": index.updated_at, "primaryKey": index.primary_key,
    })
}

async fn list_indexes(request: HttpRequest, store: Shared, page: Query<Page>) -> Answer {
    let store = enter(&request, &store)?;
    let limit = page.limit.unwrap_or(20);
    let all = store.indexes.iter().skip(page.offset).take(limit);
    let results: Vec<Value> = all.map(|(uid, index)| view(uid, index)).collect();
    let total = store.indexes.len();
    Ok(HttpResponse::Ok()
        .json(json!({"results": results, "offset": page.offset, "limit": limit, "total": total})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewIndex {
    uid: String,
    primary_key: Option<String>,
}

async fn create_index(request: HttpRequest, store: Shared, new: Json<NewIndex>) -> Answer {
    let mut store = enter(&request, &store)?;
    let new = new.into_inner();
    accepted(store.enqueue(Some(checked(&new.uid)?), Work::CreateIndex { primary_key: new.primary_key }))
}

async fn get_index(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    let store = enter(&request, &store)?;
    Ok(HttpResponse::Ok().json(view(&uid, index(&store, &uid)?)))
}

async fn delete_index(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    accepted(enter(&request, &store)?.enqueue(Some(&uid), Work::DeleteIndex))
}

async fn index_stats(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    let store = enter(&request, &store)?;
    let documents = index(&store, &uid)?.documents.len();
    Ok(HttpResponse::Ok().json(json!({
        "numberOfDocuments": documents, "rawDocumentDbSize": 0, "avgDocumentSize": 0, "isIndexing": false,
        "numberOfEmbeddings": 0, "numberOfEmbeddedDocuments": 0, "fieldDistribution": {},
    })))
}

async fn get_settings(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    let store = enter(&request, &store)?;
    Ok(HttpResponse::Ok().json(&index(&store, &uid)?.settings))
}

async fn change_settings(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    body: Json<Value>,
) -> Answer {
    let mut store = enter(&request, &store)?;
    let change = Settings::read(body.into_inner())?;
    accepted(store.enqueue(Some(checked(&uid)?), Work::Settings(Box::new(change))))
}

async fn reset_settings(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    accepted(enter(&request, &store)?.enqueue(Some(&uid), Work::ResetSettings))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeyName {
    primary_key: Option<String>,
}

async fn add_documents(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    key: Query<KeyName>,
    body: Json<Value>,
) -> Answer {
    enqueue_documents(&request, &store, &uid, key.into_inner(), body.into_inner(), false)
}

async fn update_documents(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    key: Query<KeyName>,
    body: Json<Value>,
) -> Answer {
    enqueue_documents(&request, &store, &uid, key.into_inner(), body.into_inner(), true)
}

fn enqueue_documents(
    request: &HttpRequest,
    store: &Shared,
    uid: &str,
    key: KeyName,
    body: Value,
    merge: bool,
) -> Answer {
    let mut store = enter(request, store)?;
    let documents = match body {
        Value::Array(documents) if documents.iter().all(Value::is_object) => documents,
        Value::Object(_) => vec![body],
        _ => {
            let text = "The `json` payload provided is malformed. `Couldn't serialize document value: data are neither an \
                 object nor a list of objects`.";
            return Err(ApiError::new("malformed_payload", text));
        }
    };
    let work = Work::Documents { documents, primary_key: key.primary_key, merge };
    accepted(store.enqueue(Some(checked(uid)?), work))
}

async fn delete_all_documents(request: HttpRequest, store: Shared, uid: Path<String>) -> Answer {
    accepted(enter(&request, &store)?.enqueue(Some(&uid), Work::DeleteAllDocuments))
}

async fn delete_documents(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    ids: Json<Vec<String>>,
) -> Answer {
    accepted(enter(&request, &store)?.enqueue(Some(&uid), Work::DeleteDocuments(ids.into_inner())))
}

async fn get_document(request: HttpRequest, store: Shared, path: Path<(String, String)>) -> Answer {
    let store = enter(&request, &store)?;
    let (uid, id) = path.into_inner();
    let found = index(&store, &uid)?.get(&id);
    let found =
        found.ok_or_else(|| ApiError::new("document_not_found", format!("Document `{id}` not found.")))?;
    Ok(HttpResponse::Ok().json(found))
}

async fn delete_document(request: HttpRequest, store: Shared, path: Path<(String, String)>) -> Answer {
    let (uid, id) = path.into_inner();
    accepted(enter(&request, &store)?.enqueue(Some(&uid), Work::DeleteDocuments(vec![id])))
}

/// A listing of documents. In an address lists are written with commas.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Listing {
    offset: usize,
    limit: Option<usize>,
    fields: Option<Vec<String>>,
    sort: Option<Vec<String>>,
    filter: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ListingInAddress {
    offset: usize,
    limit: Option<usize>,
    fields: Option<String>,
    sort: Option<String>,
    filter: Option<String>,
}

async fn list_documents(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    asked: Query<ListingInAddress>,
) -> Answer {
    let asked = asked.into_inner();
    let list = |text: Option<String>| text.map(|text| text.split(',').map(str::to_owned).collect());
    let listing = Listing {
        offset: asked.offset,
        limit: asked.limit,
        fields: list(asked.fields).filter(|fields: &Vec<String>| fields != &["*"]),
        sort: list(asked.sort),
        filter: asked.filter.map(Value::String),
    };
    documents(&request, &store, &uid, &listing)
}

async fn fetch_documents(
    request: HttpRequest,
    store: Shared,
    uid: Path<String>,
    body: Json<Value>,
) -> Answer {
    let listing: Listing = serde_json::from_value(body.into_inner())
        .map_err(|error| ApiError::new("bad_request", error.to_string()))?;
    documents(&request, &store, &uid, &listing)
}

fn documents(request: &HttpRequest, store: &Shared, uid: &str, asked: &Listing) -> Answer {
    let store = enter(request, store)?;
    let index = index(&store, uid)?;
    let filter = match &asked.filter {
        Some(filter) => Some(filter::read(filter, &index.settings, "invalid_document_filter")?),
        None => None,
    };
    for sort in asked.sort.iter().flatten() {
        let attribute = sort.rsplit_once(':').map_or(sort.as_str(), |(attribute, _)| attribute);
        if !index.settings.is_sortable(attribute) {
            let text = format!("Attribute `{attribute}` is not sortable.");
            return Err(ApiError::new("invalid_document_sort", text));
        }
    }
    let mut found: Vec<&Document> = index
        .documents
        .values()
        .filter(|document| filter.as_ref().is_none_or(|filter| filter.holds(&document.body)))
        .collect();
    found.sort_by(|a, b| {
        let sorts = asked.sort.iter().flatten();
        sorts.map(|sort| by(sort, a, b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let (total, limit) = (found.len(), asked.limit.unwrap_or(20));
    let cut = |document: &&Document| match (&asked.fields, document.body.as_object()) {
        (Some(fields), Some(body)) => {
            let kept = body.iter().filter(|(name, _)| fields.contains(name));
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        _ => document.body.clone(),
    };
    let results: Vec<Value> = found.iter().skip(asked.offset).take(limit).map(cut).collect();
    Ok(HttpResponse::Ok()
        .json(json!({"results": results, "offset": asked.offset, "limit": limit, "total": total})))
}

async fn search(request: HttpRequest, store: Shared, uid: Path<String>, body: Json<Value>) -> Answer {
    let store = enter(&request, &store)?;
    let search = Search::read(body.into_inner())?;
    Ok(HttpResponse::Ok().json(search.run(&uid, index(&store, &uid)?)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Searches {
    queries: Vec<Value>,
}

async fn multi_search(request: HttpRequest, store: Shared, body: Json<Searches>) -> Answer {
    let store = enter(&request, &store)?;
    let mut results = Vec::new();
    for (at, query) in body.into_inner().queries.into_iter().enumerate() {
        let inside = |error: ApiError| {
            ApiError::new(error.code, format!("Inside `.queries[{at}]`: {}", error.message))
        };
        let search = Search::read(query).map_err(inside)?;
        let uid = search.index_uid.clone();
        let uid = uid
            .ok_or_else(|| ApiError::new("missing_index_uid", "Missing field `indexUid`"))
            .map_err(inside)?;
        let found = search.run(&uid, index(&store, &uid).map_err(inside)?).map_err(inside)?;
        results.push(found);
    }
    Ok(HttpResponse::Ok().json(json!({"results": results})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Swap {
    indexes: Vec<String>,
    #[serde(default)]
    rename: bool,
}

async fn swap_indexes(request: HttpRequest, store: Shared, body: Json<Vec<Swap>>) -> Answer {
    let mut store = enter(&request, &store)?;
    let mut swaps = Vec::new();
    for swap in body.into_inner() {
        let Ok(pair) = <[String; 2]>::try_from(swap.indexes) else {
            let text = "Two indexes must be given for each swap.";
            return Err(ApiError::new("invalid_swap_indexes", text));
        };
        if swap.rename {
            return Err(ApiError::new("bad_request", "The stand-in does not rename."));
        }
        if swaps.iter().flatten().any(|known| pair.contains(known)) || pair[0] == pair[1] {
            let text = "Indexes must be declared only once during a swap.";
            return Err(ApiError::new("invalid_swap_duplicate_index_found", text));
        }
        swaps.push(pair);
    }
    accepted(store.enqueue(None, Work::Swap(swaps)))
}

async fn get_task(request: HttpRequest, store: Shared, uid: Path<usize>) -> Answer {
    let store = enter(&request, &store)?;
    let task = store.task(*uid);
    let task = task.ok_or_else(|| ApiError::new("task_not_found", format!("Task `{uid}` not found.")))?;
    Ok(HttpResponse::Ok().json(task))
}

async fn list_tasks(request: HttpRequest, store: Shared) -> Answer {
    let store = enter(&request, &store)?;
    let total = store.task_count();
    let results: Vec<Value> = (0..total).rev().take(20).filter_map(|uid| store.task(uid)).collect();
    let from = total.checked_sub(1);
    Ok(HttpResponse::Ok()
        .json(json!({"results": results, "total": total, "limit": 20, "from": from, "next": null})))
}
