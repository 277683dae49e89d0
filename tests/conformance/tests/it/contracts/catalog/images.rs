//! Images' bytes.

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    Permission,
    catalog::{ImageId, ImageView, ProductId, UploadImage, code},
};
use kernel::{Result, Shard, code as general};

use crate::contracts::{
    callers::{nobody, refused, staff, system},
    fixture::Fixture,
    goods::product,
};

/// The first bytes of a PNG, then every byte there is, again and again.
fn png(bytes: usize) -> Vec<u8> {
    b"\x89PNG\r\n\x1a\n".iter().copied().chain((0..=255).cycle()).take(bytes).collect()
}

fn upload(product_id: ProductId, bytes: &[u8]) -> UploadImage {
    UploadImage { product_id, bytes_base64: STANDARD.encode(bytes), alt: "Eine Tasse 茶".to_owned() }
}

fn id_of(image: &ImageView) -> ImageId {
    image.url.strip_prefix("/media/").and_then(|id| id.parse().ok()).expect("an image's address has its id")
}

pub(crate) async fn an_image_comes_back_as_it_went_in(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogWrite]);
    let record = catalog.add_product(&keeper, product("Pictured")).await?;
    let drawn = catalog.media(&nobody(), id_of(&record.images[0])).await?;
    assert!(drawn.placeholder && drawn.content_type.starts_with("image/svg"), "{}", drawn.content_type);
    // Larger than any body that is not ours.
    let bytes = png(3 << 20);
    let image = catalog.upload_image(&keeper, upload(record.id, &bytes)).await?;
    assert_eq!((image.alt.as_str(), image.position), ("Eine Tasse 茶", 1));
    let media = catalog.media(&nobody(), id_of(&image)).await?;
    assert_eq!((media.content_type.as_str(), media.placeholder), ("image/png", false));
    assert!(STANDARD.decode(media.bytes_base64).is_ok_and(|back| back == bytes));
    assert_eq!(catalog.product(&system(), record.id.to_string()).await?.images, [image]);
    Ok(())
}

pub(crate) async fn what_is_no_image_is_refused(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogWrite]);
    let id = catalog.add_product(&keeper, product("Plain")).await?.id;
    let odd = UploadImage { bytes_base64: "%%%".to_owned(), ..upload(id, b"") };
    refused(catalog.upload_image(&keeper, odd).await, general::INVALID, &["/bytes_base64"]);
    for bytes in [b"".as_slice(), b"<svg xmlns='http://www.w3.org/2000/svg'/>"] {
        refused(catalog.upload_image(&keeper, upload(id, bytes)).await, code::IMAGE_REJECTED, &[]);
    }
    let large = upload(id, &png((10 << 20) + 1));
    refused(catalog.upload_image(&keeper, large).await, general::TOO_LARGE, &[]);
    let unknown = upload(ProductId::derive(Shard::new(2), &[b"unknown"]), &png(64));
    refused(catalog.upload_image(&keeper, unknown).await, general::NOT_FOUND, &[]);
    refused(catalog.upload_image(&staff(&[]), upload(id, &png(64))).await, general::FORBIDDEN, &[]);
    let unknown = ImageId::derive(Shard::new(2), &[b"unknown"]);
    refused(catalog.media(&nobody(), unknown).await, general::NOT_FOUND, &[]);
    Ok(())
}
