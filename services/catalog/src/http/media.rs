//! Images as files.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
    },
    web::Data,
};
use contracts::catalog::ImageId;
use platform_http::{Answer, PathOf};
use sha2::{Digest, Sha256};

use crate::{media::Picture, service::CatalogService};

/// An image of a product; a drawing stands in where there is no file (yet).
#[utoipa::path(
    tag = "catalog",
    params(("image_id" = inline(ImageId), Path)),
    responses((status = 200, content_type = "image/*", body = Vec<u8>), (status = 304))
)]
#[get("/media/{image_id}")]
pub(crate) async fn show(
    req: HttpRequest,
    PathOf(id): PathOf<ImageId>,
    catalog: Data<CatalogService>,
) -> Answer {
    let picture = catalog.picture(id).await?;
    // A file never changes under its id; a drawing gives way to the file. Both are told apart by their tag.
    let etag = if picture.placeholder {
        format!("\"{}\"", hex::encode(&Sha256::digest(&picture.bytes)[..8]))
    } else {
        format!("\"{id}\"")
    };
    let sent = req.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or("");
    if sent.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        return Ok(head(&mut HttpResponse::NotModified(), &picture, &etag).finish());
    }
    let mut answer = HttpResponse::Ok();
    head(&mut answer, &picture, &etag).insert_header((CONTENT_TYPE, picture.content_type.clone()));
    Ok(answer.body(picture.bytes.clone()))
}

fn head<'a>(
    answer: &'a mut actix_web::HttpResponseBuilder,
    picture: &Picture,
    etag: &str,
) -> &'a mut actix_web::HttpResponseBuilder {
    let keep = if picture.placeholder { "public, max-age=60" } else { "public, max-age=31536000, immutable" };
    answer
        .insert_header((ETAG, etag.to_owned()))
        .insert_header((CACHE_CONTROL, keep))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Opened on its own, an SVG is a document: it may draw and style itself, and nothing else.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"))
}
