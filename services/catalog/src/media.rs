//! Images' bytes: stored, uploaded, or drawn.

use std::{path::Path as FilePath, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use contracts::{
    Ctx, Permission,
    catalog::{CategoryId, Image, ImageId, ImageView, Media, ProductChanged, ProductId, UploadImage, code},
};
use kernel::{Failure, Result, normalise};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path};
use platform_db::{Rows, Tx};
use sha2::{Digest, Sha256};

use crate::{
    placeholder,
    service::CatalogService,
    store::{
        changes::Changes,
        images::{self, DRAWN, STORED, UPLOAD},
        products::{self, ImageRow, ProductRow, view},
        shard_number,
    },
};

/// Where images are kept. A file is named by its image's id and never changes.
#[derive(Clone, Debug)]
pub struct MediaStore(Arc<dyn ObjectStore>);

impl MediaStore {
    /// The folder `media` under the data folder; made where it is missing.
    pub fn open(data: &FilePath) -> Result<Self> {
        let folder = data.join("media");
        std::fs::create_dir_all(&folder).map_err(Failure::internal)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(Failure::internal)?;
        Ok(Self(Arc::new(store.with_fsync(true))))
    }

    pub(crate) async fn put(&self, id: ImageId, bytes: Bytes) -> Result<()> {
        self.0.put(&path(id), bytes.into()).await.map_err(Failure::internal).map(|_| ())
    }

    /// The file; none where it is missing.
    pub(crate) async fn get(&self, id: ImageId) -> Result<Option<Bytes>> {
        match self.0.get(&path(id)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(Failure::internal),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Failure::internal(error)),
        }
    }

    /// Removes a file, if it is there.
    pub(crate) async fn remove(&self, id: ImageId) {
        if let Err(error) = self.0.delete(&path(id)).await
            && !matches!(error, object_store::Error::NotFound { .. })
        {
            tracing::warn!(image.id = %id, %error, "the file of a removed image stays behind");
        }
    }
}

/// Folders by the last byte before the shard, which is random: 256 of them, evenly filled.
fn path(id: ImageId) -> Path {
    let name = id.to_string();
    Path::from(format!("{:02x}/{name}", id.uuid().as_bytes()[12]))
}

/// The content type that the first bytes show; only what every browser draws and no browser runs.
pub(crate) fn content_type(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes.get(4..12).filter(|head| head.starts_with(b"ftyp"));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some("image/gif")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
        Some("image/webp")
    } else if brand.is_some_and(|head| head.ends_with(b"avif") || head.ends_with(b"avis")) {
        Some("image/avif")
    } else {
        None
    }
}

/// What is sent for an image.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
    /// Drawn, because there is no file (yet).
    pub(crate) placeholder: bool,
}

impl CatalogService {
    /// The bytes of an image, or the drawing that stands in.
    pub(crate) async fn picture(&self, id: ImageId) -> Result<Arc<Picture>> {
        let missing = || Failure::not_found("image");
        if let Some(drawn) = self.pictures.get_or_load(&id, || self.draw(id)).await? {
            return Ok(drawn);
        }
        // Not drawn: there is a file, or no such image.
        let shown = images::shown(self.db.read(), id).await?.ok_or_else(missing)?;
        let content_type = shown.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        let bytes = self.media.get(id).await?.ok_or_else(missing)?;
        Ok(Arc::new(Picture { content_type, bytes, placeholder: false }))
    }

    /// The drawing for an image without a file; none for one that has it, which is not kept in memory.
    async fn draw(&self, id: ImageId) -> Result<Option<Arc<Picture>>> {
        let Some(shown) = images::shown(self.db.read(), id).await? else { return Ok(None) };
        if shown.state == STORED {
            return Ok(None);
        }
        let trail = self.category_tree().await?.trail(shown.category_id.map(CategoryId::from_uuid));
        let categories: Vec<&str> = trail.iter().map(|category| category.name.as_str()).collect();
        let svg = placeholder::draw(&shown.title, &categories, &shown.product().to_string(), shown.position);
        Ok(Some(Arc::new(Picture {
            content_type: "image/svg+xml".to_owned(),
            bytes: svg.into(),
            placeholder: true,
        })))
    }

    pub(crate) async fn media_encoded(&self, id: ImageId) -> Result<Media> {
        let picture = self.picture(id).await?;
        Ok(Media {
            content_type: picture.content_type.clone(),
            bytes_base64: STANDARD.encode(&picture.bytes),
            placeholder: picture.placeholder,
        })
    }

    /// Removes the files of images that are gone.
    pub(crate) async fn drop_files(&self, gone: &[ImageRow]) {
        for row in gone {
            let id = ImageId::from_uuid(row.id);
            self.pictures.invalidate(&id).await;
            if row.state == STORED {
                self.media.remove(id).await;
            }
        }
    }

    pub(crate) async fn upload_encoded(&self, ctx: &Ctx, upload: UploadImage) -> Result<ImageView> {
        ctx.require(Permission::CatalogWrite)?;
        let bytes = STANDARD.decode(upload.bytes_base64).map_err(|_| {
            Failure::invalid("/bytes_base64", "must be base64 (RFC 4648, section 4, with padding)")
        })?;
        self.upload(ctx, upload.product_id, bytes.into(), &upload.alt).await
    }

    /// Adds an uploaded image after the others.
    pub(crate) async fn upload(
        &self,
        ctx: &Ctx,
        product: ProductId,
        bytes: Bytes,
        alt: &str,
    ) -> Result<ImageView> {
        ctx.require(Permission::CatalogWrite)?;
        if self.one(product).await?.is_none() {
            return Err(Failure::not_found("product"));
        }
        let most = self.config.images.max_bytes;
        if bytes.len() > most {
            return Err(
                Failure::new(kernel::code::TOO_LARGE).detail(format!("an image has at most {most} bytes"))
            );
        }
        let content_type = content_type(&bytes).ok_or_else(|| {
            Failure::new(code::IMAGE_REJECTED).detail("the file is no PNG, JPEG, WebP, GIF or AVIF image")
        })?;
        let alt = normalise(alt);
        if alt.chars().count() > 500 {
            return Err(Failure::invalid("alt", "must have at most 500 characters"));
        }
        let id = self.db.ids().mint::<Image>(product.shard());
        let upload = Upload { id, product, alt, content_type, hash: hex::encode(Sha256::digest(&bytes)) };
        // The file first: a row never points at a file that is not there.
        self.media.put(id, bytes).await?;
        match self.db.write(product.shard(), upload, |tx, upload| Box::pin(add(tx, upload))).await {
            Ok((view, gone)) => {
                self.forget(&[product], []).await;
                self.drop_files(&gone).await;
                Ok(view)
            }
            Err(failure) => {
                // Whether its row was written may be unknown: a file without a row harms nobody.
                let absent = matches!(images::shown(self.db.read(), id).await, Ok(None));
                if absent && !failure.is(kernel::code::UNAVAILABLE) {
                    self.media.remove(id).await;
                }
                Err(failure)
            }
        }
    }
}

struct Upload {
    id: ImageId,
    product: ProductId,
    alt: String,
    content_type: &'static str,
    hash: String,
}

/// The image as it is shown, and the drawn one whose place it takes.
async fn add(tx: &Tx, upload: &Upload) -> Result<(ImageView, Vec<ImageRow>)> {
    let rows = products::load(tx, &[upload.product]).await?.remove(&upload.product);
    let rows = rows.ok_or_else(|| Failure::not_found("product"))?;
    // Its commit was not heard of, and this is the second try.
    if let Some(row) = rows.images.iter().find(|row| row.id == upload.id.uuid()) {
        return Ok((view(row.clone(), &rows.product.title), Vec::new()));
    }
    if rows.images.len() >= 250 {
        return Err(Failure::new(code::IMAGE_REJECTED).detail("a product has at most 250 images"));
    }
    let (drawn, shown): (Vec<ImageRow>, Vec<ImageRow>) =
        rows.images.into_iter().partition(|row| row.state == DRAWN);
    let row = ImageRow {
        shard: shard_number(upload.product.shard()),
        id: upload.id.uuid(),
        product_id: upload.product.uuid(),
        position: shown.last().map_or(1, |last| last.position + 1),
        src: format!("{UPLOAD}{}", upload.hash),
        alt: upload.alt.clone(),
        state: STORED.to_owned(),
        attempts: 0,
        due_at: tx.now().micros(),
        content_type: Some(upload.content_type.to_owned()),
    };
    Rows::new().row(row.clone()).insert(tx).await?;
    let product =
        ProductRow { version: rows.product.version + 1, updated_at: tx.now().micros(), ..rows.product };
    let (version, title) = (product.version, product.title.clone());
    Changes { products: vec![product], gone_images: drawn.clone(), ..Changes::default() }.apply(tx).await?;
    tx.publish(&ProductChanged { product_id: upload.product, version }).await?;
    Ok((view(row, &title), drawn))
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn believes_bytes_and_not_names() {
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(content_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(content_type(b"GIF89a.."), Some("image/gif"));
        assert_eq!(content_type(b"RIFF\x10\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(content_type(b"\0\0\0\x20ftypavif\0\0\0\0"), Some("image/avif"));
        for other in [
            &b"<svg xmlns="[..],
            b"<?xml",
            b"<html>",
            b"%PDF",
            b"",
            b"RIFF\0\0\0\0WAVE",
            b"\0\0\0\x20ftypmp42",
        ] {
            assert_eq!(content_type(other), None);
        }
    }
}
