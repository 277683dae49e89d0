//! Categories, brands, attributes, products, images.

mod arranging;
mod images;
mod products;

pub(crate) use arranging::{
    a_brand_has_one_name, an_attribute_set_counts_below_its_category, categories_make_a_tree,
    categories_of_a_file_are_known_by_their_id,
};
pub(crate) use images::{an_image_comes_back_as_it_went_in, what_is_no_image_is_refused};
pub(crate) use products::{
    a_product_is_written_and_moved, lists_keep_their_order, products_of_a_file_stand_for_themselves,
    what_a_product_cannot_be_is_named,
};
