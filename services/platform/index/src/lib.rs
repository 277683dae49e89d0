//! Full-text index over products: tantivy, Chinese and English
