//! Which images stay, come and go.

use std::collections::HashSet;

use contracts::catalog::{Image, ImageId};
use kernel::{Failure, Ids, Result};

use super::Target;
use crate::{
    draft::{Draft, ImageSource},
    store::{
        changes::Changes,
        images::{DRAWN, PENDING, UPLOAD},
        products::ImageRow,
        shard_number,
    },
};

/// Plans the images; a product without one gets a drawn one.
pub(super) fn plan(target: &Target<'_>, draft: &Draft, ids: &Ids, changes: &mut Changes) -> Result<()> {
    let existing = target.before.map_or(&[][..], |rows| &rows.images);
    let mut used = vec![false; existing.len()];
    let mut position = 0;
    let mut put = |found: Option<usize>, src: &str, alt: &str, state: &str, changes: &mut Changes| {
        position += 1;
        match found {
            None => changes.new_images.push(ImageRow {
                shard: shard_number(target.id.shard()),
                id: ids.mint::<Image>(target.id.shard()).uuid(),
                product_id: target.id.uuid(),
                position,
                src: src.to_owned(),
                alt: alt.to_owned(),
                state: state.to_owned(),
                attempts: 0,
                due_at: target.now.micros(),
                content_type: None,
            }),
            Some(at) => {
                used[at] = true;
                let row = ImageRow { position, alt: alt.to_owned(), ..existing[at].clone() };
                if row != existing[at] {
                    changes.images.push(row);
                }
            }
        }
    };
    let (mut named, mut fresh) = (HashSet::new(), HashSet::new());
    for (index, image) in draft.images.iter().enumerate() {
        let found = find_image(existing, &image.source);
        if let Some(at) = found
            && !named.insert(at)
        {
            continue; // the same image twice
        }
        if let (None, ImageSource::Address(src)) = (found, &image.source)
            && !fresh.insert(src.as_str())
        {
            continue;
        }
        match &image.source {
            ImageSource::Address(src) => put(found, src, &image.alt, PENDING, changes),
            ImageSource::Known(_) if found.is_some() => put(found, "", &image.alt, "", changes),
            ImageSource::Known(_) => {
                return Err(Failure::invalid(format!("/images/{index}/src"), "is no image of this product"));
            }
        }
    }
    if target.import.is_some() {
        // A file does not know of uploads: they stay, after its own images.
        let incomplete = target.is_incomplete();
        let stays = |row: &ImageRow| row.src.starts_with(UPLOAD) || (incomplete && row.state != DRAWN);
        for (at, row) in existing.iter().enumerate() {
            if stays(row) && named.insert(at) {
                put(Some(at), "", &row.alt, "", changes);
            }
        }
    }
    if named.is_empty() && changes.new_images.is_empty() {
        put(existing.iter().position(|row| row.state == DRAWN), "", "", DRAWN, changes);
    }
    changes
        .gone_images
        .extend(existing.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row.clone()));
    Ok(())
}

fn find_image(existing: &[ImageRow], source: &ImageSource) -> Option<usize> {
    existing.iter().position(|row| match source {
        ImageSource::Address(src) => row.src == *src,
        ImageSource::Known(id) => ImageId::from_uuid(row.id) == *id,
    })
}
