//! `/account/addresses/…`: the address book.

use actix_web::{http::StatusCode, web::Path};
use askama::Template;
use contracts::account::{AddressId, AddressInput, ReplaceAddress};

use crate::{
    countries,
    error::{Answer, PageError},
    flash::Flash,
    forms::{Field, Issues, Posted},
    frame::Frame,
    locale::Locale,
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "address.html")]
pub(crate) struct AddressPage {
    pub(crate) page: Frame,
    pub(crate) issues: Issues,
    pub(crate) fields: Vec<Field>,
    pub(crate) action: String,
}

/// An address as it is written on a parcel in its language's order.
pub(crate) fn lines(locale: Locale, address: &AddressInput) -> Vec<String> {
    let join = |parts: &[&str], between: &str| {
        parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(between)
    };
    let country = countries::name(locale, &address.country);
    let lines = match locale {
        Locale::En => vec![
            address.line1.clone(),
            address.line2.clone(),
            join(&[&address.district, &address.city, &address.region, &address.postal_code], ", "),
            country,
            address.phone.clone(),
        ],
        Locale::ZhCn => vec![
            join(&[&country, &address.region, &address.city, &address.district], " "),
            join(&[&address.line1, &address.line2], " "),
            address.postal_code.clone(),
            address.phone.clone(),
        ],
    };
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// An empty form; the country is the one the language suggests.
pub(crate) fn blank(locale: Locale) -> Posted {
    let country = match locale {
        Locale::En => "US",
        Locale::ZhCn => "CN",
    };
    Posted::of([("country", country.to_owned())])
}

/// What was typed.
pub(crate) fn read(posted: &Posted) -> AddressInput {
    AddressInput {
        recipient: posted.line("recipient"),
        phone: posted.line("phone"),
        country: posted.line("country"),
        region: posted.line("region"),
        city: posted.line("city"),
        district: posted.line("district"),
        line1: posted.line("line1"),
        line2: posted.line("line2"),
        postal_code: posted.line("postal_code"),
        is_default: posted.ticked("is_default"),
    }
}

fn written(address: &AddressInput) -> Posted {
    Posted::of([
        ("recipient", address.recipient.clone()),
        ("phone", address.phone.clone()),
        ("country", address.country.clone()),
        ("region", address.region.clone()),
        ("city", address.city.clone()),
        ("district", address.district.clone()),
        ("line1", address.line1.clone()),
        ("line2", address.line2.clone()),
        ("postal_code", address.postal_code.clone()),
        ("is_default", if address.is_default { "on".to_owned() } else { String::new() }),
    ])
}

/// The fields of an address, in the order people of the language write them.
pub(crate) fn fields(locale: Locale, posted: &Posted, issues: &Issues) -> Vec<Field> {
    let choices = countries::all().iter().map(|c| (c.code.to_owned(), c.name(locale).to_owned())).collect();
    let field = |name| Field::new(locale, name).longest(100);
    let who =
        [field("recipient").autocomplete("name"), field("phone").kind("tel").autocomplete("tel").longest(32)];
    let country = [Field::new(locale, "country").autocomplete("country").choices(choices)];
    let street = [
        field("line1").autocomplete("address-line1").longest(200),
        field("line2").autocomplete("address-line2").longest(200).optional(),
    ];
    let city = field("city").autocomplete("address-level2");
    let region = field("region").autocomplete("address-level1").optional();
    let district = field("district").autocomplete("address-level3").optional();
    let code = field("postal_code").autocomplete("postal-code").longest(20).optional();
    let default = Field::new(locale, "is_default").kind("checkbox").optional();
    let ordered: Vec<Field> = match locale {
        Locale::En => who
            .into_iter()
            .chain(country)
            .chain(street)
            .chain([city, region, district, code, default])
            .collect(),
        Locale::ZhCn => who
            .into_iter()
            .chain(country)
            .chain([region, city, district])
            .chain(street)
            .chain([code, default])
            .collect(),
    };
    ordered.into_iter().map(|field| field.filled(posted, issues)).collect()
}

fn show(
    visitor: &Visitor,
    status: StatusCode,
    id: Option<AddressId>,
    posted: &Posted,
    issues: Issues,
) -> Answer {
    let (action, title) = match id {
        Some(id) => (format!("/account/addresses/{id}"), "address-edit-title"),
        None => ("/account/addresses/new".to_owned(), "address-new-title"),
    };
    let page = AddressPage {
        page: visitor.frame(visitor.text(title)).at(action.clone()),
        fields: fields(visitor.locale(), posted, &issues),
        issues,
        action,
    };
    visitor.show(status, &page)
}

/// `GET /account/addresses/new`.
pub(crate) async fn new_form(visitor: Visitor) -> Answer {
    visitor.member("/account/addresses/new")?;
    show(&visitor, StatusCode::OK, None, &blank(visitor.locale()), Issues::default())
}

/// `POST /account/addresses/new`.
pub(crate) async fn add(visitor: Visitor, posted: Posted) -> Answer {
    visitor.member("/account/addresses/new")?;
    save(&visitor, None, posted).await
}

/// `GET /account/addresses/{id}`.
pub(crate) async fn edit_form(visitor: Visitor, id: Path<String>) -> Answer {
    visitor.member("/account")?;
    let id: AddressId = id.parse().map_err(|_| PageError::not_found())?;
    let address = visitor.shop().accounts.address(&visitor.ctx(), id).await?;
    show(&visitor, StatusCode::OK, Some(id), &written(&address.address), Issues::default())
}

/// `POST /account/addresses/{id}`.
pub(crate) async fn replace(visitor: Visitor, id: Path<String>, posted: Posted) -> Answer {
    visitor.member("/account")?;
    let id: AddressId = id.parse().map_err(|_| PageError::not_found())?;
    save(&visitor, Some(id), posted).await
}

async fn save(visitor: &Visitor, id: Option<AddressId>, posted: Posted) -> Answer {
    let address = read(&posted);
    let issues = Issues::of(visitor.locale(), &address);
    if !issues.is_empty() {
        return show(visitor, StatusCode::UNPROCESSABLE_ENTITY, id, &posted, issues);
    }
    let accounts = &visitor.shop().accounts;
    let ctx = visitor.ctx();
    let saved = match id {
        Some(id) => accounts.replace_address(&ctx, ReplaceAddress { id, address }).await,
        None => accounts.add_address(&ctx, address).await,
    };
    match saved {
        Ok(_) => Ok(visitor.go_saying("/account#addresses", Flash::AddressSaved)),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            let issues = Issues::from_failure(visitor.locale(), failure)?;
            show(visitor, status, id, &posted, issues)
        }
    }
}

/// `POST /account/addresses/{id}/remove`.
pub(crate) async fn remove(visitor: Visitor, id: Path<String>, _posted: Posted) -> Answer {
    visitor.member("/account")?;
    let id: AddressId = id.parse().map_err(|_| PageError::not_found())?;
    visitor.shop().accounts.remove_address(&visitor.ctx(), id).await?;
    Ok(visitor.go_saying("/account#addresses", Flash::AddressRemoved))
}

/// `POST /account/addresses/{id}/default`: checkout picks this one from now on.
pub(crate) async fn make_default(visitor: Visitor, id: Path<String>, _posted: Posted) -> Answer {
    visitor.member("/account")?;
    let id: AddressId = id.parse().map_err(|_| PageError::not_found())?;
    let accounts = &visitor.shop().accounts;
    let ctx = visitor.ctx();
    let mut address = accounts.address(&ctx, id).await?.address;
    address.is_default = true;
    accounts.replace_address(&ctx, ReplaceAddress { id, address }).await?;
    Ok(visitor.go_saying("/account#addresses", Flash::AddressSaved))
}
