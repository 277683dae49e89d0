use std::collections::BTreeSet;

use super::*;

fn document() -> Value {
    serde_json::to_value(openapi(&[routes()])).unwrap()
}

fn operations(document: &Value) -> Vec<&Value> {
    let paths = document["paths"].as_object().unwrap();
    paths.values().flat_map(|item| item.as_object().unwrap().values()).collect()
}

#[test]
fn is_3_1_with_bearer_tokens_and_described_tags() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for tag in document["tags"].as_array().unwrap() {
        assert!(tag["description"].is_string(), "{tag}");
    }
}

#[test]
fn every_operation_has_every_error_and_an_id_of_its_own() {
    let document = document();
    let operations = operations(&document);
    assert_eq!(operations.len(), 6);
    let ids: BTreeSet<&str> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    for operation in operations {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["$ref"].is_string() || answer["description"].is_string(), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 429, 500, 503, 504] {
            let reference = operation["responses"][status.to_string()]["$ref"].as_str().unwrap();
            let name = reference.strip_prefix("#/components/responses/").unwrap();
            let content = &document["components"]["responses"][name]["content"]["application/problem+json"];
            assert_eq!(content["schema"]["$ref"], "#/components/schemas/Problem");
        }
    }
    assert!(document["components"]["schemas"]["Problem"].is_object());
    assert!(document["components"]["schemas"]["FieldError"].is_object());
}

#[test]
fn segments_of_the_path_and_our_headers_are_declared() {
    let document = document();
    let segment = &document["paths"]["/api/v1/products/{id}"]["get"]["parameters"][0];
    assert_eq!(
        (segment["name"].as_str(), segment["in"].as_str(), segment["required"].as_bool()),
        (Some("id"), Some("path"), Some(true))
    );
    let header = &document["paths"]["/api/v1/baskets"]["post"]["parameters"][0];
    assert_eq!(header["name"], "Idempotency-Key");
    assert_eq!(header["schema"]["maxLength"], 200);
}

#[test]
fn two_handlers_of_one_name_get_two_ids() {
    mod more {
        use actix_web::get;

        use crate::{Answer, no_content};

        /// Also says who calls.
        #[utoipa::path(tag = "accounts", responses((status = 204)))]
        #[get("/api/v2/me")]
        pub(super) async fn me() -> Answer {
            Ok(no_content())
        }
    }
    let again: Routes = Arc::new(|cfg| {
        cfg.service(more::me);
    });
    let document = serde_json::to_value(openapi(&[routes(), again])).unwrap();
    let ids: BTreeSet<&str> =
        operations(&document).iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 7);
}

#[test]
fn a_flattened_type_and_what_is_around_it_are_one_object() {
    #[derive(Serialize, ToSchema)]
    struct Kept {
        id: u32,
        #[serde(flatten)]
        item: Item,
    }

    /// An item that was kept.
    #[utoipa::path(tag = "baskets", responses((status = 200, body = kernel::Page<Kept>)))]
    #[get("/api/v1/kept")]
    async fn kept() -> Answer {
        let items = vec![Kept { id: 1, item: Item { sku: "a".to_owned(), quantity: 1 } }];
        Ok(ok(kernel::Page { items, next_cursor: None }))
    }
    let routes: Routes = Arc::new(|cfg| {
        cfg.service(kept);
    });
    let document = serde_json::to_value(openapi(&[routes])).unwrap();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Item"]["additionalProperties"], false);
    let listed = &schemas["Page_Kept"]["properties"]["items"]["items"];
    let shape = if listed["$ref"].is_string() { &schemas["Kept"] } else { listed };
    let names: BTreeSet<&str> = shape["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["id", "quantity", "sku"]));
    assert!(shape["additionalProperties"].is_null(), "{shape}");
}

#[actix_web::test]
async fn the_document_and_its_pages_are_served_from_here_alone() {
    let shop = Shop::new();
    let reply = shop.get("/api/openapi.json").await;
    assert_eq!(reply.json()["openapi"], "3.1.0");
    assert!(reply.headers.contains_key("etag"));
    assert_eq!(shop.get("/api/docs").await.headers["location"], "/api/docs/");
    let page = shop.get("/api/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-security-policy"].contains("script-src 'self'"));
    assert!(page.headers["content-type"].starts_with("text/html"));
    let text = if page.headers.contains_key("content-encoding") { String::new() } else { page.text() };
    assert!(!text.contains("https://") && !text.contains("<script>"), "{text}");
    let script = shop.get("/api/docs/swagger-initializer.js").await;
    assert_eq!(script.status, 200);
    assert!(script.text().contains("/api/openapi.json"), "{}", script.text());
    assert_eq!(shop.get("/api/docs/nothing.js").await.problem(404), "request.not_found");
}
