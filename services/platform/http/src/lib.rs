//! actix glue: problem+json, extractors, identity, limits, deadlines, OpenAPI
