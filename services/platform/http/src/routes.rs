//! Which methods a path has: for `405`, for `Allow`, and for the label of a request that never came back.

use actix_web::{dev::ResourceDef, http::Method};
use utoipa::openapi::{OpenApi, PathItem, path::Operation};

/// Every documented path with its methods.
#[derive(Default)]
pub(crate) struct RouteTable(Vec<(ResourceDef, Vec<Method>)>);

impl RouteTable {
    pub(crate) fn new(document: &OpenApi) -> Self {
        Self(
            document
                .paths
                .paths
                .iter()
                .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item)))
                .collect(),
        )
    }

    /// Adds a path that the document does not have.
    pub(crate) fn add(&mut self, pattern: &str, methods: &[Method]) {
        self.0.push((ResourceDef::new(pattern), methods.to_vec()));
    }

    /// The value of `Allow` where the path exists: every method of every pattern that matches.
    pub(crate) fn allow(&self, path: &str) -> Option<String> {
        let mut allowed: Vec<&str> = Vec::new();
        for method in
            self.0.iter().filter(|(pattern, _)| pattern.is_match(path)).flat_map(|(_, methods)| methods)
        {
            if !allowed.contains(&method.as_str()) {
                allowed.push(method.as_str());
            }
        }
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        (!allowed.is_empty()).then(|| allowed.join(", "))
    }

    /// The pattern a path falls under.
    pub(crate) fn pattern(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).and_then(|(pattern, _)| pattern.pattern())
    }
}

/// The methods of a documented path, in the order of the OpenAPI specification.
pub(crate) fn methods(item: &PathItem) -> Vec<Method> {
    operations(item).map(|(method, _)| method).collect()
}

/// The operations of a documented path, in the order of the OpenAPI specification.
pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (&item.get, Method::GET),
        (&item.put, Method::PUT),
        (&item.post, Method::POST),
        (&item.delete, Method::DELETE),
        (&item.options, Method::OPTIONS),
        (&item.head, Method::HEAD),
        (&item.patch, Method::PATCH),
        (&item.trace, Method::TRACE),
    ]
    .into_iter()
    .filter_map(|(operation, method)| Some((method, operation.as_ref()?)))
}
