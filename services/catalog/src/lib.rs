//! Catalog: categories, brands, SPU and SKU, images, publishing
