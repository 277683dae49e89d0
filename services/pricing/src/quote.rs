//! Prices lines for a destination and signs the result.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use contracts::{
    Ctx,
    catalog::{DEFAULT_CURRENCY, SkuId, SkuInfo},
    pricing::{LineInput, MAX_LINES, MAX_QUANTITY, QuotePromise, QuoteRequest, QuoteView, code},
};
use kernel::{Currency, Failure, Result, Timestamp};

use crate::{
    compute::{Computed, Item, compute},
    market::Market,
    model::SkuPrices,
    seal,
    service::PricingService,
};

impl PricingService {
    pub(crate) async fn quote_for(&self, ctx: &Ctx, request: QuoteRequest) -> Result<QuoteView> {
        let lines = merged(&request.lines)?;
        let skus: Vec<SkuId> = lines.iter().map(|(_, line)| line.sku_id).collect();
        let (infos, known) = futures::try_join!(self.catalog.skus(ctx, skus.clone()), self.known(&skus))?;
        let now = self.db.now();
        let mut infos: HashMap<SkuId, SkuInfo> = infos.into_iter().map(|info| (info.sku.id, info)).collect();
        all_sold(&lines, &infos)?;
        let currency = common_currency(&lines, &known, now)?;
        let market =
            Market::of(&self.config.markets, request.destination.as_ref(), &self.config.default_market)
                .ok_or_else(|| Failure::internal("there is no market *"))?;
        let shipping = market.shipping(currency).ok_or_else(|| {
            Failure::new(code::NO_PRICE).detail(format!(
                "no shipping rate to {} in {} is set",
                market.name(),
                currency.code()
            ))
        })?;
        let mut items = Vec::with_capacity(lines.len());
        for (named, line) in &lines {
            let price = known.get(&line.sku_id).and_then(|prices| prices.view(line.sku_id, currency, now));
            let (Some(info), Some(price)) = (infos.remove(&line.sku_id), price) else {
                return Err(no_price([*named]));
            };
            items.push(Item { quantity: line.quantity, info, price });
        }
        let computed = compute(items, currency, &market, shipping)?;
        self.signed(computed, request, market.code, now)
    }

    fn signed(
        &self,
        computed: Computed,
        request: QuoteRequest,
        market: &str,
        now: Timestamp,
    ) -> Result<QuoteView> {
        let expires_at = now.plus(self.config.quote_life);
        let promise = QuotePromise {
            lines: computed.lines.iter().map(|line| (line.sku_id, line.quantity, line.unit_price)).collect(),
            total: computed.totals.total,
            destination: request.destination,
            expires_at,
        };
        Ok(QuoteView {
            quote: seal::sign(&self.key, &promise)?,
            lines: computed.lines,
            totals: computed.totals,
            explanation: computed.explanation,
            market: market.to_owned(),
            expires_at,
        })
    }
}

/// The lines added up by SKU in order of first mention, each with the index of its first mention.
fn merged(lines: &[LineInput]) -> Result<Vec<(usize, LineInput)>> {
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err(Failure::invalid("/lines", format!("expected 1 to {MAX_LINES} lines")));
    }
    let mut merged: Vec<(usize, LineInput)> = Vec::with_capacity(lines.len());
    let mut seen: HashMap<SkuId, usize> = HashMap::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let field = || format!("/lines/{index}/quantity");
        if !(1..=MAX_QUANTITY).contains(&line.quantity) {
            return Err(Failure::invalid(field(), format!("must lie between 1 and {MAX_QUANTITY}")));
        }
        let Some(&known) = seen.get(&line.sku_id) else {
            seen.insert(line.sku_id, merged.len());
            merged.push((index, *line));
            continue;
        };
        let sum = merged[known].1.quantity + line.quantity;
        if sum > MAX_QUANTITY {
            return Err(Failure::invalid(
                field(),
                format!("the lines of this SKU come to {sum}, more than {MAX_QUANTITY}"),
            ));
        }
        merged[known].1.quantity = sum;
    }
    Ok(merged)
}

fn all_sold(lines: &[(usize, LineInput)], infos: &HashMap<SkuId, SkuInfo>) -> Result<()> {
    let mut failure = None;
    for (named, line) in lines {
        let detail = match infos.get(&line.sku_id) {
            Some(info) if info.sold => continue,
            Some(info) => format!("{} is not sold at present", info.title),
            None => "there is no such SKU".to_owned(),
        };
        let so_far = failure.unwrap_or_else(|| Failure::new(code::NOT_SOLD).detail(detail.clone()));
        failure = Some(so_far.field(format!("/lines/{named}"), detail));
    }
    failure.map_or(Ok(()), Err)
}

fn no_price(lines: impl IntoIterator<Item = usize>) -> Failure {
    let failure = Failure::new(code::NO_PRICE);
    lines.into_iter().fold(failure, |failure, line| failure.field(format!("/lines/{line}"), "has no price"))
}

/// The currency that all lines are sold in: the shop's default one where possible, else the first common one.
fn common_currency(
    lines: &[(usize, LineInput)],
    known: &HashMap<SkuId, Arc<SkuPrices>>,
    now: Timestamp,
) -> Result<Currency> {
    let sold_in: Vec<BTreeSet<&'static str>> = lines
        .iter()
        .map(|(_, line)| known.get(&line.sku_id).map(|prices| prices.currencies(now)).unwrap_or_default())
        .collect();
    let unpriced: Vec<usize> = lines
        .iter()
        .zip(&sold_in)
        .filter(|(_, currencies)| currencies.is_empty())
        .map(|((named, _), _)| *named)
        .collect();
    if !unpriced.is_empty() {
        return Err(no_price(unpriced));
    }
    let mut common = sold_in[0].clone();
    common.retain(|code| sold_in.iter().all(|currencies| currencies.contains(code)));
    if common.contains(DEFAULT_CURRENCY.code()) {
        return Ok(DEFAULT_CURRENCY);
    }
    if let Some(currency) = common.into_iter().find_map(Currency::from_code) {
        return Ok(currency);
    }
    let mut failure = Failure::new(code::MIXED_CURRENCIES);
    for ((named, _), currencies) in lines.iter().zip(&sold_in) {
        let codes: Vec<&str> = currencies.iter().copied().collect();
        failure = failure.field(format!("/lines/{named}"), format!("is sold in {}", codes.join(", ")));
    }
    Err(failure)
}
