//! The OpenAPI 3.1 document: what handlers declare, and what holds for all of them.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{App, http::StatusCode};
use kernel::{FieldError, Problem};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, Info, Object, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder,
        Schema, Tag, Type,
        header::Header,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{AllOf, ArrayItems},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_actix_web::AppExt;

use crate::{Routes, error::PROBLEM_JSON, shared::STAFF};

/// Errors every operation can give: status and what it means.
const ERRORS: [(u16, &str); 14] = [
    (400, "The request cannot be read"),
    (401, "Log in first"),
    (403, "The caller may not do this"),
    (404, "There is no such thing, or it is somebody else's"),
    (405, "The path has other methods; `Allow` lists them"),
    (408, "The body did not arrive in time"),
    (409, "The thing is in another state than the request needs"),
    (412, "The thing has changed since it was read"),
    (413, "The body is too large"),
    (415, "The content type is not understood"),
    (422, "A field, parameter or header is wrong; `errors` names each"),
    (429, "Too many requests; come back after `Retry-After` seconds"),
    (500, "Something went wrong on our side"),
    (503, "Not available right now; come back after `Retry-After` seconds"),
];
/// Beside them, where an answer took too long.
const TIMEOUT: (u16, &str) = (504, "No answer in time");
/// Beside them, where staff work.
const HOST: (u16, &str) = (421, "The `Host` is not a name by which staff reach the shop");

/// What the tags stand for.
const TAGS: &[(&str, &str)] = &[
    ("accounts", "Accounts and profiles"),
    ("sessions", "Logging in, refreshing, logging out"),
    ("addresses", "A shopper's addresses"),
    ("catalog", "Categories, brands and products"),
    ("search", "Search and suggestions"),
    ("cart", "Carts of guests and members"),
    ("pricing", "Prices and signed quotes"),
    ("orders", "Orders, from placement to completion"),
    ("payments", "Payments, refunds and the providers' callbacks"),
    ("inventory", "Warehouses, stock and movements (staff)"),
    ("imports", "Imports of products and categories (staff)"),
    ("admin", "For staff"),
    ("admin: catalog", "Categories, brands and products as staff see and change them"),
    ("stock", "Warehouses, stock and movements (staff)"),
    ("users", "Accounts, roles and the audit log (staff)"),
    ("operations", "Jobs and dead letters (staff)"),
    ("sandbox", "The sandbox payment provider"),
];

/// The document of these routes.
pub fn openapi(routes: &[Routes]) -> OpenApi {
    let mut document = declared(routes);
    document.info = Info::new("Meridian", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "A commerce platform. Ids are opaque; money is in minor units; times are RFC 3339 UTC; errors are \
         `application/problem+json`, told apart by `code`."
            .to_owned(),
    );
    components(&mut document);
    flatten(&mut document);
    let mut ids = BTreeSet::new();
    let mut tags = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            parameters(path, operation);
            errors(path, operation);
            identify(path, method, operation, &mut ids);
            tags.extend(operation.tags.iter().flatten().cloned());
        }
    }
    document.tags = Some(tags.iter().map(|name| tag(name)).collect());
    // A token is taken everywhere; where it is needed, 401 says so.
    document.security =
        Some(vec![SecurityRequirement::default(), SecurityRequirement::new("bearer", Vec::<String>::new())]);
    document
}

/// What the handlers of these routes declare, and no more.
pub(crate) fn declared(routes: &[Routes]) -> OpenApi {
    let app = App::new().into_utoipa_app();
    routes.iter().fold(app, |app, routes| app.configure(|config| routes(config))).split_for_parts().1
}

fn components(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    for (status, meaning) in ERRORS.into_iter().chain([TIMEOUT, HOST]) {
        components.responses.insert(format!("Problem{status}"), RefOr::T(response(status, meaning)));
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `access_token` of a session"))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
}

/// A type with another one flattened into it is declared as `allOf`; where the inner one knows all of its fields, that
/// forbids those around it. It becomes one object with the fields of both.
fn flatten(document: &mut OpenApi) {
    let Some(components) = document.components.as_mut() else { return };
    let known = components.schemas.clone();
    components.schemas.values_mut().for_each(|schema| flatten_in(&known, schema));
}

/// The same for a schema and those written out inside it; those it names are components themselves.
fn flatten_in(known: &BTreeMap<String, RefOr<Schema>>, place: &mut RefOr<Schema>) {
    let RefOr::T(schema) = place else { return };
    match schema {
        Schema::Object(object) => object.properties.values_mut().for_each(|inner| flatten_in(known, inner)),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                flatten_in(known, items);
            }
        }
        Schema::OneOf(choice) => choice.items.iter_mut().for_each(|inner| flatten_in(known, inner)),
        Schema::AnyOf(choice) => choice.items.iter_mut().for_each(|inner| flatten_in(known, inner)),
        Schema::AllOf(parts) => {
            if let Some(whole) = merged(known, parts) {
                *schema = whole.into();
            }
        }
        _ => {}
    }
}

/// One object of all parts; none where a part is no object.
fn merged(known: &BTreeMap<String, RefOr<Schema>>, parts: &AllOf) -> Option<Object> {
    let mut whole = Object::with_type(Type::Object);
    whole.description.clone_from(&parts.description);
    for part in &parts.items {
        let part = object(known, part)?;
        whole.properties.extend(part.properties.clone());
        whole.required.extend(part.required.iter().cloned());
    }
    Some(whole)
}

/// The object that `part` is or names.
fn object<'a>(known: &'a BTreeMap<String, RefOr<Schema>>, part: &'a RefOr<Schema>) -> Option<&'a Object> {
    match part {
        RefOr::T(Schema::Object(object)) => Some(object),
        RefOr::T(_) => None,
        RefOr::Ref(name) => match known.get(name.ref_location.strip_prefix("#/components/schemas/")?)? {
            RefOr::T(Schema::Object(object)) => Some(object),
            _ => None,
        },
    }
}

fn response(status: u16, meaning: &str) -> Response {
    let schema = Ref::from_schema_name(Problem::name());
    let response =
        ResponseBuilder::new().description(meaning).content(PROBLEM_JSON, Content::new(Some(schema)));
    let text = || Header::new(ObjectBuilder::new().schema_type(Type::String));
    let seconds = || Header::new(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)));
    match status {
        401 => response.header("WWW-Authenticate", text()),
        405 => response.header("Allow", text()),
        429 | 503 => response.header("Retry-After", seconds()),
        _ => response,
    }
    .build()
}

fn errors(path: &str, operation: &mut Operation) {
    // The specification wants a description of every answer; a handler need not repeat what the status says.
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            let reason =
                StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason());
            answer.description = reason.unwrap_or("See the status").to_owned();
        }
    }
    let of_staff = path.starts_with(STAFF).then_some(HOST);
    for (status, _) in ERRORS.into_iter().chain([TIMEOUT]).chain(of_staff) {
        let reference = Ref::from_response_name(format!("Problem{status}"));
        operation.responses.responses.entry(status.to_string()).or_insert(RefOr::Ref(reference));
    }
}

/// Declares the path's segments that the handler did not, and what our headers may hold.
fn parameters(path: &str, operation: &mut Operation) {
    let declared = operation.parameters.get_or_insert_default();
    for name in segments(path) {
        let known = |parameter: &RefOr<Parameter>| match parameter {
            RefOr::T(parameter) => parameter.name == name && parameter.parameter_in == ParameterIn::Path,
            RefOr::Ref(_) => false,
        };
        if !declared.iter().any(known) {
            let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
            declared.push(RefOr::T(
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .schema(Some(text))
                    .build(),
            ));
        }
    }
    for parameter in declared.iter_mut() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Header
            && matches!(parameter.name.as_str(), "Idempotency-Key" | "X-Cart-Token")
        {
            let visible = ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(200))
                .pattern(Some("^[!-~]{1,200}$"));
            parameter.schema = Some(RefOr::T(visible.into()));
        }
    }
    if declared.is_empty() {
        operation.parameters = None;
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// Operation ids are unique: a handler's name, with its tag or else its path where two handlers share one.
fn identify(path: &str, method: &str, operation: &mut Operation, taken: &mut BTreeSet<String>) {
    let name = operation.operation_id.take().unwrap_or_else(|| method.to_owned());
    let tag = operation
        .tags
        .iter()
        .flatten()
        .next()
        .map(|tag| words(tag).chain([name.clone()]).collect::<Vec<_>>().join("_"));
    let by_path = words(path).fold(method.to_owned(), |id, word| format!("{id}_{word}"));
    let id = [Some(name), tag].into_iter().flatten().find(|id| !taken.contains(id)).unwrap_or(by_path);
    taken.insert(id.clone());
    operation.operation_id = Some(id);
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn tag(name: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = TAGS.iter().find(|(known, _)| *known == name).map(|(_, meaning)| (*meaning).to_owned());
    tag
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", item.get.as_mut()),
        ("put", item.put.as_mut()),
        ("post", item.post.as_mut()),
        ("delete", item.delete.as_mut()),
        ("patch", item.patch.as_mut()),
        ("head", item.head.as_mut()),
        ("options", item.options.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.map(|operation| (method, operation)))
}
