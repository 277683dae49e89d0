//! Which of the registered [`Routes`] a request belongs to, found by walking its segments once.
//!
//! actix tries its patterns one after the other, and each costs a regular expression: with a hundred patterns in front
//! of it a request spends more time there than in its handler. So each module's routes stand in a scope of their own
//! behind a guard that knows the answer before any pattern is tried.

use std::collections::HashMap;

use actix_web::{
    guard::{Guard, GuardContext},
    http::Method,
};
use utoipa::openapi::{OpenApi, RefOr, path::Operation};

use crate::{caller::IDEMPOTENCY_KEY, routes::operations};

/// The module a request belongs to: its place among the registered routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) usize);

/// Lets through what belongs to one module.
pub(crate) struct BelongsTo(pub(crate) Owner);

impl Guard for BelongsTo {
    fn check(&self, ctx: &GuardContext<'_>) -> bool {
        ctx.req_data().get::<Owner>() == Some(&self.0)
    }
}

/// A tree of segments.
#[derive(Default)]
pub(crate) struct Owners {
    fixed: HashMap<String, Self>,
    variable: Option<Box<Self>>,
    methods: Vec<(Method, Found)>,
}

/// What is known of a documented operation before it is routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) owner: Owner,
    /// Whether it heeds an idempotency key: it documents the header.
    pub(crate) keyed: bool,
}

impl Owners {
    /// Adds the documented operations of a module. The first to declare one owns it, as with actix.
    pub(crate) fn add(&mut self, owner: Owner, document: &OpenApi) {
        for (path, item) in &document.paths.paths {
            // A segment that is only partly variable is left to actix.
            if segments(path).any(|segment| segment.contains(['{', '}']) && !is_variable(segment)) {
                continue;
            }
            let end = segments(path).fold(&mut *self, |node, segment| {
                if is_variable(segment) {
                    &mut **node.variable.get_or_insert_default()
                } else {
                    node.fixed.entry(segment.to_owned()).or_default()
                }
            });
            for (method, operation) in operations(item) {
                if !end.methods.iter().any(|(known, _)| *known == method) {
                    end.methods.push((method, Found { owner, keyed: heeds_key(operation) }));
                }
            }
        }
    }

    /// Whose request this is, and whether it heeds a key; `None` for what is not documented.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Found> {
        let Some(rest) = path.strip_prefix('/') else {
            return self.methods.iter().find(|(known, _)| known == method).map(|(_, found)| *found);
        };
        let (segment, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let fixed = self.fixed.get(segment).and_then(|node| node.find(method, rest));
        // A variable segment is never empty.
        let variable = || self.variable.as_ref().filter(|_| !segment.is_empty())?.find(method, rest);
        fixed.or_else(variable)
    }
}

fn heeds_key(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| {
        matches!(parameter, RefOr::T(parameter) if parameter.name.eq_ignore_ascii_case(IDEMPOTENCY_KEY))
    })
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn is_variable(segment: &str) -> bool {
    segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| !name.contains(['{', '}']))
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::{
        HttpMethod, OpenApiBuilder, Paths,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
    };

    use super::*;

    fn document(paths: &[(HttpMethod, &str)]) -> OpenApi {
        let mut all = Paths::new();
        for (method, path) in paths {
            all.add_path_operation(*path, vec![method.clone()], OperationBuilder::new());
        }
        OpenApiBuilder::new().paths(all).build()
    }

    #[test]
    fn finds_by_method_and_segments_and_prefers_fixed_ones() {
        let mut owners = Owners::default();
        owners.add(
            Owner(0),
            &document(&[
                (HttpMethod::Get, "/p/{id}"),
                (HttpMethod::Get, "/p/{id}/a"),
                (HttpMethod::Get, "/p/x.{ext}"),
            ]),
        );
        owners.add(
            Owner(1),
            &document(&[
                (HttpMethod::Put, "/p/{sku}/stock"),
                (HttpMethod::Get, "/p/mine"),
                (HttpMethod::Get, "/p/{sku}"),
            ]),
        );
        for (method, path, owner) in [
            (Method::GET, "/p/7", Some(0)),
            (Method::GET, "/p/mine", Some(1)),
            (Method::GET, "/p/mine/a", Some(0)),
            (Method::PUT, "/p/7/stock", Some(1)),
            (Method::GET, "/p/7/stock", None),
            (Method::PUT, "/p/7", None),
            (Method::GET, "/p/", None),
            (Method::GET, "/p", None),
            (Method::GET, "/p/7/", None),
            (Method::GET, "", None),
            (Method::GET, "*", None),
        ] {
            assert_eq!(
                owners.find(&method, path).map(|found| found.owner),
                owner.map(Owner),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn knows_which_operations_heed_a_key() {
        let key = ParameterBuilder::new().name(IDEMPOTENCY_KEY).parameter_in(ParameterIn::Header);
        let mut all = Paths::new();
        all.add_path_operation("/o", vec![HttpMethod::Post], OperationBuilder::new().parameter(key));
        all.add_path_operation("/a", vec![HttpMethod::Post], OperationBuilder::new());
        let mut owners = Owners::default();
        owners.add(Owner(0), &OpenApiBuilder::new().paths(all).build());
        assert!(owners.find(&Method::POST, "/o").unwrap().keyed);
        assert!(!owners.find(&Method::POST, "/a").unwrap().keyed);
    }
}
