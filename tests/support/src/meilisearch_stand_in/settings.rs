//! Settings of an index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::routes::ApiError;

const RULES: [&str; 6] = ["words", "typo", "proximity", "attribute", "sort", "exactness"];

/// The settings this server knows; a change leaves out what it does not change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Settings {
    pub(crate) displayed_attributes: Option<Vec<String>>,
    pub(crate) searchable_attributes: Option<Vec<String>>,
    pub(crate) filterable_attributes: Option<Vec<String>>,
    pub(crate) sortable_attributes: Option<Vec<String>>,
    pub(crate) ranking_rules: Option<Vec<String>>,
    pub(crate) stop_words: Option<Vec<String>>,
    pub(crate) typo_tolerance: Option<TypoTolerance>,
    pub(crate) faceting: Option<Faceting>,
    pub(crate) pagination: Option<Pagination>,
    pub(crate) localized_attributes: Option<Vec<Localized>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TypoTolerance {
    pub(crate) enabled: bool,
    pub(crate) min_word_size_for_typos: MinWordSize,
    pub(crate) disable_on_words: Vec<String>,
    pub(crate) disable_on_attributes: Vec<String>,
    pub(crate) disable_on_numbers: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MinWordSize {
    pub(crate) one_typo: usize,
    pub(crate) two_typos: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Faceting {
    pub(crate) max_values_per_facet: usize,
    pub(crate) sort_facet_values_by: BTreeMap<String, FacetOrder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FacetOrder {
    Alpha,
    Count,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Pagination {
    pub(crate) max_total_hits: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Localized {
    locales: Vec<String>,
    attribute_patterns: Vec<String>,
}

impl Default for TypoTolerance {
    fn default() -> Self {
        Self {
            enabled: true,
            min_word_size_for_typos: MinWordSize::default(),
            disable_on_words: Vec::new(),
            disable_on_attributes: Vec::new(),
            disable_on_numbers: false,
        }
    }
}

impl Default for MinWordSize {
    fn default() -> Self {
        Self { one_typo: 5, two_typos: 9 }
    }
}

impl Default for Faceting {
    fn default() -> Self {
        let by = BTreeMap::from([("*".to_owned(), FacetOrder::Alpha)]);
        Self { max_values_per_facet: 100, sort_facet_values_by: by }
    }
}

impl Default for Pagination {
    fn default() -> Self {
        Self { max_total_hits: 1_000 }
    }
}

impl Settings {
    /// What a new index has.
    pub(crate) fn defaults() -> Self {
        Self {
            displayed_attributes: Some(vec!["*".to_owned()]),
            searchable_attributes: Some(vec!["*".to_owned()]),
            filterable_attributes: Some(Vec::new()),
            sortable_attributes: Some(Vec::new()),
            ranking_rules: Some(RULES.map(str::to_owned).to_vec()),
            stop_words: Some(Vec::new()),
            typo_tolerance: Some(TypoTolerance::default()),
            faceting: Some(Faceting::default()),
            pagination: Some(Pagination::default()),
            localized_attributes: None,
        }
    }

    /// Reads a change.
    pub(crate) fn read(body: Value) -> Result<Self, ApiError> {
        let settings: Self = serde_json::from_value(body).map_err(|error| {
            let text = error.to_string();
            let code = if text.contains("unknown field") { "bad_request" } else { "invalid_settings" };
            ApiError::new(code, text)
        })?;
        for rule in settings.ranking_rules.iter().flatten() {
            let custom = rule.ends_with(":asc") || rule.ends_with(":desc");
            if !custom && !RULES.contains(&rule.as_str()) {
                let text = format!(
                    "`{rule}` ranking rule is invalid. Valid ranking rules are words, typo, sort, proximity, \
                     attribute, exactness and custom ranking rules."
                );
                return Err(ApiError::new("invalid_settings_ranking_rules", text));
            }
        }
        if let Some(typos) = &settings.typo_tolerance {
            let MinWordSize { one_typo, two_typos } = &typos.min_word_size_for_typos;
            if one_typo > two_typos || *two_typos > 255 {
                let text = "`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be between `0` \
                     and `255`, and `twoTypos` should be greater or equals to `oneTypo`";
                return Err(ApiError::new("invalid_settings_typo_tolerance", text));
            }
        }
        for locale in settings.localized_attributes.iter().flatten().flat_map(|rule| &rule.locales) {
            if !["eng", "zho", "cmn", "jpn", "kor", "deu", "en", "zh", "ja", "ko", "de"]
                .contains(&locale.as_str())
            {
                return Err(ApiError::new(
                    "invalid_settings_localized_attributes",
                    format!("Unknown value `{locale}`"),
                ));
            }
        }
        Ok(settings)
    }

    /// Takes over what a change says.
    pub(crate) fn take(&mut self, change: Self) {
        macro_rules! take {
            ($($field:ident),*) => { $(if change.$field.is_some() { self.$field = change.$field; })* };
        }
        take!(
            displayed_attributes,
            searchable_attributes,
            filterable_attributes,
            sortable_attributes,
            ranking_rules,
            stop_words,
            typo_tolerance,
            faceting,
            pagination,
            localized_attributes
        );
    }

    /// Whether an attribute, or the object it lies in, may be filtered by.
    pub(crate) fn is_filterable(&self, attribute: &str) -> bool {
        covers(self.filterable_attributes.as_deref(), attribute)
    }

    /// Whether an attribute, or the object it lies in, may be sorted by.
    pub(crate) fn is_sortable(&self, attribute: &str) -> bool {
        covers(self.sortable_attributes.as_deref(), attribute)
    }
}

fn covers(allowed: Option<&[String]>, attribute: &str) -> bool {
    let inside =
        |name: &String| attribute.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
    allowed.unwrap_or_default().iter().any(|name| name == attribute || inside(name))
}
