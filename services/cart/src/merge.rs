//! Adds a guest's cart to a member's, on login.

use contracts::{
    Ctx,
    cart::{CartView, MergeCart},
};
use kernel::{Failure, Result};
use platform_db::{Tx, is_duplicate};

use crate::{
    model::{self, Key},
    service::{CartService, HEADER, Named},
    store,
    token::Token,
};

/// First writes of one cart that may meet.
const TRIES: u32 = 4;

struct Merging {
    member: Key,
    guest: Key,
}

impl CartService {
    /// Moves the guest's lines over and shows the member's cart. One transaction over both carts: lines are in one or the
    /// other, so that again, or twice at once, adds nothing twice. Without a token, or for a cart that is not there,
    /// there is nothing to do.
    pub(crate) async fn merge_guest(&self, ctx: &Ctx, command: MergeCart) -> Result<CartView> {
        let named = Named { key: Key::of_member(ctx.user()?), token: None };
        let shards = self.db.shards();
        let token = match (&command.token, &ctx.cart_token) {
            (Some(text), _) => Some(Token::parse(text, shards, "/token")?),
            (None, Some(text)) => Some(Token::parse(text, shards, HEADER)?),
            (None, None) => None,
        };
        if let Some(token) = token {
            self.move_over(&named.key, &self.guest(token).key).await?;
        }
        self.view(ctx, named).await
    }

    async fn move_over(&self, member: &Key, guest: &Key) -> Result<()> {
        for _ in 0..TRIES {
            let cart = store::find(self.db.read(), guest).await?;
            if cart.is_none_or(|cart| cart.lines.is_empty()) {
                return Ok(());
            }
            let merging = Merging { member: member.clone(), guest: guest.clone() };
            match self.db.write(member.shard(), merging, |tx, merging| Box::pin(merging.run(tx))).await {
                // Another first line made the member's cart at the same moment.
                Err(failure) if is_duplicate(&failure, store::CARTS) => {}
                done => return done,
            }
        }
        Err(Failure::new(kernel::code::UNAVAILABLE).retry_after(1))
    }
}

impl Merging {
    async fn run(&self, tx: &Tx) -> Result<()> {
        // In key order, as everybody takes them: nobody waits in a circle.
        let guest_first = (self.guest.shard(), self.guest.id) < (self.member.shard(), self.member.id);
        let (member, guest) = if guest_first {
            let guest = store::take(tx, &self.guest).await?;
            (store::take_or_make(tx, &self.member).await?, guest)
        } else {
            (store::take_or_make(tx, &self.member).await?, store::take(tx, &self.guest).await?)
        };
        if !member {
            return Err(Failure::internal(format!("{} is not its member's", self.member.id)));
        }
        if !guest {
            return Ok(());
        }
        let merge =
            model::merge(&store::lines(tx, &self.member).await?, &store::lines(tx, &self.guest).await?);
        for line in &merge.put {
            store::put(tx, &self.member, line).await?;
        }
        if !merge.moved.is_empty() {
            store::remove(tx, &self.guest, &merge.moved).await?;
        }
        Ok(())
    }
}
