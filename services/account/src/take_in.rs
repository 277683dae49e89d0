//! Takes users of another shop in, and gives them back.
//!
//! Their passwords come as hashes: bcrypt and argon2id are checked as they are, and a bcrypt hash gives way to an argon2id
//! one at the first log-in ([`crate::password`]). No event tells of them: nobody is to be greeted as new.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Ctx, UserId,
    account::{AddressId, AddressView},
    intake::{
        Brought, Digest, GivenBack, Intake, Kept, Row, TakeUser, TakenIn, UserFacts, Verdict, digest, judge,
        system_only,
    },
};
use kernel::{Result, Timestamp};
use platform_db::{Mark, Tx, mark};
use uuid::Uuid;

use crate::{
    AccountService,
    model::email_key,
    password,
    store::{
        self, TAKEN,
        entity::{account, address},
    },
};

/// What an account is, with its addresses.
type Known = HashMap<Uuid, (account::Model, Vec<address::Model>)>;

#[async_trait]
impl Intake<TakeUser> for AccountService {
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<TakeUser>) -> Result<Vec<TakenIn>> {
        system_only(ctx)?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let shard = first.facts.id.shard();
        self.db
            .write(shard, (source.to_owned(), rows), |tx, (source, rows)| {
                Box::pin(async move { take(tx, source, rows).await })
            })
            .await
    }

    async fn kept(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Option<Kept>>> {
        system_only(ctx)?;
        let marks = TAKEN.find(self.db.read(), ids).await?;
        let known = store::accounts_with_addresses(self.db.read(), ids).await?;
        ids.iter().map(|id| marks.get(id).map(|mark| look(mark, &known)).transpose()).collect()
    }

    async fn brought(
        &self,
        ctx: &Ctx,
        source: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Brought>> {
        system_only(ctx)?;
        let marks = TAKEN.after(self.db.read(), source, after, limit).await?;
        Ok(marks.into_iter().map(|mark| Brought { id: mark.id, key: mark.source_key }).collect())
    }

    async fn count(&self, ctx: &Ctx, source: &str) -> Result<u64> {
        system_only(ctx)?;
        TAKEN.count(self.db.read(), source).await
    }

    async fn give_back(&self, ctx: &Ctx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
        system_only(ctx)?;
        let Some(first) = ids.first() else { return Ok(Vec::new()) };
        let shard = UserId::from_uuid(*first).shard();
        let (outcome, ended) = self
            .db
            .write(shard, (ids.to_vec(), lived_too), |tx, (ids, lived_too)| {
                Box::pin(async move { give_back(tx, ids, *lived_too).await })
            })
            .await?;
        self.forget(&ended).await;
        Ok(outcome)
    }
}

/// The facts of rows, as the source would have told them.
fn facts((row, addresses): &(account::Model, Vec<address::Model>)) -> UserFacts {
    let mut addresses: Vec<(AddressId, _)> = addresses
        .iter()
        .map(|row| (AddressId::from_uuid(row.id), AddressView::from(row.clone()).address))
        .collect();
    addresses.sort_by_key(|(id, _)| *id);
    UserFacts {
        id: UserId::from_uuid(row.id),
        email: row.email.clone(),
        name: row.name.clone(),
        phone: row.phone.clone(),
        locale: row.locale.clone(),
        created_at: Timestamp::from_micros(row.created_at),
        addresses,
    }
}

fn digest_of(known: &Known, id: Uuid) -> Result<Option<Digest>> {
    known.get(&id).map(|rows| digest(&facts(rows))).transpose()
}

fn look(mark: &Mark, known: &Known) -> Result<Kept> {
    let (said, kept) = mark.digests();
    let now = digest_of(known, mark.id)?.unwrap_or_default();
    let logged_in = known.get(&mark.id).is_some_and(|(row, _)| row.last_login_at.is_some());
    Ok(Kept { said, now, lived: now != kept || logged_in })
}

async fn take(tx: &Tx, source: &str, rows: &[TakeUser]) -> Result<Vec<TakenIn>> {
    let ids: Vec<Uuid> = rows.iter().map(Row::id).collect();
    let marks = TAKEN.find(tx, &ids).await?;
    let noted: Vec<Uuid> = marks.keys().copied().collect();
    let known = store::accounts_with_addresses(tx, &noted).await?;
    let mut owners =
        store::owners_of(tx, rows.iter().map(|row| email_key(&row.facts.email)).collect()).await?;
    let mut outcome = Vec::with_capacity(rows.len());
    let mut news = Vec::new();
    let mut seen = HashSet::new();
    for row in rows {
        let id = row.id();
        let verdict = judge(marks.get(&id).map(Mark::digests), row.said()?, digest_of(&known, id)?);
        let taken = match verdict {
            Verdict::Same => TakenIn::Unchanged,
            Verdict::ChangedHere => TakenIn::ChangedHere,
            Verdict::Create | Verdict::Replace => {
                let key = email_key(&row.facts.email);
                let free = owners.get(&key).is_none_or(|owner| *owner == id);
                if !free || !seen.insert(key.clone()) {
                    TakenIn::Refused("another account has this e-mail".to_owned())
                } else {
                    let before = known.get(&id);
                    if let Some(before) = before {
                        store::remove_person(tx, &before.0).await?;
                    }
                    store::insert_person(tx, account_row(row, before.map(|(row, _)| row)), &row.facts)
                        .await?;
                    owners.insert(key, id);
                    news.push(mark(source, row, tx.now())?);
                    if before.is_some() { TakenIn::Updated } else { TakenIn::Created }
                }
            }
        };
        outcome.push(taken);
    }
    TAKEN.put(tx, &news).await?;
    Ok(outcome)
}

/// The row of an account. Who has logged in here keeps the password they have here.
fn account_row(row: &TakeUser, before: Option<&account::Model>) -> account::Model {
    let facts = &row.facts;
    let theirs = row.password_hash.clone().unwrap_or_else(|| password::NONE.to_owned());
    let own = before.filter(|before| before.last_login_at.is_some());
    account::Model {
        shard: store::shard(facts.id.shard()),
        id: facts.id.uuid(),
        email: facts.email.clone(),
        email_key: email_key(&facts.email),
        name: facts.name.clone(),
        phone: facts.phone.clone(),
        locale: facts.locale.clone(),
        password_hash: own.map_or(theirs, |own| own.password_hash.clone()),
        version: before.map_or(1, |before| before.version + 1),
        created_at: facts.created_at.micros(),
        last_login_at: own.and_then(|own| own.last_login_at),
    }
}

async fn give_back(
    tx: &Tx,
    ids: &[Uuid],
    lived_too: bool,
) -> Result<(Vec<GivenBack>, Vec<contracts::SessionId>)> {
    let marks = TAKEN.find(tx, ids).await?;
    let known = store::accounts_with_addresses(tx, ids).await?;
    let (mut outcome, mut ended, mut gone) = (Vec::with_capacity(ids.len()), Vec::new(), Vec::new());
    for id in ids {
        let Some(mark) = marks.get(id) else {
            outcome.push(GivenBack::Removed);
            continue;
        };
        let rows = known.get(id);
        if !lived_too && rows.is_some() && look(mark, &known)?.lived {
            let logged_in = rows.is_some_and(|(row, _)| row.last_login_at.is_some());
            let why = if logged_in { "has logged in here" } else { "was changed here" };
            outcome.push(GivenBack::Kept(why.to_owned()));
            continue;
        }
        if let Some((row, _)) = rows {
            ended.extend(store::remove_sessions(tx, UserId::from_uuid(*id)).await?);
            store::remove_roles_of(tx, UserId::from_uuid(*id)).await?;
            store::remove_person(tx, row).await?;
        }
        gone.push(*id);
        outcome.push(GivenBack::Removed);
    }
    TAKEN.remove(tx, &gone).await?;
    Ok((outcome, ended))
}

impl AccountService {
    /// As what takes users in.
    pub fn intake(self: &Arc<Self>) -> Arc<dyn Intake<TakeUser>> {
        Arc::clone(self) as Arc<dyn Intake<TakeUser>>
    }
}
