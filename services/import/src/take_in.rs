//! Takes a batch in: products to the catalog, prices to pricing, stock to inventory, and then a note to the catalog that all of
//! it is in. Each step may run again and changes nothing then, so a batch that broke off is simply taken in once more; what
//! has its note, and the file says the same, is left alone: prices that staff have set since stay.

use contracts::{
    Ctx,
    catalog::{FileProduct, ImportCounts, ImportedCategory, ImportedProductResult, SkuId},
    import::ImportError,
    intake::{Digest, digest},
    inventory::InitialStock,
    pricing::{PriceKind, SetPrice},
};
use kernel::Result;

use crate::{
    columns::{Columns, Field},
    product::{Offer, Parsed},
    service::ImportService,
};

/// Prices or stocks in one call.
const MOST: usize = 1_000;

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) counts: ImportCounts,
    pub(crate) errors: Vec<ImportError>,
}

impl ImportService {
    pub(crate) async fn take_in_products(
        &self,
        ctx: &Ctx,
        columns: &Columns,
        batch: Vec<Parsed>,
    ) -> Result<Taken> {
        let mut taken = Taken::default();
        if batch.is_empty() {
            return Ok(taken);
        }
        let mut rest = Vec::with_capacity(batch.len());
        let mut products = Vec::with_capacity(batch.len());
        for Parsed { line, handle, product, offers } in batch {
            products.push(FileProduct { beside: Some(beside(&offers)?), ..product });
            rest.push((line, handle, offers));
        }
        let results = self.catalog.import_file_products(ctx, products).await?;
        let mut offers: Vec<(SkuId, Offer)> = Vec::new();
        let mut settle = Vec::new();
        for ((line, handle, own), result) in rest.into_iter().zip(results) {
            let ImportedProductResult { product_id, sku_ids, counts, error, unsettled } = result;
            taken.counts.created += counts.created;
            taken.counts.updated += counts.updated;
            taken.counts.unchanged += counts.unchanged;
            if product_id.is_none() {
                let reason = error.as_deref().unwrap_or("is refused");
                taken.errors.push(blame(line, handle, &own, reason, columns));
            }
            if let Some(it) = unsettled {
                settle.push(it);
                offers.extend(sku_ids.into_iter().zip(own));
            }
        }
        self.set_offers(ctx, &offers).await?;
        if !settle.is_empty() {
            self.catalog.settle_imported(ctx, settle).await?;
        }
        Ok(taken)
    }

    async fn set_offers(&self, ctx: &Ctx, offers: &[(SkuId, Offer)]) -> Result<()> {
        let prices: Vec<SetPrice> = offers.iter().map(|(sku_id, offer)| set_price(*sku_id, *offer)).collect();
        for some in prices.chunks(MOST) {
            self.pricing.set_prices(ctx, some.to_vec()).await?;
        }
        let stock =
            offers.iter().map(|(sku_id, offer)| InitialStock { sku_id: *sku_id, quantity: offer.quantity });
        for some in stock.collect::<Vec<_>>().chunks(MOST) {
            self.inventory.set_initial(ctx, some.to_vec()).await?;
        }
        Ok(())
    }

    pub(crate) async fn take_in_categories(&self, ctx: &Ctx, batch: Vec<ImportedCategory>) -> Result<Taken> {
        let counts = if batch.is_empty() {
            ImportCounts::default()
        } else {
            self.catalog.import_categories(ctx, batch).await?
        };
        Ok(Taken { counts, errors: Vec::new() })
    }
}

/// What a file says of a product's prices; the first stock is set once and does not count.
fn beside(offers: &[Offer]) -> Result<Digest> {
    digest(&offers.iter().map(|offer| (offer.price, offer.compare_at)).collect::<Vec<_>>())
}

fn set_price(sku_id: SkuId, offer: Offer) -> SetPrice {
    SetPrice {
        sku_id,
        kind: PriceKind::List,
        price: offer.price,
        compare_at: offer.compare_at,
        starts_at: None,
        ends_at: None,
    }
}

/// The row and column that a refusal is about: `/skus/2/code is taken` is the row of the third variant.
fn blame(line: u64, handle: String, offers: &[Offer], reason: &str, columns: &Columns) -> ImportError {
    let (pointer, detail) =
        reason.split_once(' ').filter(|(first, _)| first.starts_with('/')).unwrap_or(("", reason));
    let mut segments = pointer.split('/').skip(1);
    let (field, index) =
        (segments.next().unwrap_or(""), segments.next().and_then(|text| text.parse::<usize>().ok()));
    let column = match (field, segments.next()) {
        ("title", _) => Some(Field::Title),
        ("slug", _) => Some(Field::Handle),
        ("description", _) => Some(Field::Body),
        ("brand", _) => Some(Field::Vendor),
        ("category", _) => Some(Field::Type),
        ("tags", _) => Some(Field::Tags),
        ("images", _) => Some(Field::ImageSrc),
        ("options", _) => Some(Field::OptionName(u8::try_from(index.unwrap_or(0)).unwrap_or(0))),
        ("skus", Some("code")) => Some(Field::Sku),
        ("skus", Some("options")) => Some(Field::OptionValue(0)),
        _ => None,
    };
    let line = if field == "skus" {
        index.and_then(|at| offers.get(at)).map_or(line, |offer| offer.line)
    } else {
        line
    };
    let column = column.and_then(|field| columns.name(field));
    ImportError { line, key: handle, column, reason: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use kernel::{Currency, Money};

    use super::*;

    #[test]
    fn a_refusal_is_laid_at_the_right_row_and_column() {
        let header = "Handle,Title,Variant SKU,Variant Price";
        let columns =
            Columns::read(&header.split(',').map(|name| name.into()).collect::<Vec<Vec<u8>>>()).unwrap();
        let offer = |line| Offer { line, price: Money::zero(Currency::USD), compare_at: None, quantity: 0 };
        let blame = |reason| blame(5, "lamp".to_owned(), &[offer(5), offer(9)], reason, &columns);
        let error = blame("/skus/1/code another SKU has this code");
        assert_eq!((error.line, error.column.as_deref()), (9, Some("Variant SKU")));
        assert_eq!(error.reason, "another SKU has this code");
        let error = blame("/title is too long");
        assert_eq!((error.line, error.column.as_deref()), (5, Some("Title")));
        let error = blame("was changed at the same time");
        assert_eq!(
            (error.line, error.column, error.reason.as_str()),
            (5, None, "was changed at the same time")
        );
    }
}
