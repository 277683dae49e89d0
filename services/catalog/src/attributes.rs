//! What attribute sets ask of products: pure.

use std::collections::{HashMap, HashSet};

use contracts::catalog::{
    Attribute, AttributeKind, AttributeSetId, AttributeSetInput, AttributeSetView, AttributeValue,
    CategoryAttribute, CategoryId, NamedValue,
};
use kernel::{Failure, Result, normalise};

use crate::{
    store::attributes::{AssignmentRow, AttributeSetRow},
    tree::Tree,
};

/// Digits a number may have: what a 64-bit decimal holds exactly, with room for its sign.
const DIGITS: usize = 15;

/// All attribute sets and who has them, in memory.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// By name.
    sets: Vec<AttributeSetView>,
    /// Sets of a category's own, in order.
    own: HashMap<CategoryId, Vec<AttributeSetId>>,
}

/// What is asked of products in one category: an entry an attribute, in the order they are shown in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<CategoryAttribute>);

impl Attributes {
    pub(crate) fn new(sets: Vec<AttributeSetRow>, assignments: Vec<AssignmentRow>) -> Result<Self> {
        let mut own: HashMap<CategoryId, Vec<AttributeSetId>> = HashMap::new();
        for row in assignments {
            own.entry(CategoryId::from_uuid(row.category_id))
                .or_default()
                .push(AttributeSetId::from_uuid(row.set_id));
        }
        let sets = sets.into_iter().map(|row| view(&row, &own)).collect::<Result<_>>()?;
        Ok(Self { sets, own })
    }

    /// By name.
    pub(crate) fn views(&self) -> Vec<AttributeSetView> {
        self.sets.clone()
    }

    fn get(&self, id: AttributeSetId) -> Option<&AttributeSetView> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// What is asked of products in `category`: the sets of the categories above it, from the top down, then its own. An
    /// attribute that comes again takes the place of the one before.
    pub(crate) fn rules(&self, tree: &Tree, category: Option<CategoryId>) -> Rules {
        let mut rules: Vec<CategoryAttribute> = Vec::new();
        if self.own.is_empty() {
            return Rules(rules);
        }
        for category in tree.trail(category) {
            let sets = self.own.get(&category.id).into_iter().flatten().filter_map(|&id| self.get(id));
            for (set, attribute) in sets.flat_map(|set| set.attributes.iter().map(move |it| (set, it))) {
                let rule = CategoryAttribute {
                    attribute: attribute.clone(),
                    set_id: set.id,
                    category_id: category.id,
                };
                match rules.iter_mut().find(|known| same(&known.attribute.name, &attribute.name)) {
                    Some(known) => *known = rule,
                    None => rules.push(rule),
                }
            }
        }
        Rules(rules)
    }
}

/// A set as staff see it.
pub(crate) fn view(
    row: &AttributeSetRow,
    own: &HashMap<CategoryId, Vec<AttributeSetId>>,
) -> Result<AttributeSetView> {
    let id = AttributeSetId::from_uuid(row.id);
    let mut category_ids: Vec<CategoryId> =
        own.iter().filter(|(_, sets)| sets.contains(&id)).map(|(category, _)| *category).collect();
    category_ids.sort_unstable();
    Ok(AttributeSetView {
        id,
        name: row.name.clone(),
        attributes: serde_json::from_slice(&row.attributes).map_err(Failure::internal)?,
        category_ids,
    })
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

impl Rules {
    /// As staff see them.
    pub(crate) fn list(self) -> Vec<CategoryAttribute> {
        self.0
    }

    fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().map(|rule| &rule.attribute).find(|rule| same(&rule.name, name))
    }

    /// Brings attributes into their form; failures point into the body. Those that no set defines stay as they are.
    pub(crate) fn fit(&self, given: Vec<NamedValue>) -> Result<Vec<NamedValue>> {
        let mut seen = HashSet::new();
        given
            .into_iter()
            .enumerate()
            .map(|(index, it)| {
                let Some(rule) = self.get(&it.name) else { return Ok(it) };
                if !seen.insert(rule.name.to_lowercase()) {
                    let detail = format!("{} is named twice", rule.name);
                    return Err(Failure::invalid(format!("/attributes/{index}/name"), detail));
                }
                let value = fitted(rule, &it.value).map_err(|wanted| {
                    let detail = format!("{} must be {wanted}", rule.name);
                    Failure::invalid(format!("/attributes/{index}/value"), detail)
                })?;
                Ok(NamedValue { name: rule.name.clone(), value })
            })
            .collect()
    }

    /// Refuses to publish a product without the attributes that are required.
    pub(crate) fn require(&self, given: &[NamedValue]) -> Result<()> {
        let missing = |rule: &&CategoryAttribute| {
            rule.attribute.required && !given.iter().any(|it| same(&it.name, &rule.attribute.name))
        };
        let names: Vec<&str> =
            self.0.iter().filter(missing).map(|rule| rule.attribute.name.as_str()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let detail = format!("a published product of its category has: {}", names.join(", "));
        Err(Failure::invalid("/attributes", detail))
    }

    /// Says of each attribute what its set says of it: those that sets define first, in their order.
    pub(crate) fn describe(&self, given: Vec<AttributeValue>) -> Vec<AttributeValue> {
        if self.0.is_empty() {
            return given;
        }
        let place = |it: &AttributeValue| {
            self.0.iter().position(|rule| same(&rule.attribute.name, &it.name)).unwrap_or(usize::MAX)
        };
        let mut described: Vec<AttributeValue> = given
            .into_iter()
            .map(|it| match self.get(&it.name) {
                // A value from before the set was changed may be none of its kind any more: it is shown as text.
                Some(rule) if fitted(rule, &it.value).is_ok() => AttributeValue {
                    kind: rule.kind,
                    unit: rule.unit.clone(),
                    filterable: rule.filterable,
                    ..it
                },
                _ => it,
            })
            .collect();
        described.sort_by_key(place);
        described
    }
}

/// A value in its attribute's form, or what it must be.
fn fitted(rule: &Attribute, value: &str) -> std::result::Result<String, String> {
    match rule.kind {
        AttributeKind::Text => Ok(value.to_owned()),
        AttributeKind::Number => {
            let bare = rule.unit.as_deref().and_then(|unit| value.strip_suffix(unit)).unwrap_or(value).trim();
            if is_decimal(bare) {
                return Ok(bare.to_owned());
            }
            let unit = rule.unit.as_ref().map(|unit| format!(" in {unit}")).unwrap_or_default();
            Err(format!("a decimal number{unit}"))
        }
        AttributeKind::Boolean => match value.to_lowercase().as_str() {
            value @ ("true" | "false") => Ok(value.to_owned()),
            _ => Err("true or false".to_owned()),
        },
        AttributeKind::Choice => rule
            .choices
            .iter()
            .find(|choice| same(choice, value))
            .cloned()
            .ok_or_else(|| format!("one of {}", rule.choices.join(", "))),
    }
}

/// `-?digits(.digits)?`, as JSON writes numbers, without an exponent.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction) && whole.len() + fraction.len() <= DIGITS
}

/// Checks and normalises a set; failures point into the body.
pub(crate) fn read(mut input: AttributeSetInput) -> Result<AttributeSetInput> {
    contracts::valid(&input)?;
    input.name = normalise(&input.name);
    if input.name.is_empty() {
        return Err(Failure::invalid("/name", "must not be blank"));
    }
    let mut names = HashSet::new();
    for (index, attribute) in input.attributes.iter_mut().enumerate() {
        let wrong = |field: &str, detail: &str| {
            Err(Failure::invalid(format!("/attributes/{index}/{field}"), detail.to_owned()))
        };
        attribute.name = normalise(&attribute.name);
        attribute.unit = attribute.unit.as_deref().map(normalise).filter(|unit| !unit.is_empty());
        attribute.choices = attribute.choices.iter().map(|choice| normalise(choice)).collect();
        if attribute.name.is_empty() {
            return wrong("name", "must not be blank");
        }
        if !names.insert(attribute.name.to_lowercase()) {
            return wrong("name", "is named twice");
        }
        if attribute.unit.is_some() && attribute.kind != AttributeKind::Number {
            return wrong("unit", "belongs to numbers only");
        }
        let choices: HashSet<String> = attribute.choices.iter().map(|choice| choice.to_lowercase()).collect();
        match (attribute.kind, attribute.choices.len()) {
            (AttributeKind::Choice, 0) => return wrong("choices", "must name at least one"),
            (AttributeKind::Choice, _) if choices.contains("") => {
                return wrong("choices", "must not be blank");
            }
            (AttributeKind::Choice, count) if choices.len() < count => {
                return wrong("choices", "names one twice");
            }
            (AttributeKind::Choice, _) | (_, 0) => {}
            _ => return wrong("choices", "belong to the kind choice only"),
        }
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use kernel::Shard;

    use super::*;
    use crate::tree::{Category, path_below};

    fn attribute(name: &str, kind: AttributeKind) -> Attribute {
        Attribute {
            name: name.to_owned(),
            kind,
            unit: None,
            choices: Vec::new(),
            required: false,
            filterable: false,
        }
    }

    fn set(n: u8, attributes: &[Attribute]) -> AttributeSetRow {
        AttributeSetRow {
            id: AttributeSetId::derive(Shard::new(0), &[&[n]]).uuid(),
            name: format!("set {n}"),
            name_key: format!("set {n}"),
            attributes: serde_json::to_vec(attributes).unwrap(),
            created_at: 0,
            updated_at: 0,
        }
    }

    fn category(n: u8, parent: Option<&Category>) -> Category {
        let id = CategoryId::derive(Shard::new(0), &[&[n]]);
        Category {
            id,
            parent: parent.map(|it| it.id),
            slug: format!("c{n}"),
            name: format!("C{n}"),
            position: 0,
            external_id: None,
            path: path_below(parent.map_or("", |it| &it.path), id),
        }
    }

    fn assigned(category: &Category, set: &AttributeSetRow) -> AssignmentRow {
        AssignmentRow { category_id: category.id.uuid(), set_id: set.id, position: 1 }
    }

    fn named(name: &str, value: &str) -> NamedValue {
        NamedValue { name: name.to_owned(), value: value.to_owned() }
    }

    fn rules(attributes: &[Attribute]) -> Rules {
        let (top, set) = (category(1, None), set(1, attributes));
        let assignments = vec![assigned(&top, &set)];
        Attributes::new(vec![set], assignments).unwrap().rules(&Tree::new(vec![top.clone()]), Some(top.id))
    }

    #[test]
    fn what_is_above_counts_below_and_the_nearest_wins() {
        let top = category(1, None);
        let low = category(2, Some(&top));
        let other = category(3, None);
        let general =
            set(1, &[attribute("Material", AttributeKind::Text), attribute("Weight", AttributeKind::Text)]);
        let own =
            set(2, &[attribute("WEIGHT", AttributeKind::Number), attribute("Power", AttributeKind::Number)]);
        let assignments = vec![assigned(&top, &general), assigned(&low, &own)];
        let all = Attributes::new(vec![general, own], assignments).unwrap();
        let tree = Tree::new(vec![top.clone(), low.clone(), other.clone()]);
        let of = |id| all.rules(&tree, id).list();
        let names = |id| of(id).into_iter().map(|rule| rule.attribute.name).collect::<Vec<_>>();
        assert_eq!(names(Some(top.id)), ["Material", "Weight"]);
        assert_eq!(names(Some(low.id)), ["Material", "WEIGHT", "Power"]);
        assert_eq!(of(Some(low.id))[1].attribute.kind, AttributeKind::Number);
        assert_eq!((of(Some(low.id))[0].category_id, of(Some(low.id))[1].category_id), (top.id, low.id));
        assert!(names(Some(other.id)).is_empty() && names(None).is_empty());
    }

    #[test]
    fn values_take_their_form_or_are_named() {
        let rules = rules(&[
            Attribute { unit: Some("cm".to_owned()), ..attribute("Width", AttributeKind::Number) },
            attribute("Washable", AttributeKind::Boolean),
            Attribute {
                choices: vec!["Slim".to_owned(), "Wide".to_owned()],
                ..attribute("Fit", AttributeKind::Choice)
            },
        ]);
        let given = vec![
            named("Made in", "Portugal"),
            named("width", "-12.50 cm"),
            named("washable", "TRUE"),
            named("FIT", "slim"),
        ];
        let fitted = rules.fit(given).unwrap();
        assert_eq!(
            fitted,
            [
                named("Made in", "Portugal"),
                named("Width", "-12.50"),
                named("Washable", "true"),
                named("Fit", "Slim")
            ]
        );
        for (name, value, told) in [
            ("Width", "twelve", "Width must be a decimal number in cm"),
            ("Width", "1e5", "Width must be a decimal number in cm"),
            ("Width", "1234567890.123456", "Width must be a decimal number in cm"),
            ("Width", ".5", "Width must be a decimal number in cm"),
            ("Washable", "perhaps", "Washable must be true or false"),
            ("Fit", "Tight", "Fit must be one of Slim, Wide"),
        ] {
            let failure = rules.fit(vec![named("Made in", "x"), named(name, value)]).unwrap_err();
            assert_eq!(failure.fields()[0].pointer, "/attributes/1/value", "{value}");
            assert_eq!(failure.fields()[0].detail, told);
        }
        let twice = rules.fit(vec![named("Fit", "Slim"), named("fit", "Wide")]).unwrap_err();
        assert_eq!(twice.fields()[0].pointer, "/attributes/1/name");
    }

    #[test]
    fn what_is_shown_follows_the_sets_and_old_values_stay_text() {
        let rules = rules(&[
            Attribute {
                unit: Some("g".to_owned()),
                filterable: true,
                ..attribute("Weight", AttributeKind::Number)
            },
            attribute("Washable", AttributeKind::Boolean),
        ]);
        let value = |name: &str, value: &str| AttributeValue {
            name: name.to_owned(),
            value: value.to_owned(),
            ..AttributeValue::default()
        };
        let shown = rules.describe(vec![
            value("Made in", "Peru"),
            value("Washable", "by hand"),
            value("Weight", "90"),
        ]);
        assert_eq!(
            shown.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
            ["Weight", "Washable", "Made in"]
        );
        assert_eq!(
            (shown[0].kind, shown[0].unit.as_deref(), shown[0].filterable),
            (AttributeKind::Number, Some("g"), true)
        );
        assert_eq!(shown[1].kind, AttributeKind::Text);
    }

    #[test]
    fn sets_that_cannot_be_are_refused() {
        let pointer = |attribute: Attribute| {
            let input = AttributeSetInput { name: "x".to_owned(), attributes: vec![attribute] };
            read(input).unwrap_err().fields()[0].pointer.clone()
        };
        let text = attribute("A", AttributeKind::Text);
        assert_eq!(pointer(Attribute { unit: Some("m".to_owned()), ..text.clone() }), "/attributes/0/unit");
        let choices = |names: &[&str], kind| Attribute {
            kind,
            choices: names.iter().map(|&name| name.to_owned()).collect(),
            ..text.clone()
        };
        for wrong in [
            choices(&["a"], AttributeKind::Boolean),
            choices(&[], AttributeKind::Choice),
            choices(&["a", "A"], AttributeKind::Choice),
            choices(&[" "], AttributeKind::Choice),
        ] {
            assert_eq!(pointer(wrong), "/attributes/0/choices");
        }
        let twice = AttributeSetInput {
            name: "x".to_owned(),
            attributes: vec![text.clone(), attribute("a", AttributeKind::Number)],
        };
        assert_eq!(read(twice).unwrap_err().fields()[0].pointer, "/attributes/1/name");
    }
}
