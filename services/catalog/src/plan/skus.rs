//! Which SKUs stay, change, come and retire, and under which codes.

use std::collections::{HashMap, HashSet};

use contracts::catalog::{NamedValue, SkuId, code};
use kernel::{Failure, Ids, Result};

use super::Target;
use crate::{
    draft::{Draft, DraftSku},
    model::option_key,
    naming,
    store::{
        changes::Changes,
        products::{SkuCodeRow, SkuRow, options_of},
        shard_number,
    },
};

/// Which existing SKU each SKU of the draft is: the live one with its option values, else the one with its code, else a
/// retired one with its option values.
fn match_skus(existing: &[SkuRow], wanted: &[DraftSku]) -> Result<Vec<Option<usize>>> {
    let mut keys = Vec::with_capacity(existing.len());
    for row in existing {
        keys.push(option_key(options_of(row)?.iter().map(|option| option.value.as_str())));
    }
    let mut matches: Vec<Option<usize>> = vec![None; wanted.len()];
    let mut used = vec![false; existing.len()];
    let mut pass = |fits: &dyn Fn(usize, &DraftSku, &str) -> bool| {
        for (index, sku) in wanted.iter().enumerate().filter(|_| !existing.is_empty()) {
            if matches[index].is_none() {
                let key = sku.key();
                if let Some(found) = (0..existing.len()).find(|&at| !used[at] && fits(at, sku, &key)) {
                    matches[index] = Some(found);
                    used[found] = true;
                }
            }
        }
    };
    pass(&|at, _, key| !existing[at].retired && keys[at] == key);
    pass(&|at, sku, _| sku.code.as_deref() == Some(existing[at].code.as_str()));
    pass(&|at, _, key| keys[at] == key);
    Ok(matches)
}

/// Plans the SKUs; their ids, in the draft's order. `taken` learns their codes.
pub(super) fn plan(
    target: &Target<'_>,
    draft: &Draft,
    ids: &Ids,
    taken: &mut HashMap<String, SkuId>,
    changes: &mut Changes,
) -> Result<Vec<SkuId>> {
    let existing = target.before.map_or(&[][..], |rows| &rows.skus);
    let matches = match target.sku_ids {
        Some(ids) => ids.iter().map(|id| existing.iter().position(|row| row.id == id.uuid())).collect(),
        None => match_skus(existing, &draft.skus)?,
    };
    let sku_ids: Vec<SkuId> = matches
        .iter()
        .enumerate()
        .map(|(index, found)| match (found, target.sku_ids) {
            (Some(at), _) => SkuId::from_uuid(existing[*at].id),
            (None, Some(given)) => given[index],
            (None, None) => ids.mint(target.id.shard()),
        })
        .collect();
    let codes = plan_codes(target, draft, existing, &matches, &sku_ids, taken)?;
    for (index, sku) in draft.skus.iter().enumerate() {
        let row = SkuRow {
            shard: shard_number(target.id.shard()),
            id: sku_ids[index].uuid(),
            product_id: target.id.uuid(),
            position: i32::try_from(index + 1).unwrap_or(i32::MAX),
            code: codes[index].clone(),
            options: serde_json::to_vec(&sku.options).map_err(Failure::internal)?,
            barcode: sku.barcode.clone(),
            weight_grams: sku.weight_grams,
            retired: false,
        };
        let before = matches[index].map(|at| &existing[at]);
        if before.is_none_or(|before| before.code != row.code) {
            changes.free_codes.extend(before.map(|before| before.code.clone()));
            changes.new_codes.push(SkuCodeRow { code: row.code.clone(), sku_id: row.id });
        }
        match before {
            None => changes.new_skus.push(row),
            Some(before) if *before != row => changes.skus.push(row),
            Some(_) => {}
        }
    }
    plan_unnamed(target, draft, existing, &matches, changes)?;
    for (code, &id) in codes.into_iter().zip(&sku_ids) {
        taken.insert(code, id);
    }
    Ok(sku_ids)
}

/// Live SKUs that the draft does not name retire, or stay after the others.
fn plan_unnamed(
    target: &Target<'_>,
    draft: &Draft,
    existing: &[SkuRow],
    matches: &[Option<usize>],
    changes: &mut Changes,
) -> Result<()> {
    let named: HashSet<usize> = matches.iter().flatten().copied().collect();
    let unnamed = existing.iter().enumerate().filter(|(at, row)| !named.contains(at) && !row.retired);
    for ((_, before), position) in unnamed.zip(draft.skus.len() + 1..) {
        let row = if target.is_incomplete() {
            SkuRow {
                position: i32::try_from(position).unwrap_or(i32::MAX),
                options: renamed(before, &draft.details.options)?,
                ..before.clone()
            }
        } else {
            SkuRow { retired: true, ..before.clone() }
        };
        if row != *before {
            changes.skus.push(row);
        }
    }
    Ok(())
}

/// A SKU's options under these names. Values for other options than it has nobody knows.
fn renamed(row: &SkuRow, names: &[String]) -> Result<Vec<u8>> {
    let options = options_of(row)?;
    if options.len() != names.len() {
        let detail = "are not those that the product has, and some of its rows are wrong";
        return Err(Failure::invalid("/options", detail));
    }
    let options: Vec<NamedValue> =
        names.iter().zip(options).map(|(name, it)| NamedValue { name: name.clone(), ..it }).collect();
    serde_json::to_vec(&options).map_err(Failure::internal)
}

/// The code of each SKU: the one given, the one it has, or one made of handle and option values.
fn plan_codes(
    target: &Target<'_>,
    draft: &Draft,
    existing: &[SkuRow],
    matches: &[Option<usize>],
    sku_ids: &[SkuId],
    taken: &HashMap<String, SkuId>,
) -> Result<Vec<String>> {
    let staying: HashSet<SkuId> = sku_ids.iter().copied().collect();
    let own: HashSet<SkuId> = existing.iter().map(|row| SkuId::from_uuid(row.id)).collect();
    // Somebody else's: another product's, or that of a SKU which retires and keeps it. Among those that stay, codes may move.
    let foreign =
        |code: &str| taken.get(code).is_some_and(|owner| !own.contains(owner) || !staying.contains(owner));
    let mut mine: HashSet<&str> = draft.skus.iter().filter_map(|sku| sku.code.as_deref()).collect();
    for (index, code) in
        draft.skus.iter().enumerate().filter_map(|(index, sku)| Some((index, sku.code.as_deref()?)))
    {
        if foreign(code) {
            let failure =
                Failure::new(code::SKU_CODE_TAKEN).detail(format!("another SKU has the code {code}"));
            return Err(failure.field(format!("/skus/{index}/code"), "another SKU has this code"));
        }
    }
    let mut codes: Vec<Option<String>> = draft.skus.iter().map(|sku| sku.code.clone()).collect();
    for (index, found) in matches.iter().enumerate() {
        if let (None, Some(at)) = (&codes[index], found)
            && mine.insert(&existing[*at].code)
        {
            codes[index] = Some(existing[*at].code.clone());
        }
    }
    let mut mine: HashSet<String> = mine.into_iter().map(str::to_owned).collect();
    for (index, sku) in draft.skus.iter().enumerate() {
        if codes[index].is_none() {
            let values = sku.values();
            let last = format!("SKU-{}", sku_ids[index].uuid().simple()).to_uppercase();
            let made = [
                naming::sku_code(&target.slug, &values),
                naming::sku_code_marked(&target.slug, &values),
                last,
            ]
            .into_iter()
            .find(|code| !taken.contains_key(code) && !mine.contains(code))
            .unwrap_or_default();
            mine.insert(made.clone());
            codes[index] = Some(made);
        }
    }
    Ok(codes.into_iter().flatten().collect())
}
