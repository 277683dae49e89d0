//! Searching an index.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    filter,
    index::{Document, Index, text, values},
    routes::ApiError,
    settings::{FacetOrder, Settings, TypoTolerance},
    words::{Asked, Matched, Token, asked, tokens},
};

/// A search; parameters that are not here are refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Search {
    pub(crate) index_uid: Option<String>,
    q: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
    page: Option<usize>,
    hits_per_page: Option<usize>,
    filter: Option<Value>,
    facets: Option<Vec<String>>,
    sort: Option<Vec<String>>,
    attributes_to_retrieve: Option<Vec<String>>,
    attributes_to_highlight: Option<Vec<String>>,
    attributes_to_search_on: Option<Vec<String>>,
    highlight_pre_tag: Option<String>,
    highlight_post_tag: Option<String>,
    matching_strategy: Strategy,
    show_ranking_score: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Strategy {
    #[default]
    Last,
    All,
    Frequency,
}

/// A document that matches, with what ranks it; smaller is better.
struct Candidate<'a> {
    document: &'a Document,
    missing: usize,
    typos: usize,
    proximity: usize,
    attribute: usize,
    exactness: Reverse<usize>,
}

impl Search {
    /// Reads a search.
    pub(crate) fn read(body: Value) -> Result<Self, ApiError> {
        serde_json::from_value(body).map_err(|error| {
            let text = error.to_string();
            let code =
                if text.contains("unknown field") { "bad_request" } else { "invalid_search_parameter" };
            ApiError::new(code, text)
        })
    }

    pub(crate) fn run(&self, uid: &str, index: &Index) -> Result<Value, ApiError> {
        let settings = &index.settings;
        let filter = match self.filter.as_ref().filter(|filter| !filter.is_null()) {
            Some(filter) => Some(filter::read(filter, settings, "invalid_search_filter")?),
            None => None,
        };
        self.check(settings)?;
        let searched = index.searched();
        let on = self.searched_on(&searched)?;
        let typed = self.q.clone().unwrap_or_default();
        let default = TypoTolerance::default();
        let rule = settings.typo_tolerance.as_ref().unwrap_or(&default);
        let words = asked(&typed, settings.stop_words.as_deref().unwrap_or_default(), rule);
        let view = View { searched: &searched, on: &on, rule, words: &words };
        let mut found: Vec<Candidate<'_>> = index
            .documents
            .values()
            .filter(|document| filter.as_ref().is_none_or(|filter| filter.holds(&document.body)))
            .filter_map(|document| view.candidate(document, self.matching_strategy))
            .collect();
        found.sort_by(|a, b| self.compare(settings, a, b));

        let most = settings.pagination.as_ref().map_or(1_000, |pagination| pagination.max_total_hits);
        let total = found.len().min(most);
        let finite = self.page.is_some() || self.hits_per_page.is_some();
        let (offset, limit) = if finite {
            let size = self.hits_per_page.unwrap_or(20);
            (self.page.unwrap_or(1).saturating_sub(1) * size, if self.page == Some(0) { 0 } else { size })
        } else {
            (self.offset.unwrap_or(0), self.limit.unwrap_or(20))
        };
        let (offset_cut, end) = (offset.min(most), offset.saturating_add(limit).min(most));
        let hits: Vec<Value> = found
            .iter()
            .skip(offset_cut)
            .take(end - offset_cut)
            .map(|candidate| self.hit(&view, candidate, settings))
            .collect();
        let mut answer = json!({"hits": hits, "query": typed, "processingTimeMs": 0, "indexUid": uid});
        if finite {
            let size = self.hits_per_page.unwrap_or(20);
            let pages = if size == 0 { 0 } else { total.div_ceil(size) };
            answer["page"] = json!(self.page.unwrap_or(1));
            answer["hitsPerPage"] = json!(size);
            answer["totalHits"] = json!(total);
            answer["totalPages"] = json!(pages);
        } else {
            answer["offset"] = json!(offset);
            answer["limit"] = json!(limit);
            answer["estimatedTotalHits"] = json!(total);
        }
        if let Some(facets) = &self.facets {
            let (distribution, stats) = facets_of(facets, &found, settings);
            answer["facetDistribution"] = distribution;
            answer["facetStats"] = stats;
        }
        Ok(answer)
    }

    fn check(&self, settings: &Settings) -> Result<(), ApiError> {
        for sort in self.sort.iter().flatten() {
            let Some((attribute, "asc" | "desc")) = sort.rsplit_once(':') else {
                let text = format!(
                    "Invalid syntax for the sort parameter: expected expression ending by `:asc` or `:desc`, \
                     found `{sort}`."
                );
                return Err(ApiError::new("invalid_search_sort", text));
            };
            if !settings.is_sortable(attribute) {
                let known = settings.sortable_attributes.clone().unwrap_or_default().join(", ");
                let text = format!(
                    "Attribute `{attribute}` is not sortable. Available sortable attributes are: `{known}`."
                );
                return Err(ApiError::new("invalid_search_sort", text));
            }
            if !settings.ranking_rules.iter().flatten().any(|rule| rule == "sort") {
                let text = "You must specify where `sort` is listed in the rankingRules setting to use the sort parameter at \
                     search time.";
                return Err(ApiError::new("invalid_search_sort", text));
            }
        }
        for facet in self.facets.iter().flatten().filter(|facet| *facet != "*") {
            if !settings.is_filterable(facet) {
                let known = settings.filterable_attributes.clone().unwrap_or_default().join(", ");
                let text = format!(
                    "Invalid facet distribution: Attribute `{facet}` is not filterable. Available filterable \
                     attributes patterns are: `{known}`."
                );
                return Err(ApiError::new("invalid_search_facets", text));
            }
        }
        Ok(())
    }

    /// Which of the searched attributes count.
    fn searched_on(&self, searched: &[String]) -> Result<Vec<bool>, ApiError> {
        let Some(wanted) = self.attributes_to_search_on.as_ref() else {
            return Ok(vec![true; searched.len()]);
        };
        if wanted.iter().any(|name| name == "*") {
            return Ok(vec![true; searched.len()]);
        }
        if let Some(unknown) = wanted.iter().find(|name| !searched.contains(name)) {
            let known = searched.join(", ");
            let text = format!(
                "Attribute `{unknown}` is not searchable. Available searchable attributes are: `{known}`."
            );
            return Err(ApiError::new("invalid_search_attributes_to_search_on", text));
        }
        Ok(searched.iter().map(|name| wanted.contains(name)).collect())
    }

    /// The ranking rules, in their order; then the older document first.
    fn compare(&self, settings: &Settings, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        for rule in settings.ranking_rules.iter().flatten() {
            let order = match rule.as_str() {
                "words" => a.missing.cmp(&b.missing),
                "typo" => a.typos.cmp(&b.typos),
                "proximity" => a.proximity.cmp(&b.proximity),
                "attribute" => a.attribute.cmp(&b.attribute),
                "exactness" => a.exactness.cmp(&b.exactness),
                "sort" => {
                    let sorts = self.sort.iter().flatten();
                    sorts
                        .map(|sort| by(sort, a.document, b.document))
                        .find(|order| order.is_ne())
                        .unwrap_or(Ordering::Equal)
                }
                custom => by(custom, a.document, b.document),
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn hit(&self, view: &View<'_>, candidate: &Candidate<'_>, settings: &Settings) -> Value {
        let all = vec!["*".to_owned()];
        let retrieved = self.attributes_to_retrieve.as_ref().unwrap_or(&all);
        let body = candidate.document.body.as_object().cloned().unwrap_or_default();
        let displayed = settings.displayed_attributes.clone().unwrap_or_default();
        let shown = |name: &String| displayed.iter().any(|known| known == "*" || known == name);
        let wanted = |list: &[String], name: &String| list.iter().any(|known| known == "*" || known == name);
        let mut hit: Map<String, Value> =
            body.iter().filter(|(name, _)| shown(name) && wanted(retrieved, name)).map(pair).collect();
        if let Some(highlighted) = &self.attributes_to_highlight {
            let formatted = body
                .iter()
                .filter(|(name, _)| shown(name) && (wanted(retrieved, name) || wanted(highlighted, name)))
                .map(|(name, value)| {
                    let value =
                        if wanted(highlighted, name) { self.marked(view, value) } else { value.clone() };
                    (name.clone(), value)
                })
                .collect();
            hit.insert("_formatted".to_owned(), Value::Object(formatted));
        }
        if self.show_ranking_score {
            let score =
                1.0 / f64::from(u32::try_from(1 + candidate.typos + candidate.missing).unwrap_or(u32::MAX));
            hit.insert("_rankingScore".to_owned(), json!(score));
        }
        Value::Object(hit)
    }

    /// A value with what matches between the tags.
    fn marked(&self, view: &View<'_>, value: &Value) -> Value {
        match value {
            Value::Array(values) => {
                Value::Array(values.iter().map(|value| self.marked(view, value)).collect())
            }
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(name, value)| (name.clone(), self.marked(view, value))).collect(),
            ),
            value => {
                let plain = text(value);
                let pre = self.highlight_pre_tag.as_deref().unwrap_or("<em>");
                let post = self.highlight_post_tag.as_deref().unwrap_or("</em>");
                let (mut out, mut end) = (String::new(), 0);
                for token in tokens(&plain) {
                    let Some(to) = view.marks(&plain, &token) else { continue };
                    out.push_str(&plain[end..token.from]);
                    out.push_str(pre);
                    out.push_str(&plain[token.from..to]);
                    out.push_str(post);
                    end = to;
                }
                out.push_str(&plain[end..]);
                Value::String(out)
            }
        }
    }
}

fn pair((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Orders two documents by `attribute:asc` or `attribute:desc`; those without the attribute come last either way.
pub(crate) fn by(sort: &str, a: &Document, b: &Document) -> Ordering {
    let Some((attribute, direction)) = sort.rsplit_once(':') else { return Ordering::Equal };
    let first = |document: &Document| {
        values(&document.body, attribute).into_iter().find(|value| value.is_number() || value.is_string())
    };
    let (Some(a), Some(b)) = (first(a), first(b)) else {
        return first(b).is_some().cmp(&first(a).is_some());
    };
    let order = match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => return Ordering::Less,
        (None, Some(_)) => return Ordering::Greater,
        (None, None) => text(&a).to_lowercase().cmp(&text(&b).to_lowercase()),
    };
    if direction == "desc" { order.reverse() } else { order }
}

/// What a search looks at.
struct View<'a> {
    searched: &'a [String],
    on: &'a [bool],
    rule: &'a TypoTolerance,
    words: &'a [Asked],
}

/// Where a typed word stands in a document.
#[derive(Clone, Copy)]
struct Place {
    how: Matched,
    attribute: usize,
    position: usize,
}

impl View<'_> {
    fn candidate<'d>(&self, document: &'d Document, strategy: Strategy) -> Option<Candidate<'d>> {
        let mut places: Vec<Vec<Place>> = self.words.iter().map(|word| self.places(document, word)).collect();
        self.join_pairs(document, &mut places);
        let known = places.iter().take_while(|places| !places.is_empty()).count();
        let missing = places.len() - known;
        // `last` leaves out words from the end, `all` none; the order of frequency is not known here.
        let enough = match strategy {
            Strategy::All => missing == 0,
            Strategy::Last | Strategy::Frequency => known > 0 || places.is_empty(),
        };
        if !enough || !self.runs_fit(&places) {
            return None;
        }
        let found = &places[..known];
        let best = |places: &Vec<Place>| places.iter().map(|place| (place.how, place.attribute)).min();
        let bests: Vec<(Matched, usize)> = found.iter().filter_map(best).collect();
        let equals = document.words.iter().any(|words| {
            words.len() == self.words.len()
                && words.iter().zip(self.words).all(|(token, word)| token.text == word.text)
        });
        let whole = bests.iter().filter(|(how, _)| how.typos == 0 && !how.begun).count();
        Some(Candidate {
            document,
            missing,
            typos: bests.iter().map(|(how, _)| how.typos).sum(),
            proximity: found.windows(2).map(|pair| proximity(&pair[0], &pair[1])).sum(),
            attribute: bests.iter().map(|(_, attribute)| *attribute).sum(),
            exactness: Reverse(whole + if equals { 1_000 } else { 0 }),
        })
    }

    fn places(&self, document: &Document, word: &Asked) -> Vec<Place> {
        let mut places = Vec::new();
        for (attribute, tokens) in document.words.iter().enumerate().filter(|(at, _)| self.on[*at]) {
            let typos = !self.rule.disable_on_attributes.contains(&self.searched[attribute]);
            places.extend(tokens.iter().filter_map(|token| {
                let how = word.matches(&token.text, typos)?;
                Some(Place { how, attribute, position: token.position })
            }));
        }
        places
    }

    /// Two words next to each other may be written as one, which counts as a typo.
    fn join_pairs(&self, document: &Document, places: &mut [Vec<Place>]) {
        for at in 1..self.words.len() {
            if self.words[at - 1].cjk || self.words[at].cjk {
                continue;
            }
            let joined = self.places(document, &self.words[at - 1].with(&self.words[at], self.rule));
            for place in joined.into_iter().filter(|place| place.how.typos == 0) {
                let place = Place { how: Matched { typos: 1, ..place.how }, ..place };
                places[at - 1].push(place);
                places[at].push(place);
            }
        }
    }

    /// Characters of a run stand next to each other.
    fn runs_fit(&self, places: &[Vec<Place>]) -> bool {
        (1..self.words.len()).filter(|&at| self.words[at].follows).all(|at| {
            places[at - 1].iter().any(|a| {
                places[at].iter().any(|b| b.attribute == a.attribute && b.position == a.position + 1)
            })
        })
    }

    /// Where the mark on a word of a text ends; `None` when it does not match.
    fn marks(&self, text: &str, token: &Token) -> Option<usize> {
        let joined = self.words.windows(2).map(|pair| pair[0].with(&pair[1], self.rule));
        let mut matching = self.words.iter().cloned().chain(joined);
        let (word, how) = matching.find_map(|word| word.matches(&token.text, true).map(|how| (word, how)))?;
        if !how.begun {
            return Some(token.to);
        }
        let shown = text[token.from..token.to].char_indices().nth(word.text.chars().count());
        Some(shown.map_or(token.to, |(at, _)| token.from + at))
    }
}

fn proximity(left: &[Place], right: &[Place]) -> usize {
    const FAR: usize = 8;
    let distance = |a: &Place, b: &Place| {
        if a.attribute != b.attribute {
            FAR
        } else if b.position >= a.position {
            (b.position - a.position).clamp(1, FAR)
        } else {
            (a.position - b.position + 1).min(FAR)
        }
    };
    left.iter().flat_map(|a| right.iter().map(move |b| distance(a, b))).min().unwrap_or(FAR)
}

fn facets_of(facets: &[String], found: &[Candidate<'_>], settings: &Settings) -> (Value, Value) {
    let faceting = settings.faceting.clone().unwrap_or_default();
    let all = settings.filterable_attributes.clone().unwrap_or_default();
    let wanted = if facets.iter().any(|facet| facet == "*") { all.as_slice() } else { facets };
    let (mut distribution, mut stats) = (Map::new(), Map::new());
    for facet in wanted {
        // Texts that differ in case are one value, shown as it came first.
        let mut counts: BTreeMap<String, (String, usize)> = BTreeMap::new();
        let mut numbers: Vec<f64> = Vec::new();
        for candidate in found {
            let mut seen = std::collections::BTreeSet::new();
            for value in values(&candidate.document.body, facet) {
                if value.is_null() || value.is_object() {
                    continue;
                }
                numbers.extend(value.as_f64());
                let shown = text(&value);
                if seen.insert(shown.to_lowercase()) {
                    counts.entry(shown.to_lowercase()).or_insert((shown, 0)).1 += 1;
                }
            }
        }
        let mut counts: Vec<(String, usize)> = counts.into_values().collect();
        let order = faceting.sort_facet_values_by.get(facet).or(faceting.sort_facet_values_by.get("*"));
        if order == Some(&FacetOrder::Count) {
            counts.sort_by_key(|(_, count)| Reverse(*count));
        }
        counts.truncate(faceting.max_values_per_facet);
        let counts = counts.into_iter().map(|(value, count)| (value, json!(count))).collect();
        distribution.insert(facet.clone(), Value::Object(counts));
        if let (Some(min), Some(max)) =
            (numbers.iter().copied().reduce(f64::min), numbers.iter().copied().reduce(f64::max))
        {
            stats.insert(facet.clone(), json!({"min": min, "max": max}));
        }
    }
    (Value::Object(distribution), Value::Object(stats))
}
