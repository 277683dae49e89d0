//! Users and their addresses.

use contracts::{
    account::{AddressId, AddressInput},
    intake::{TakeUser, UserFacts},
};
use garde::Validate;

use super::{Mapper, Wrong};
use crate::values::{Reason, Record, line, password_hash, phone};

#[derive(Validate)]
struct Email<'a>(#[garde(email, length(max = 254))] &'a str);

impl Mapper {
    /// A user with its addresses. What of it cannot be taken in, while the user can, is added to `wrong`.
    pub(crate) fn user(
        &self,
        row: &Record,
        addresses: &[Record],
        wrong: &mut Vec<Wrong>,
    ) -> Result<TakeUser, Reason> {
        let key = row.need("id")?.to_owned();
        let email = row.need("email").map_err(|_| "has no e-mail: nobody logs in without one".to_owned())?;
        if Email(email).validate().is_err() {
            return Err(format!("email {email:?} is none"));
        }
        let active = self.meaning("users", row, "active")? == "active";
        let created_at = self.moment(row, "created_at")?.ok_or_else(|| "created_at is empty".to_owned())?;
        let name = ["nickname", "username"].into_iter().find_map(|column| row.get(column)).unwrap_or(email);
        let id = self.ids.user(&key);
        let number = row.get("phone");
        let known = number.and_then(|text| phone(text, &self.mapping.phone_prefix));
        if let (Some(text), None) = (number, &known) {
            let reason = format!("{text:?} is no number that can be called; the user is in without it");
            wrong.push(Wrong { name: "users.phone", key: key.clone(), reason });
        }
        let hash = row.get("password_hash");
        let usable = hash.and_then(password_hash);
        if let (Some(_), None, true) = (hash, &usable, active) {
            let reason = "is neither bcrypt's nor argon2id's: the user needs a new one".to_owned();
            wrong.push(Wrong { name: "users.password", key: key.clone(), reason });
        }
        let facts = UserFacts {
            id,
            email: email.to_owned(),
            name: line(name, 100),
            phone: known,
            locale: self.mapping.locale.clone(),
            created_at,
            addresses: self.book(id, addresses, wrong),
        };
        Ok(TakeUser { key, facts, password_hash: usable.filter(|_| active) })
    }

    fn book(
        &self,
        user: contracts::UserId,
        rows: &[Record],
        wrong: &mut Vec<Wrong>,
    ) -> Vec<(AddressId, AddressInput)> {
        let mut book = Vec::with_capacity(rows.len());
        for row in rows {
            let key = row.get("id").unwrap_or_default();
            match self.address(row) {
                Ok(address) => book.push((self.ids.address(user, key), address)),
                Err(reason) => wrong.push(Wrong { name: "user_addresses", key: key.to_owned(), reason }),
            }
        }
        // As soon as there is an address, exactly one is the default.
        let default = book.iter().position(|(_, address)| address.is_default).unwrap_or(0);
        for (index, (_, address)) in book.iter_mut().enumerate() {
            address.is_default = index == default;
        }
        book.sort_by_key(|(id, _)| *id);
        book
    }

    fn address(&self, row: &Record) -> Result<AddressInput, Reason> {
        let address = AddressInput {
            recipient: row.line("receiver_name", 100),
            phone: row.line("phone", 32),
            country: row.get("country").unwrap_or(&self.mapping.country).to_uppercase(),
            region: row.line("province", 100),
            city: row.line("city", 100),
            district: row.line("district", 100),
            line1: row.line("detail", 200),
            line2: String::new(),
            postal_code: row.line("postal_code", 20),
            is_default: row.get("is_default").is_some_and(|text| text != "0"),
        };
        match address.validate() {
            Ok(()) => Ok(address),
            Err(report) => Err(report
                .iter()
                .map(|(path, error)| format!("{path}: {error}"))
                .collect::<Vec<_>>()
                .join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::testing::{mapper, row, with};

    fn ada() -> Record {
        row(&[
            ("id", "7"),
            ("username", "ada"),
            ("email", "Ada@Example.org"),
            ("phone", "13800138000"),
            ("status", "1"),
            ("created_at", "2024-01-15 10:30:00"),
            ("password_hash", &format!("$2y$10${}", "a".repeat(53))),
        ])
    }

    #[test]
    fn a_user_keeps_what_it_had() {
        let address = row(&[
            ("id", "1"),
            ("receiver_name", "Ada"),
            ("phone", "13800138000"),
            ("city", "Hangzhou"),
            ("detail", "1 West Lake"),
        ]);
        let other = with(&address, &[("id", "2"), ("is_default", "1")]);
        let bad = with(&address, &[("id", "3"), ("city", "")]);
        let mut wrong = Vec::new();
        let user = mapper().user(&ada(), &[address, other, bad], &mut wrong).unwrap();
        assert_eq!((user.facts.email.as_str(), user.facts.name.as_str()), ("Ada@Example.org", "ada"));
        assert_eq!(user.facts.phone.as_deref(), Some("+8613800138000"));
        assert!(user.password_hash.is_some());
        assert_eq!(user.facts.addresses.len(), 2);
        assert_eq!(user.facts.addresses.iter().filter(|(_, it)| it.is_default).count(), 1);
        assert!(user.facts.addresses.iter().all(|(_, it)| it.country == "CN"));
        let told: Vec<_> = wrong.iter().map(|it| (it.name, it.key.as_str())).collect();
        assert_eq!(told, [("user_addresses", "3")]);
    }

    #[test]
    fn what_is_wrong_is_told_and_costs_no_more_than_it_must() {
        let mut wrong = Vec::new();
        let mapper = mapper();
        for (columns, part) in [
            (&[("email", "")][..], "no e-mail"),
            (&[("email", "nobody")], "is none"),
            (&[("status", "9")], "unknown status"),
            (&[("status", "")], "status is empty"),
            (&[("created_at", "0000-00-00 00:00:00")], "created_at is empty"),
        ] {
            let reason = mapper.user(&with(&ada(), columns), &[], &mut wrong).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        assert!(wrong.is_empty());
        let odd = with(&ada(), &[("phone", "n/a"), ("password_hash", "5f4dcc3b5aa765d61d8327deb882cf99")]);
        let user = mapper.user(&odd, &[], &mut wrong).unwrap();
        assert_eq!((user.facts.phone, user.password_hash), (None, None));
        assert_eq!(wrong.iter().map(|it| it.name).collect::<Vec<_>>(), ["users.phone", "users.password"]);
        let disabled = mapper.user(&with(&ada(), &[("status", "0")]), &[], &mut wrong).unwrap();
        assert_eq!(disabled.password_hash, None, "who was shut out stays out");
    }
}
